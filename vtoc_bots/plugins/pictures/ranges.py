"""Range rings round the station, the scale bar and the north arrow."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vtoc_bots.plugins.pictures.extent import Box, View
from vtoc_bots.plugins.pictures.ground import Ground
from vtoc_bots.plugins.pictures.layers import Fill, Layer, Stroke, Words
from vtoc_bots.plugins.pictures.picture import MapPicture, StationMark
from vtoc_bots.plugins.pictures.projection import METRES_PER_NM, Azimuthal, Floats, circle
from vtoc_bots.plugins.pictures.typeface import CAP_HEIGHT, Run, text_width

RING, INK, PAPER = "#5c6f7b", "#1d2a33", (1.0, 1.0, 1.0, 0.82)
RING_STEPS_NM = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
RINGS_IN_SIGHT = 2.5
"""The automatic step is the smallest that draws no more than about so many rings inside the frame's shorter half."""
MOST_RINGS = 12
ROUND_LENGTHS = (1, 2, 5)


class Ring(NamedTuple):
    """One range ring: its line in pixels, its name, and where the name stands."""

    line: Floats
    text: str
    box: Box | None


def ring_radii(picture: MapPicture, view: View) -> tuple[float, ...]:
    """Return the radii to draw, in NM: those asked for, or round ones out to the farthest corner."""
    station = picture.station
    if station is None:
        return ()
    if picture.ring_radii_nm is not None:
        return tuple(radius for radius in picture.ring_radii_nm if 0 < radius < 5400)[:MOST_RINGS]
    half = min(view.frame.width, view.frame.height) / 2 * view.metres_per_pixel / METRES_PER_NM
    step = next((step for step in RING_STEPS_NM if half / step <= RINGS_IN_SIGHT), RING_STEPS_NM[-1])
    frame = view.frame
    edge = np.array([(x, y) for x in (frame.left, frame.right) for y in (frame.bottom, frame.top)])
    pixels = view.pixels([station.latitude], [station.longitude])[0]
    reach = float(np.hypot(*(edge - pixels).T).max()) * view.metres_per_pixel / METRES_PER_NM
    count = min(4, max(1, int(reach / step)))
    return tuple(float(step * number) for number in range(1, count + 1))


def range_rings(picture: MapPicture, view: View, unit: float, ground: Ground) -> list[Ring]:
    """Return the rings, named along one bearing where their names cover the least."""
    station = picture.station
    if station is None:
        return []
    radii = ring_radii(picture, view)
    boxes = [[ring_box(station, view, radius, bearing, unit) for radius in radii] for bearing in range(0, 360, 15)]
    chosen = min(boxes, key=lambda row: cost_of(row, ground), default=[])
    return [
        Ring(view.pixels(*circle(station.latitude, station.longitude, radius * METRES_PER_NM)), ring_text(radius), box)
        for radius, box in zip(radii, chosen, strict=False)
    ]


def ring_text(radius_nm: float) -> str:
    """Return a ring's name, e.g. ``20 NM``."""
    return f"{radius_nm:g} NM"


def ring_box(station: StationMark, view: View, radius_nm: float, bearing: float, unit: float) -> Box | None:
    """Return where a ring's name stands on a bearing, or None outside the frame."""
    size = 10.5 * unit
    angle, reach = math.radians(bearing), radius_nm * METRES_PER_NM
    place = Azimuthal(station.latitude, station.longitude).inverse([reach * math.sin(angle)], [reach * math.cos(angle)])
    x, y = view.pixels(*place)[0]
    half_width, half_height = text_width(ring_text(radius_nm), size) / 2 + 3 * unit, size * 0.62
    box = Box(x - half_width, y - half_height, x + half_width, y + half_height)
    frame = view.frame
    inside = box.left > frame.left and box.right < frame.right and box.bottom > frame.bottom and box.top < frame.top
    return box if inside else None


def cost_of(boxes: list[Box | None], ground: Ground) -> float:
    """Return how badly ring names stand: unseen is worst, then on a symbol, then on a trail."""
    seen = [box for box in boxes if box is not None]
    if not seen:
        return 1000.0 * len(boxes)
    solid, trail = ground.covered(np.array(seen))
    return float(300 * (len(boxes) - len(seen)) + 200 * np.count_nonzero(solid) + 20 * np.count_nonzero(trail))


def ring_layers(rings: list[Ring], unit: float) -> list[Layer]:
    """Return the rings as dashed lines with their names."""
    if not rings:
        return []
    runs = [
        Run(ring.text, ring.box.left + 3 * unit, (ring.box.bottom + ring.box.top) / 2 - 4 * unit, 10.5 * unit)
        for ring in rings
        if ring.box is not None
    ]
    lines = [ring.line for ring in rings]
    dashed = Stroke(lines, [RING] * len(lines), 1.0 * unit, (5.0, 4.0), clipped=True)
    return [dashed, Words(runs, RING, halo="#ffffff", clipped=True)]


def round_below(value: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is not above the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(number * power for number in ROUND_LENGTHS if number * power <= value * (1 + 1e-9))


def scale_panel(view: View, unit: float, ground: Ground) -> Box:
    """Return the corner of the frame for scale and north arrow: the one that hides least, the lower right first."""
    frame, width, height, gap = view.frame, 246 * unit, 62 * unit, 8 * unit
    left, right = frame.left + gap, frame.right - gap - width
    low, high = frame.bottom + gap, frame.top - gap - height
    corners = [Box(x, y, x + width, y + height) for x, y in ((right, low), (left, low), (right, high), (left, high))]
    solid, trail = ground.covered(np.array(corners))
    cost = 10 * solid + trail
    return corners[int(np.argmin(cost))]


def scale_layers(view: View, panel: Box, unit: float) -> list[Layer]:
    """Return the scale in NM and km and an arrow to true north, on a panel."""
    size = 10.5 * unit
    room = (panel.width - 104 * unit) * view.metres_per_pixel
    left = panel.left + 12 * unit
    layers: list[Layer] = [Fill([panel.corners], [PAPER], ["#9fb0ba"], 0.8)]
    runs = []
    for row, (metres, name) in enumerate(((METRES_PER_NM, "NM"), (1000.0, "km"))):
        length = round_below(room / metres)
        pixels = length * metres / view.metres_per_pixel
        y = panel.top - (20 + 25 * row) * unit
        thick = 5 * unit
        halves = [Box(left + pixels * part, y, left + pixels * (part + 0.5), y + thick) for part in (0.0, 0.5)]
        layers.append(Fill([box.corners for box in halves], [INK, "#ffffff"], [INK, INK], 1.0 * unit))
        runs.append(Run(f"{length:g} {name}", left + pixels + 6 * unit, y + thick / 2 - CAP_HEIGHT * size / 2, size))
    return [*layers, Words(runs, INK), *north_layers(view, panel, unit)]


def north_layers(view: View, panel: Box, unit: float) -> list[Layer]:
    """Return an arrow to true north as it is at the panel's place."""
    centre = np.array([panel.right - 22 * unit, (panel.bottom + panel.top) / 2 - 1 * unit])
    angle = north_at(view, centre)
    shape = np.array([[0, 15.0], [6.5, -10.0], [0, -5.5], [-6.5, -10.0]]) * unit + (0, -5 * unit)
    half = shape.copy()
    half[1] = half[2]
    head = turned(np.array([[0.0, 19.0 * unit]]), angle)[0] + centre
    letter = 11.5 * unit
    name = Run("N", head[0] - text_width("N", letter, True) / 2, head[1] - CAP_HEIGHT * letter / 2, letter, True)
    arrow = [turned(outline, angle) + centre for outline in (shape, half)]
    return [Fill(arrow, ["#ffffff", INK], [INK, INK], 1.0 * unit), Words([name], INK)]


def north_at(view: View, pixel: Floats) -> float:
    """Return the direction of true north at a place, radians clockwise from upwards."""
    latitudes, longitudes = view.degrees(pixel[None, :])
    if not np.isfinite(latitudes[0]):
        return 0.0
    step = 0.05 if latitudes[0] < 89.9 else -0.05
    x, y = (view.pixels(latitudes + step, longitudes)[0] - pixel) * math.copysign(1.0, step)
    return math.atan2(x, y)


def turned(shape: Floats, angle: float) -> Floats:
    """Return a shape turned clockwise by radians."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.column_stack([shape[:, 0] * cosine + shape[:, 1] * sine, shape[:, 1] * cosine - shape[:, 0] * sine])
