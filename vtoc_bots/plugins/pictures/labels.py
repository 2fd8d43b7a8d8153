"""Labels of tracks, station and towns: what they say, which matter most, where they stand."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from vtoc_bots.plugins.pictures.captions import label_lines
from vtoc_bots.plugins.pictures.chart import towns_in
from vtoc_bots.plugins.pictures.extent import Box, View
from vtoc_bots.plugins.pictures.ground import Ground, overlap
from vtoc_bots.plugins.pictures.layers import Colour, Fill, Layer, Stroke, Words
from vtoc_bots.plugins.pictures.layout import ALL_PUSHES, WORST_COST, LabelRequest, Placement, place_labels
from vtoc_bots.plugins.pictures.picture import MapPicture, StationMark
from vtoc_bots.plugins.pictures.projection import Floats
from vtoc_bots.plugins.pictures.traffic import DANGER, MARKED, Mark, disc
from vtoc_bots.plugins.pictures.typeface import CAP_HEIGHT, LINE_HEIGHT, Run, printable, text_width

INK, SOFT, LEADER, TOWN = "#14212b", "#3b4853", "#5f6b74", "#6f6a5f"
BACK = (1.0, 1.0, 1.0, 0.74)
SIZE, TOWN_SIZE = 12.0, 11.0
MOST_LABELS = 140
MOST_TRIED = 130
CROWD, CROWD_CELL = 9, 100.0
"""More symbols than this in a square of so many pixels leave no room for labels."""
MOST_TOWNS = 16
TOWN_SPACING = 95.0
"""Pixels between towns that are named."""
COMPACT_FROM = 90
"""With more tracks in sight than this labels may shrink to the name, and long leaders are left out."""
WORST_COMPACT_COST, COMPACT_PUSHES = 64.0, 30


class Label(NamedTuple):
    """A label in its place: its lines, and the mark it belongs to (None for the station)."""

    lines: tuple[str, ...]
    mark: Mark | None
    placement: Placement


def station_reach(unit: float) -> float:
    """Return how far the station's symbol extends from its place."""
    return 8.0 * unit


def label_size(lines: tuple[str, ...], unit: float) -> tuple[float, float]:
    """Return the pixels a label takes; its first line is bold."""
    size, pad = SIZE * unit, 2.5 * unit
    widths = [text_width(line, size, number == 0) for number, line in enumerate(lines)]
    return max(widths) + 2 * pad, size * (CAP_HEIGHT + LINE_HEIGHT * (len(lines) - 1)) + 2 * pad + 1.5 * unit


def by_importance(marks: list[Mark], centre: tuple[float, float], unit: float) -> list[Mark]:
    """Return the marks, those first whose label matters most: emergencies, highlights, the airborne, the near.

    Where tracks crowd, those with room for a label come before those without.
    """
    cell = CROWD_CELL * unit
    crowds = Counter((int(mark.x / cell), int(mark.y / cell)) for mark in marks)

    def rank(mark: Mark) -> tuple[bool, bool, bool, bool, float, str]:
        distance = (mark.x - centre[0]) ** 2 + (mark.y - centre[1]) ** 2
        crowded = crowds[int(mark.x / cell), int(mark.y / cell)] > CROWD
        return (
            *(not mark.emergency, not mark.marked, crowded, bool(mark.track.on_ground)),
            *(distance, mark.track.track_id),
        )

    return sorted(marks, key=rank)


def track_labels(
    picture: MapPicture, marks: list[Mark], station: Floats | None, view: View, ground: Ground, unit: float
) -> list[Label]:
    """Return the labels there is room for. `station` is the station's pixel, where it is in sight."""
    centre = view.centre if station is None else (float(station[0]), float(station[1]))
    ranked = by_importance(marks, centre, unit)[:MOST_TRIED]
    compact = len(marks) > COMPACT_FROM
    worst, pushes = (WORST_COMPACT_COST, COMPACT_PUSHES) if compact else (WORST_COST, ALL_PUSHES)
    owners: list[Mark | None] = []
    forms: list[tuple[tuple[str, ...], ...]] = []
    requests: list[LabelRequest] = []
    if station is not None and picture.station is not None:
        owners.append(None)
        forms.append(((printable(picture.station.callsign),),))
        requests.append(LabelRequest(*centre, station_reach(unit), (label_size(forms[0][0], unit),), important=True))
    for mark in ranked:
        owners.append(mark)
        forms.append(label_forms(mark, picture, compact))
        sizes = tuple(label_size(form, unit) for form in forms[-1])
        requests.append(LabelRequest(mark.x, mark.y, mark.reach, sizes, mark.emergency or mark.marked))
    placements = place_labels(requests, ground, MOST_LABELS, worst, pushes)
    return [
        Label(texts[placement.form], owner, placement)
        for texts, owner, placement in zip(forms, owners, placements, strict=True)
        if placement is not None
    ]


def label_forms(mark: Mark, picture: MapPicture, compact: bool) -> tuple[tuple[str, ...], ...]:
    """Return the forms a label may take, the fullest first; an emergency never loses its squawk."""
    lines = tuple(printable(line) for line in label_lines(mark.track, picture))
    short = lines[: 2 if mark.emergency else 1]
    return (lines, short) if compact and len(short) < len(lines) else (lines,)


def label_layers(labels: list[Label], unit: float) -> list[Layer]:
    """Return leaders, backs and texts of the labels."""
    leaders = [np.array(label.placement.leader).reshape(2, 2) for label in labels if label.placement.leader]
    polygons, faces, edges = [], [], []
    runs: dict[str, list[Run]] = {INK: [], SOFT: [], "#ffffff": []}
    size, pad = SIZE * unit, 2.5 * unit
    for label in labels:
        box, mark = label.placement.box, label.mark
        emergency = mark is not None and mark.emergency
        polygons.append(box.corners)
        faces.append(DANGER if emergency else BACK)
        edges.append(edge_of(mark))
        base = box.top - pad - CAP_HEIGHT * size
        for number, line in enumerate(label.lines):
            colour = "#ffffff" if emergency else SOFT if number else INK
            y = base - number * LINE_HEIGHT * size
            runs[colour].append(Run(line, box.left + pad, y, size, number == 0))
    return [
        Stroke(leaders, [LEADER] * len(leaders), 0.9 * unit),
        Fill(polygons, faces, edges, 1.4 * unit),
        *(Words(texts, colour) for colour, texts in runs.items()),
    ]


def edge_of(mark: Mark | None) -> Colour:
    """Return the colour of a label's edge; only what is pointed out has one."""
    if mark is None:
        return (0.0, 0.0, 0.0, 0.0)
    return DANGER if mark.emergency else MARKED if mark.marked else (0.0, 0.0, 0.0, 0.0)


def station_layers(pixel: Floats, unit: float) -> list[Layer]:
    """Return the station's symbol: a crossed circle."""
    reach = station_reach(unit)
    x, y = float(pixel[0]), float(pixel[1])
    strokes = [disc(x, y, reach * 0.72)]
    strokes.append(np.array([[x - reach, y], [x + reach, y]]))
    strokes.append(np.array([[x, y - reach], [x, y + reach]]))
    return [
        Stroke(strokes, ["#ffffff"] * 3, 4.0 * unit, clipped=True),
        Stroke(strokes, [INK] * 3, 1.7 * unit, clipped=True),
    ]


def station_pixel(station: StationMark | None, view: View) -> Floats | None:
    """Return where the station is on the map, or None when it is not on it."""
    if station is None:
        return None
    pixels = view.pixels([station.latitude], [station.longitude])
    return pixels[0] if view.holds(pixels)[0] else None


class Town(NamedTuple):
    """A named town on the map. Pixels."""

    name: str
    x: float
    y: float
    box: Box


def named_towns(view: View, ground: Ground, labels: list[Label], unit: float) -> list[Town]:
    """Return the towns whose names fit between everything else, the biggest first."""
    names, pixels = towns_in(view, view.frame.grown(-12 * unit))
    taken = [label.placement.box for label in labels]
    chosen: list[Town] = []
    size = TOWN_SIZE * unit
    for name, (x, y) in zip(names[:400], pixels[:400], strict=True):
        if any(np.hypot(town.x - x, town.y - y) < TOWN_SPACING * unit for town in chosen):
            continue
        text = printable(name)
        width, height, off = text_width(text, size), size, 5 * unit
        places = [
            Box(x + off, y - height / 2, x + off + width, y + height / 2),
            Box(x - off - width, y - height / 2, x - off, y + height / 2),
            Box(x - width / 2, y + off, x + width / 2, y + off + height),
            Box(x - width / 2, y - off - height, x + width / 2, y - off),
        ]
        dot = Box(x - 2.5 * unit, y - 2.5 * unit, x + 2.5 * unit, y + 2.5 * unit)
        box = next((place for place in places if stands_free((place, dot), view.frame, ground, taken)), None)
        if box is not None:
            chosen.append(Town(text, float(x), float(y), box))
            taken.append(box)
        if len(chosen) == MOST_TOWNS:
            break
    return chosen


def stands_free(places: tuple[Box, Box], frame: Box, ground: Ground, taken: list[Box]) -> bool:
    """Return whether a town's name and dot cover nothing."""
    name = places[0]
    if name.left < frame.left or name.right > frame.right or name.bottom < frame.bottom or name.top > frame.top:
        return False
    boxes = np.array(places)
    solid, trail = ground.covered(boxes)
    return not (solid.any() or trail.any() or (taken and overlap(boxes, np.array(taken), 2.0).any()))


def town_layers(towns: list[Town], unit: float) -> list[Layer]:
    """Return the towns as dots with names."""
    dots = [disc(town.x, town.y, 2.2 * unit) for town in towns]
    size = TOWN_SIZE * unit
    runs = [Run(town.name, town.box.left, town.box.bottom + 0.2 * size, size) for town in towns]
    return [
        Fill(dots, [TOWN] * len(dots), [TOWN] * len(dots), clipped=True),
        Words(runs, TOWN, halo="#f4f1e7", clipped=True),
    ]
