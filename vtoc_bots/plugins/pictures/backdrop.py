"""The map under the traffic: sea, land, borders and the graticule with its degrees."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.path import Path

from vtoc_bots.plugins.pictures.chart import Bounds, Outline, antipode_is_inside, borders, bounds_of, land, outline
from vtoc_bots.plugins.pictures.extent import View
from vtoc_bots.plugins.pictures.layers import Area, Fill, Layer, Stroke, Words
from vtoc_bots.plugins.pictures.projection import EARTH_RADIUS_M, Azimuthal, Floats, PlateCarree, wrapped
from vtoc_bots.plugins.pictures.typeface import CAP_HEIGHT, Run, text_width

SEA, LAND, COAST, BORDER, GRID = "#d3e4ee", "#f4f1e7", "#7f96a3", "#a89a86", "#bcc8cd"
NOWHERE = "#e9ebec"
INK = "#3d4a53"
STEPS_DEG = (45, 30, 20, 10, 5, 2, 1, 1 / 2, 1 / 3, 1 / 6, 1 / 12, 1 / 30, 1 / 60, 1 / 120, 1 / 360, 1 / 720, 1 / 3600)
LINES_ACROSS = 5.0
"""At least about so many graticule lines cross the map's shorter side."""


def backdrop(view: View, unit: float) -> list[Layer]:
    """Return the layers of the chart: everything that is there without any traffic."""
    bounds = bounds_of(view)
    frame, world = view.frame, world_outline(view)
    layers: list[Layer] = [
        Fill([frame.corners], [NOWHERE], [NOWHERE]),
        Fill([world], [SEA], [SEA], clipped=True),
    ]
    ground = outline(land(), view, bounds)
    if len(ground.pixels):
        layers.append(Area(filled(ground, view, bounds), LAND, LAND, 0.5))
        layers.append(Area(drawn(ground), None, COAST, 0.9 * unit))
    frontier = outline(borders(), view, bounds)
    if len(frontier.pixels):
        layers.append(Area(drawn(frontier), None, BORDER, 0.9 * unit, (7.0, 2.0, 1.5, 2.0)))
    return [*layers, *graticule(view, bounds, unit)]


def world_outline(view: View) -> Floats:
    """Return what of the frame is on earth at all."""
    projection = view.projection
    if isinstance(projection, PlateCarree):
        edge = np.array([-180.0, 180.0, 180.0, -180.0])
        return view.placed(*projection.plane(np.array([-90.0, -90.0, 90.0, 90.0]), edge))
    return view.frame.corners


def filled(shape: Outline, view: View, bounds: Bounds) -> Path:
    """Return the outline as areas. A ring round the antipode is filled outwards, to the edge of the world."""
    codes = np.where(shape.begins, Path.MOVETO, Path.LINETO).astype(np.uint8)
    pixels = shape.pixels
    if isinstance(view.projection, Azimuthal) and antipode_is_inside(land(), view.projection, bounds):
        bearings = np.linspace(0.0, 2 * math.pi, 73)
        rim = math.pi * EARTH_RADIUS_M
        pixels = np.vstack([pixels, view.placed(rim * np.sin(bearings), rim * np.cos(bearings))])
        codes = np.append(codes, np.full(73, Path.LINETO, dtype=np.uint8))
        codes[-73] = Path.MOVETO
    return Path(pixels, codes)


def drawn(shape: Outline) -> Path:
    """Return the outline as lines."""
    return Path(shape.pixels, np.where(shape.begins | shape.hidden, Path.MOVETO, Path.LINETO).astype(np.uint8))


def step_for(span_deg: float) -> float:
    """Return the graticule's step for so many degrees: a part of a degree people count in."""
    return next((step for step in STEPS_DEG if span_deg / step >= LINES_ACROSS), STEPS_DEG[-1])


def multiples(low: float, high: float, step: float) -> Floats:
    """Return the multiples of `step` from `low` to `high`."""
    numbers = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return np.asarray(numbers * step, dtype=np.float64)


def graticule(view: View, bounds: Bounds, unit: float) -> list[Layer]:
    """Return parallels and meridians, with their degrees outside the frame."""
    frame = view.frame
    side = min(frame.width, frame.height) * view.metres_per_pixel / EARTH_RADIUS_M
    parallel_step = step_for(math.degrees(side))
    middle = math.cos(math.radians(min(abs(view.projection.latitude), 80.0)))
    meridian_step = step_for(math.degrees(side) / middle)
    wide = bounds.east - bounds.west >= 359.0
    north, south = min(bounds.north, 90.0), max(bounds.south, -90.0)
    lines = []
    along = np.linspace(bounds.west, bounds.east, 361 if wide else 121)
    inner = along if not isinstance(view.projection, PlateCarree) else np.clip(along, along[0] + 1e-6, along[-1] - 1e-6)
    for latitude in multiples(south, north, parallel_step):
        lines.append(view.pixels(np.full(len(inner), latitude), inner))
    top = min(north, 90.0 - parallel_step) if wide else north
    low = max(south, -90.0 + parallel_step) if wide else south
    for longitude in multiples(bounds.west, bounds.east - (1e-6 if wide else 0), meridian_step):
        lines.append(view.pixels(np.linspace(low, top, 121), np.full(121, longitude)))
    grid = Stroke(lines, [GRID] * len(lines), 0.8 * unit, clipped=True)
    polar = wide and isinstance(view.projection, Azimuthal)
    steps = (math.inf if polar else parallel_step, meridian_step)
    runs = edge_runs(view, *steps, unit, left=True) + edge_runs(view, *steps, unit, left=False)
    inside = polar_runs(view, parallel_step, unit) if polar else []
    return [grid, Words(runs, INK), Words(inside, INK, halo=LAND, clipped=True)]


def polar_runs(view: View, parallel_step: float, unit: float) -> list[Run]:
    """Return the parallels' degrees along the meridian that runs down from a pole in sight."""
    size = 11.0 * unit
    latitudes = multiples(-90.0 + parallel_step, 90.0 - parallel_step, parallel_step)
    pixels = view.pixels(latitudes, np.full(len(latitudes), view.projection.longitude))
    texts = [parallel_text(float(latitude), parallel_step) for latitude in latitudes]
    return [
        Run(text, float(x) - text_width(text, size) / 2, float(y) - CAP_HEIGHT * size / 2, size)
        for text, (x, y), seen in zip(texts, pixels, view.holds(pixels), strict=True)
        if seen
    ]


def edge_runs(view: View, parallel_step: float, meridian_step: float, unit: float, *, left: bool) -> list[Run]:
    """Return the degrees written along the left or the lower edge: of whichever lines cross it more often."""
    frame, size = view.frame, 11.0 * unit
    across = np.linspace(frame.left, frame.right, 801)
    up = np.linspace(frame.bottom, frame.top, 801)
    low = max(frame.bottom, float(world_outline(view)[:, 1].min()))
    edge = np.column_stack([np.full(801, frame.left), up] if left else [across, np.full(801, low)])
    latitudes, longitudes = view.degrees(edge)
    parallels = crossings(latitudes, parallel_step)
    meridians = crossings(np.degrees(np.unwrap(np.radians(longitudes))), meridian_step)
    chosen = [(at, parallel_text(value, parallel_step)) for at, value in parallels]
    if len(meridians) > len(parallels):
        chosen = [(at, meridian_text(float(wrapped(value)), meridian_step)) for at, value in meridians]
    runs: list[Run] = []
    free = -math.inf
    for at, text in chosen:
        x, y = edge[at]
        width = text_width(text, size)
        start = y - CAP_HEIGHT * size / 2 if left else x - width / 2
        last = frame.top - CAP_HEIGHT * size if left else frame.right - width
        if start < free or not (frame.bottom - 1 if left else frame.left - width) <= start <= last:
            continue
        free = start + (1.6 * size if left else width + size)
        low = frame.bottom - CAP_HEIGHT * size - 5 * unit
        runs.append(Run(text, frame.left - width - 5 * unit, start, size) if left else Run(text, start, low, size))
    return runs


def crossings(values: Floats, step: float) -> list[tuple[int, float]]:
    """Return where along a row of degrees a multiple of `step` is crossed, and which one."""
    cells = np.floor(values / step + 1e-9)
    found = []
    for at in np.flatnonzero(np.diff(cells) != 0):
        if np.isfinite(cells[at]) and np.isfinite(cells[at + 1]):
            found.append((int(at), float(max(cells[at], cells[at + 1]) * step)))
    return found


def degree_text(value: float, step: float) -> str:
    """Return degrees with as many minutes and seconds as the step needs, e.g. ``49°30′``."""
    seconds = round(abs(value) * 3600)
    degrees, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    if step >= 1:
        return f"{degrees}°"
    return f"{degrees}°{minutes:02}′" + (f"{rest:02}″" if step < 1 / 60 else "")


def parallel_text(latitude: float, step: float) -> str:
    """Return a latitude, e.g. ``49°30′N``."""
    return degree_text(latitude, step) + ("" if abs(latitude) < 1e-9 else "N" if latitude > 0 else "S")


def meridian_text(longitude: float, step: float) -> str:
    """Return a longitude, e.g. ``2°E``."""
    name = "" if abs(longitude) < 1e-9 or abs(abs(longitude) - 180.0) < 1e-9 else "E" if longitude > 0 else "W"
    return degree_text(longitude, step) + name
