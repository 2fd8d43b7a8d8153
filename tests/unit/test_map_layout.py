"""Labels keep off each other, symbols and edges, however dense the picture is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtoc_bots.plugins.pictures.extent import Box
from vtoc_bots.plugins.pictures.ground import Ground, cross, overlap, runs_through
from vtoc_bots.plugins.pictures.layout import LabelRequest, Placement, gaps_between, place_labels

AREA = Box(60.0, 40.0, 760.0, 560.0)
SIZE = ((78.0, 30.0), (50.0, 15.0))

pixels = st.tuples(st.floats(AREA.left, AREA.right), st.floats(AREA.bottom, AREA.top))
symbols = st.lists(pixels, min_size=0, max_size=70)
lines = st.lists(st.lists(pixels, min_size=2, max_size=5).map(np.array), max_size=25)


def request(x: float, y: float, reach: float = 10.0, important: bool = False) -> LabelRequest:
    return LabelRequest(x, y, reach, SIZE, important)


def symbol_box(one: LabelRequest) -> Box:
    return Box(one.x - one.reach, one.y - one.reach, one.x + one.reach, one.y + one.reach)


def placed(requests: list[LabelRequest], drawn: list[np.ndarray]) -> list[Placement | None]:
    return place_labels(requests, Ground(AREA, [symbol_box(one) for one in requests], drawn))


def boxes_of(placements: list[Placement | None]) -> np.ndarray:
    return np.array([placement.box for placement in placements if placement is not None]).reshape(-1, 4)


@settings(deadline=None, max_examples=25)
@given(symbols, lines)
def test_no_label_covers_another_or_a_symbol_or_leaves_the_map(at: list, drawn: list) -> None:
    requests = [request(*place) for place in at]
    boxes = boxes_of(placed(requests, drawn))
    covered = overlap(boxes, boxes)
    assert np.count_nonzero(covered) == len(boxes)
    assert not overlap(boxes, np.array([symbol_box(one) for one in requests]).reshape(-1, 4)).any()
    assert (boxes[:, :2] >= (AREA.left, AREA.bottom)).all()
    assert (boxes[:, 2:] <= (AREA.right, AREA.top)).all()


@settings(deadline=None, max_examples=10)
@given(symbols, lines)
def test_no_leader_runs_under_a_label_of_another(at: list, drawn: list) -> None:
    placements = placed([request(*place) for place in at], drawn)
    led = [(index, placement) for index, placement in enumerate(placements) if placement and placement.leader]
    for index, placement in led:
        others = boxes_of(placements[:index] + placements[index + 1 :])
        assert not runs_through(np.array([placement.leader]), others).any()


@settings(deadline=None, max_examples=10)
@given(symbols, lines)
def test_the_same_request_is_always_placed_the_same_way(at: list, drawn: list) -> None:
    requests = [request(*place) for place in at]
    assert placed(requests, drawn) == placed(requests, drawn)


def test_a_lone_label_stands_right_of_its_symbol_without_a_leader() -> None:
    (placement,) = placed([request(400, 300)], [])
    assert placement is not None
    assert placement.leader is None
    assert placement.box.left > 410
    assert placement.box.bottom < 300 < placement.box.top


def test_a_label_at_the_edge_stands_on_the_inner_side() -> None:
    (placement,) = placed([request(AREA.right - 12, 300)], [])
    assert placement is not None
    assert placement.box.right < AREA.right - 20


def test_a_label_keeps_off_a_trail_where_there_is_room() -> None:
    trail = np.array([[400.0, 300.0], [700.0, 300.0]])
    ground = Ground(AREA, [symbol_box(request(400, 300))], [trail])
    (placement,) = place_labels([request(400, 300)], ground)
    assert placement is not None
    assert ground.covered(np.array([placement.box]))[1][0] == 0


def test_labels_of_neighbours_are_told_apart() -> None:
    placements = placed([request(400, 300), request(425, 300)], [])
    left, right = (placement.box for placement in placements if placement is not None)
    assert left.right < 400
    assert right.left > 425


def test_a_label_between_two_symbols_stands_nearer_to_its_own() -> None:
    requests = [request(400, 300), request(505, 300)]
    (placement, _) = placed(requests, [])
    assert placement is not None
    symbols = np.array([(one.x, one.y, one.reach) for one in requests])
    ((own, other),) = gaps_between(np.array([placement.box]), symbols)
    assert other > own + 4


def test_a_label_that_could_only_stand_badly_is_dropped_unless_it_is_important() -> None:
    trails = [np.array([[200.0, 200.0 + y], [600.0, 200.0 + y]]) for y in range(0, 200, 3)]
    ground = Ground(AREA, [symbol_box(request(400, 300))], trails)
    assert place_labels([request(400, 300)], ground, worst=10.0) == [None]
    assert place_labels([request(400, 300, important=True)], ground, worst=10.0)[0] is not None


def test_a_shorter_form_is_used_where_the_full_one_has_no_room() -> None:
    slot = Box(390.0, 290.0, 470.0, 310.0)
    walls = [
        Box(AREA.left, AREA.bottom, AREA.right, slot.bottom),
        Box(AREA.left, slot.top, AREA.right, AREA.top),
        Box(AREA.left, slot.bottom, slot.left, slot.top),
        Box(slot.right, slot.bottom, AREA.right, slot.top),
    ]
    one = request(400, 300, reach=8.0)
    (placement,) = place_labels([one], Ground(AREA, [*walls, symbol_box(one)], []))
    assert placement is not None
    assert placement.form == 1


def test_a_label_without_room_pushes_another_aside() -> None:
    # Between the symbols is room for one label: the first likes it best, the second has no other.
    first, second = (LabelRequest(x, 300.0, 8.0, SIZE[:1]) for x in (300.0, 470.0))
    walls = [
        Box(AREA.left, AREA.bottom, AREA.right, 282),
        Box(AREA.left, 318, AREA.right, AREA.top),
        Box(AREA.left, 282, 200, 318),
        Box(478, 282, AREA.right, 318),
    ]
    ground = Ground(AREA, [*walls, symbol_box(first), symbol_box(second)], [])
    alone = place_labels([first], ground)[0]
    assert alone is not None
    assert alone.box.left > 300
    assert place_labels([first, second], ground, pushes=0)[1] is None
    moved, pushed = place_labels([first, second], ground)
    assert moved is not None
    assert pushed is not None
    assert moved.box.right < 300 < pushed.box.left


def test_no_more_labels_are_placed_than_asked_for() -> None:
    requests = [request(100 + 90 * column, 80 + 60 * row) for column in range(7) for row in range(7)]
    ground = Ground(AREA, [symbol_box(one) for one in requests], [])
    placements = place_labels(requests, ground, most=10)
    assert sum(placement is not None for placement in placements) == 10
    assert all(placement is None for placement in placements[10:])


def test_ground_counts_what_a_box_covers() -> None:
    ground = Ground(AREA, [Box(100, 100, 120, 120)], [np.array([[200.0, 100.0], [200.0, 200.0]])])
    boxes = np.array([[100.0, 100.0, 120.0, 120.0], [190.0, 100.0, 210.0, 120.0], [300.0, 300.0, 310.0, 310.0]])
    solid, trail = ground.covered(boxes)
    assert solid.tolist() == [100, 0, 0]
    assert trail[0] == trail[2] == 0
    assert trail[1] > 0
    assert ground.also([Box(300, 300, 310, 310)]).covered(boxes)[0][2] == 25
    assert ground.covered(boxes)[0][2] == 0


@pytest.mark.parametrize(
    ("line", "meets"),
    [
        ([0, 5, 20, 5], True),
        ([0, 0, 4, 4], False),
        ([6, 6, 7, 7], True),
        ([0, 20, 20, 20], False),
        ([10, 0, 10, 20], True),
    ],
)
def test_a_line_runs_through_a_box_or_past_it(line: list[float], meets: bool) -> None:
    assert runs_through(np.array([line], dtype=float), np.array([[5.0, 5.0, 15.0, 15.0]]))[0, 0] == meets


def test_lines_cross_only_between_their_ends() -> None:
    lines = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 4.0, 4.0]])
    assert cross(lines, np.array([[0.0, 10.0, 10.0, 0.0]]))[:, 0].tolist() == [True, False]
