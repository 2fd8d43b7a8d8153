"""The tracks on the map: symbols along their headings, trails that fade, one-minute vectors."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vtoc_bots import Track
from vtoc_bots.plugins.pictures.captions import AGED_SECONDS, age_seconds, emergency_of
from vtoc_bots.plugins.pictures.extent import Box, View
from vtoc_bots.plugins.pictures.kinds import SourceKind, kind_of
from vtoc_bots.plugins.pictures.layers import Colour, Fill, Layer, Stroke, Words
from vtoc_bots.plugins.pictures.picture import MapPicture
from vtoc_bots.plugins.pictures.projection import Floats
from vtoc_bots.plugins.pictures.ranges import turned
from vtoc_bots.plugins.pictures.typeface import CAP_HEIGHT, Run, text_width

SIZES = ((120, 9.0), (400, 7.0), (1500, 5.0), (math.inf, 3.6))
"""Up to so many tracks in sight, a symbol's radius in pixels."""
VECTOR_SECONDS = 60.0
MOST_VECTORS = 400
MOST_TRAIL_POINTS = 40_000
TRAIL_SPACING = 2.5
"""Pixels between the points a trail is drawn through."""
FADES = 6
"""Steps a trail fades in."""
DANGER, MARKED, DOUBT, WHITE = "#c1121f", "#e0a800", "#6b6b6b", "#ffffff"


class Mark(NamedTuple):
    """One track as it is drawn. Pixels."""

    track: Track
    kind: SourceKind
    x: float
    y: float
    radius: float
    heading: float | None
    """Radians clockwise from upwards on the picture; None where it has no direction to show."""
    aged: bool
    emergency: bool
    marked: bool
    trail: Floats
    trail_ages: Floats
    """Age of each trail point as a part of the trail's length in time, 0 new to 1 old."""
    vector: Floats | None

    @property
    def reach(self) -> float:
        """How far the symbol extends from its place, rings included."""
        return self.radius * (2.0 if self.emergency or self.marked else 1.15)

    @property
    def box(self) -> Box:
        """The square the symbol fills."""
        reach = self.reach
        return Box(self.x - reach, self.y - reach, self.x + reach, self.y + reach)


def marks_of(picture: MapPicture, view: View, unit: float) -> list[Mark]:
    """Return the marks of the tracks in sight, those to be drawn on top last."""
    shown = picture.shown
    if not shown:
        return []
    pixels = view.pixels([track.latitude for track in shown], [track.longitude for track in shown])
    seen = np.flatnonzero(view.holds(pixels))
    radius = next(size for most, size in SIZES if len(seen) <= most) * unit
    ahead = directions(view, [shown[index] for index in seen], pixels[seen])
    trails = trails_of(picture, view, [shown[index] for index in seen])
    marks = []
    for number, index in enumerate(seen):
        track = shown[index]
        heading = None if track.on_ground or track.heading_deg is None else float(ahead[number])
        marks.append(
            Mark(
                track=track,
                kind=kind_of(track),
                x=float(pixels[index, 0]),
                y=float(pixels[index, 1]),
                radius=radius * (0.7 if heading is None else 1.0),
                heading=heading,
                aged=age_seconds(track, picture) >= AGED_SECONDS,
                emergency=emergency_of(track) is not None,
                marked=track.track_id in picture.highlight,
                trail=trails[number][0],
                trail_ages=trails[number][1],
                vector=vector_of(track, view, pixels[index], heading, len(seen)),
            )
        )
    return sorted(marks, key=lambda mark: (mark.emergency, mark.marked, not mark.track.on_ground))


def directions(view: View, tracks: list[Track], pixels: Floats) -> Floats:
    """Return each track's heading as it runs on the picture, radians clockwise from upwards."""
    heading = np.radians([track.heading_deg or 0.0 for track in tracks])
    latitudes = np.array([track.latitude for track in tracks])
    longitudes = np.array([track.longitude for track in tracks])
    step = 0.01
    narrowing = np.maximum(np.cos(np.radians(latitudes)), 1e-6)
    # A step back is as good as a step ahead, and never leaves the world over a pole or the edge of the map.
    sign = np.where(np.abs(latitudes + step * np.cos(heading)) > 90.0, -1.0, 1.0)
    moved = view.pixels(
        latitudes + sign * step * np.cos(heading), longitudes + sign * step * np.sin(heading) / narrowing
    )
    delta = (moved - pixels) * sign[:, None]
    return np.asarray(np.arctan2(delta[:, 0], delta[:, 1]))


def vector_of(track: Track, view: View, pixel: Floats, heading: float | None, count: int) -> Floats | None:
    """Return the line from a track to where it will be in a minute, or None when it says too little."""
    if heading is None or not track.speed_mps or count > MOST_VECTORS:
        return None
    length = track.speed_mps * VECTOR_SECONDS / view.metres_per_pixel
    ahead = pixel + np.array([length * math.sin(heading), length * math.cos(heading)])
    return np.array([pixel, ahead])


def trails_of(picture: MapPicture, view: View, tracks: list[Track]) -> list[tuple[Floats, Floats]]:
    """Return each track's trail as pixels and relative ages, oldest first, ending at the track itself."""
    stride = 1 + sum(len(track.trail) for track in tracks) // MOST_TRAIL_POINTS
    now = picture.at.timestamp()
    rows: list[tuple[float, float, float]] = []
    ends = []
    for track in tracks:
        points = [(now - p.at.timestamp(), p.latitude, p.longitude) for p in track.trail[::stride]]
        recent = [point for point in points if point[0] <= picture.trail_seconds]
        if recent and picture.trail_seconds > 0:
            rows += recent
            rows.append((now - track.at.timestamp(), track.latitude, track.longitude))
        ends.append(len(rows))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    pixels = view.pixels(table[:, 1], table[:, 2])
    ages = np.clip(table[:, 0] / max(picture.trail_seconds, 1.0), 0.0, 1.0)
    return [thinned(pixels[start:end], ages[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def thinned(pixels: Floats, ages: Floats) -> tuple[Floats, Floats]:
    """Return a trail without the points that lie too close to the one before."""
    if len(pixels) < 3:
        return pixels, ages
    lengths = np.cumsum(np.abs(np.diff(pixels, axis=0)).max(axis=1))
    keep = np.ones(len(pixels), dtype=np.bool_)
    keep[1:-1] = np.diff(np.floor(lengths / TRAIL_SPACING)) > 0
    return pixels[keep], ages[keep]


def trail_pieces(mark: Mark, widest: float) -> list[tuple[Floats, float]]:
    """Return a trail in pieces of one fade each, with its age; jumps wider than `widest` pixels are left open."""
    if len(mark.trail) < 2:
        return []
    steps = np.abs(np.diff(mark.trail, axis=0)).max(axis=1)
    fades = np.minimum((mark.trail_ages[1:] * FADES).astype(np.int64), FADES - 1)
    cuts = np.flatnonzero((np.diff(fades) != 0) | (steps[1:] > widest) | (steps[:-1] > widest)) + 1
    starts: NDArray[np.int64] = np.concatenate([[0], cuts])
    ends = np.append(cuts, len(fades))
    return [
        (mark.trail[start : end + 1], float(fades[start]) / FADES)
        for start, end in zip(starts, ends, strict=True)
        if steps[start:end].max() <= widest
    ]


def trail_layers(marks: list[Mark], frame: Box, unit: float) -> list[Layer]:
    """Return trails, paler the older, and the vectors ahead."""
    lines: list[Floats] = []
    colours: list[Colour] = []
    for mark in marks:
        for line, age in trail_pieces(mark, frame.width / 2):
            lines.append(line)
            colours.append(faded(DANGER if mark.emergency else mark.kind.colour, 0.8 - 0.62 * age))
    vectors = [mark.vector for mark in marks if mark.vector is not None]
    inks: list[Colour] = [DANGER if mark.emergency else mark.kind.colour for mark in marks if mark.vector is not None]
    return [Stroke(lines, colours, 2.0 * unit, clipped=True), Stroke(vectors, inks, 1.0 * unit, clipped=True)]


def faded(colour: str, alpha: float) -> Colour:
    """Return a ``#rrggbb`` colour with an opacity."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue, alpha


def symbol_layers(marks: list[Mark], unit: float) -> list[Layer]:
    """Return the symbols: outline by kind along the heading, squares on the ground, discs without a heading."""
    polygons, faces, edges = [], [], []
    runs: dict[str, list[Run]] = {}
    rings, ring_colours = [], []
    for mark in marks:
        colour = DANGER if mark.emergency else mark.kind.colour
        polygons.append(symbol(mark))
        hollow = mark.aged or mark.heading is None
        faces.append(WHITE if hollow else colour)
        edges.append(colour if hollow else WHITE)
        if mark.heading is None and mark.radius >= 4.5:
            runs.setdefault(colour, []).append(letter(mark.kind.letter, mark.x, mark.y, mark.radius * 1.35))
        if mark.emergency or mark.marked:
            rings.append(disc(mark.x, mark.y, mark.radius * 1.85))
            ring_colours.append(DANGER if mark.emergency else MARKED)
    letters: list[Layer] = [Words(texts, colour, clipped=True) for colour, texts in runs.items()]
    halo = Stroke(rings, ring_colours, 2.6 * unit, clipped=True)
    return [halo, Fill(polygons, faces, edges, 1.1 * unit, clipped=True), *letters]


def symbol(mark: Mark) -> Floats:
    """Return the outline of a mark's symbol in pixels."""
    if mark.heading is not None:
        return turned(np.array(mark.kind.outline), mark.heading) * mark.radius + (mark.x, mark.y)
    if mark.track.on_ground:
        square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        return square * mark.radius + (mark.x, mark.y)
    return disc(mark.x, mark.y, mark.radius * 1.1)


def disc(x: float, y: float, radius: float) -> Floats:
    """Return a closed circle in pixels."""
    angles = np.linspace(0.0, 2 * math.pi, 25)
    return np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)])


def letter(text: str, x: float, y: float, size: float) -> Run:
    """Return a bold letter centred at a place."""
    return Run(text, x - text_width(text, size, True) / 2, y - CAP_HEIGHT * size / 2, size, True)


def doubt_marks(picture: MapPicture, view: View, unit: float) -> list[Box]:
    """Return where implausible reports are marked."""
    reports = [report for report in picture.implausible if math.isfinite(report.longitude)]
    reports = [report for report in reports if abs(report.latitude) <= 90.0]
    if not reports:
        return []
    pixels = view.pixels([report.latitude for report in reports], [report.longitude for report in reports])
    radius = 7.5 * unit
    return [Box(x - radius, y - radius, x + radius, y + radius) for x, y in pixels[view.holds(pixels)]]


def doubt_layers(boxes: list[Box], unit: float) -> list[Layer]:
    """Return a hollow question mark for every implausible report."""
    if not boxes:
        return []
    centres = [((box.left + box.right) / 2, (box.bottom + box.top) / 2) for box in boxes]
    rings = [disc(x, y, 6.5 * unit) for x, y in centres]
    hollow = Fill(rings, ["#ffffff"] * len(rings), [DOUBT] * len(rings), 1.2 * unit, clipped=True)
    return [hollow, Words([letter("?", x, y, 10 * unit) for x, y in centres], DOUBT, clipped=True)]
