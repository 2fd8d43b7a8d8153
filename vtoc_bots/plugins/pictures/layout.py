"""Places labels so that they cover neither each other, nor a symbol, nor (as far as it can be) a trail.

Each label is tried all round its symbol, near before far, in the order of importance; one without room may push
others aside, and those that came to stand badly are tried again while that makes the whole better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vtoc_bots.plugins.pictures.extent import Box
from vtoc_bots.plugins.pictures.ground import Ground, Mask, cross, overlap, runs_through
from vtoc_bots.plugins.pictures.projection import Floats

GAP = 3.0
"""Pixels between a symbol and its label."""
SPACING = 1.5
"""Pixels kept free round a label."""
REACHES = (0.0, 9.0, 20.0, 34.0, 52.0, 74.0, 100.0, 130.0)
"""Distances a label is tried at; from the second on a leader joins it to its symbol."""
REACH_COSTS = (0.0, 7.0, 11.0, 16.0, 23.0, 32.0, 44.0, 58.0)
FAR_REACHES = (170.0, 220.0, 290.0, 380.0)
FAR_COSTS = (75.0, 95.0, 120.0, 150.0)
"""How far an important label may go to get out of a crowd."""
DIRECTIONS = 16
TRAIL_COST, TRAIL_CELL_COST = 14.0, 0.35
LEADER_CROSSING_COST = 30.0
LEADER_STRIKE_COST = 5.0
AMBIGUOUS_COST, AMBIGUOUS_PX = 6.0, 5.0
"""A label not nearer to its own symbol than to another, by so many pixels, could be taken for the other's."""
FORM_COST = 12.0
"""What each step to a shorter form of a label costs."""
MOST_MOVED, PUSHES = 3, 24
"""A label may push so many others aside, and looks at so many of its places for that."""
ALL_PUSHES = 300
SLICE = 16
WORST_COST = 110.0
"""A label that could only stand worse than this would confuse more than it tells."""
ROUNDS = 2
WORTH_MOVING = 9.0
"""A label placed at this cost or more is tried again once the others have their places."""


class LabelRequest(NamedTuple):
    """A label to place. Pixels."""

    x: float
    y: float
    reach: float
    """How far its own symbol extends from (x, y)."""
    sizes: tuple[tuple[float, float], ...]
    """Width and height of each form the label may take, the fullest first."""
    important: bool = False
    """Whether it is better placed badly than not at all."""


class Leader(NamedTuple):
    """A line from a symbol to its label."""

    x0: float
    y0: float
    x1: float
    y1: float


class Placement(NamedTuple):
    """Where a label stands, in which of its forms, and the leader when it stands away from its symbol."""

    box: Box
    form: int
    leader: Leader | None
    cost: float


class Candidates(NamedTuple):
    """Possible places of a label, the cheapest first: (n, 4) boxes and leaders, (n,) costs, who has a leader."""

    boxes: Floats
    leaders: Floats
    costs: Floats
    led: Mask


def candidates(request: LabelRequest, form: int) -> Candidates:
    """Return where one form of a label might stand: all round its symbol, near before far, right before left."""
    width, height = request.sizes[form]
    angles = np.arange(DIRECTIONS) * (2 * math.pi / DIRECTIONS)
    # Right is where people look for a label; straight above and below it is least clear whose it is.
    taste = 1.5 * (1 - np.cos(angles)) / 2 + 2.0 * np.abs(np.sin(angles)) ** 4
    reaches = REACHES + FAR_REACHES if request.important else REACHES
    reach_costs = REACH_COSTS + FAR_COSTS if request.important else REACH_COSTS
    angle = np.tile(angles, len(reaches))
    reach = np.repeat(reaches, DIRECTIONS)
    cosine, sine = np.cos(angle), np.sin(angle)
    near_x = request.x + cosine * (request.reach + GAP + reach)
    near_y = request.y + sine * (request.reach + GAP + reach)
    left = near_x - width * np.clip((0.42 - cosine) / 0.84, 0.0, 1.0)
    bottom = near_y - height * np.clip((0.5 - sine) / 1.0, 0.0, 1.0)
    boxes = np.column_stack([left, bottom, left + width, bottom + height])
    start_x, start_y = request.x + cosine * (request.reach + 1), request.y + sine * (request.reach + 1)
    end_x, end_y = np.clip(near_x, left, left + width), np.clip(near_y, bottom, bottom + height)
    leaders = np.column_stack([start_x, start_y, end_x, end_y])
    costs = np.tile(taste, len(reaches)) + np.repeat(reach_costs, DIRECTIONS) + form * FORM_COST
    return Candidates(boxes, leaders, costs, reach > 0)


class Labeller:
    """Places labels one by one and remembers where they stand."""

    def __init__(self, requests: Sequence[LabelRequest], ground: Ground, worst: float, pushes: int) -> None:
        self.requests = requests
        self.worst = worst
        self.ground = ground
        self.placements: list[Placement | None] = [None] * len(requests)
        self._symbols = np.array([(request.x, request.y, request.reach) for request in requests]).reshape(-1, 3)
        # NaN stands for a label without a place: it overlaps nothing.
        self._boxes = np.full((len(requests), 4), np.nan)
        self._leaders = np.full((len(requests), 4), np.nan)
        self._known: dict[tuple[int, int], Candidates] = {}
        self._pushes = pushes

    def place(self, index: int) -> None:
        """Place, or place again, the label of a request at its cheapest free place; it keeps its place if need be."""
        best = self.placements[index]
        self._set(index, None)
        for form in range(len(self.requests[index].sizes)):
            if best is not None and best.cost <= form * FORM_COST:
                break
            found = self._best(index, form)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
        self._set(index, best)

    def push(self, index: int) -> bool:
        """Place a label, or place it better, by moving others; return whether that makes the whole better."""
        for form in range(len(self.requests[index].sizes)):
            options = self._options(index, form)
            for at in range(min(PUSHES, len(options.costs))):
                before = self.placements[index]
                if self._pushes == 0 or (before is not None and options.costs[at] >= before.cost):
                    break
                self._pushes -= 1
                if self._push_to(index, form, options, at):
                    return True
        return False

    def _push_to(self, index: int, form: int, options: Candidates, at: int) -> bool:
        before = self.placements[index]
        self._set(index, None)
        box, line, led = options.boxes[at : at + 1], options.leaders[at : at + 1], bool(options.led[at])
        in_way = overlap(box, self._boxes, SPACING)[0] | runs_through(self._leaders, box)[:, 0]
        if led:
            in_way |= runs_through(line, self._boxes)[0]
        moved = [(int(other), self.placements[other]) for other in np.flatnonzero(in_way)]
        old = [(index, before), *moved]
        if len(moved) <= MOST_MOVED:
            for other, _ in moved:
                self._set(other, None)
            self._set(index, self._placement(form, options, at))
            for other, _ in moved:
                self.place(other)
            if self._cost([other for other, _ in old]) < sum(costs_of(placement) for _, placement in old):
                return True
        for other, placement in old:
            self._set(other, placement)
        return False

    def _cost(self, indexes: list[int]) -> float:
        return sum(costs_of(self.placements[index]) for index in indexes)

    def _placement(self, form: int, options: Candidates, at: int) -> Placement:
        leader = Leader(*map(float, options.leaders[at])) if options.led[at] else None
        cost = float(options.costs[at])
        if leader is not None:
            cost += LEADER_CROSSING_COST * float(cross(options.leaders[at : at + 1], self._leaders).sum())
        return Placement(Box(*map(float, options.boxes[at])), form, leader, cost)

    def _options(self, index: int, form: int) -> Candidates:
        """Return the places on the map that cover no symbol, with all costs that don't hang on other labels."""
        known = self._known.get((index, form))
        if known is not None:
            return known
        request, area = self.requests[index], self.ground.area
        worst = math.inf if request.important else self.worst
        boxes, leaders, costs, led = candidates(request, form)
        solid, trail = self.ground.covered(boxes)
        costs = costs + np.where(trail > 0, TRAIL_COST + TRAIL_CELL_COST * trail, 0.0)
        possible = (boxes[:, :2] >= (area.left, area.bottom)).all(axis=1) & (solid == 0) & (costs <= worst)
        possible &= (boxes[:, 2:] <= (area.right, area.top)).all(axis=1)
        # What follows is dear, so only for the places that may be taken at all.
        boxes, leaders, costs, led = boxes[possible], leaders[possible], costs[possible], led[possible]
        if len(boxes):
            costs = costs + self._ambiguity(index, boxes) * np.where(led, 0.5, 1.0)
            costs += np.where(led, LEADER_STRIKE_COST * self.ground.strikes(leaders, request.reach), 0.0)
        order = np.argsort(costs, kind="stable")[: np.count_nonzero(costs <= worst)]
        found = Candidates(boxes[order], leaders[order], costs[order], led[order])
        self._known[index, form] = found
        return found

    def _best(self, index: int, form: int) -> Placement | None:
        options = self._options(index, form)
        standing = self._leaders[np.isfinite(self._leaders[:, 0])]
        best: Placement | None = None
        # Slice by slice, since a free place is mostly among the first, and all labels are compared with each.
        for start in range(0, len(options.costs), SLICE):
            if best is not None and options.costs[start] >= best.cost:
                break
            boxes = options.boxes[start : start + SLICE]
            in_way = overlap(boxes, self._boxes, SPACING).any(axis=1) | runs_through(standing, boxes).any(axis=0)
            for at in np.flatnonzero(~in_way) + start:
                if best is not None and options.costs[at] >= best.cost:
                    break
                if options.led[at] and runs_through(options.leaders[at : at + 1], self._boxes).any():
                    continue
                found = self._placement(form, options, int(at))
                if best is None or found.cost < best.cost:
                    best = found
        return best

    def _ambiguity(self, index: int, boxes: Floats) -> Floats:
        """Return what each box costs for standing as close to other symbols as to its own."""
        own = gaps_between(boxes, self._symbols[index : index + 1])
        # A symbol farther from all the boxes than its own is from any of them can't be the nearer one.
        reach = float(own.max()) + AMBIGUOUS_PX
        low, high = boxes[:, :2].min(axis=0) - reach, boxes[:, 2:].max(axis=0) + reach
        centres = self._symbols[:, :2]
        near = (centres > low).all(axis=1) & (centres < high).all(axis=1)
        near[index] = False
        closer = gaps_between(boxes, self._symbols[near]) < own + AMBIGUOUS_PX
        return AMBIGUOUS_COST * np.asarray(closer.sum(axis=1), dtype=np.float64)

    def _set(self, index: int, placement: Placement | None) -> None:
        self.placements[index] = placement
        self._boxes[index] = np.nan if placement is None else placement.box
        leader = None if placement is None else placement.leader
        self._leaders[index] = np.nan if leader is None else leader


def gaps_between(boxes: Floats, symbols: Floats) -> Floats:
    """Return an (n, m) array of the free pixels between (n, 4) boxes and (m, 3) symbols (x, y, reach)."""
    x, y, reach = symbols.T
    aside = np.maximum(np.maximum(boxes[:, 0, None] - x, x - boxes[:, 2, None]), 0.0)
    above = np.maximum(np.maximum(boxes[:, 1, None] - y, y - boxes[:, 3, None]), 0.0)
    return np.asarray(np.hypot(aside, above) - reach)


def costs_of(placement: Placement | None) -> float:
    """Return what a placement costs; having none costs more than any."""
    return 1000.0 if placement is None else placement.cost


def place_labels(
    requests: Sequence[LabelRequest],
    ground: Ground,
    most: int | None = None,
    worst: float = WORST_COST,
    pushes: int = ALL_PUSHES,
) -> list[Placement | None]:
    """Place labels in the order given, the most important first; None where there is no room for one.

    At most `most` are placed, none at a cost over `worst` but the important. Those that stand badly are tried again
    once the others stand; `pushes` bounds how often others are moved for one.
    """
    labeller = Labeller(requests, ground, worst, pushes)
    placed = 0
    for index in range(len(requests)):
        if most is not None and placed >= most:
            break
        labeller.place(index)
        placed += labeller.placements[index] is not None or labeller.push(index)
    for _ in range(ROUNDS):
        for index, placement in enumerate(labeller.placements):
            if placement is not None and placement.cost >= WORTH_MOVING:
                labeller.place(index)
                labeller.push(index)
    return labeller.placements
