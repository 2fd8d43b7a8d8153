"""The packaged chart: land, borders and towns, cut down to what a view shows."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vtoc_bots.plugins.pictures.extent import Box, View
from vtoc_bots.plugins.pictures.projection import Azimuthal, Floats, PlateCarree

DATA = Path(__file__).parent / "data"
CHUNK = 64
"""Vertices that are kept or thinned together."""
WIDE_CHUNK_DEG = 20.0
"""A chunk spanning more longitude is never thinned: its chord would leave its bounding box when projected."""
FINEST_SPACING_M = 2500.0
"""About the distance between vertices of the source; maps with larger pixels take every so many of them."""
POLE_DEG = 89.0

Mask = NDArray[np.bool_]
TURNS = (-360.0, 0.0, 360.0)


class Bounds(NamedTuple):
    """The degrees a view reaches: west may lie below -180 and east above 180."""

    south: float
    west: float
    north: float
    east: float


@dataclass(frozen=True, slots=True)
class Lines:
    """Many lines in one array. Longitudes run on past ±180 within a line."""

    latitudes: Floats
    longitudes: Floats
    starts: NDArray[np.int64]
    """Index of each line's first vertex."""
    chunk_starts: NDArray[np.int64]
    chunk_lines: NDArray[np.int64]
    """Which line each chunk is of."""
    chunk_boxes: Floats
    """South, west, north, east of each chunk, the next chunk's first vertex included."""


class Towns(NamedTuple):
    """Towns, biggest first."""

    names: list[str]
    latitudes: Floats
    longitudes: Floats


class Outline(NamedTuple):
    """Line pieces in pixels: an (n, 2) array, where each piece begins, and which vertices end no drawn edge."""

    pixels: Floats
    begins: Mask
    hidden: Mask
    """Vertices reached by an edge that closes a ring over the pole and is no coast."""


@functools.cache
def _arrays(name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a packaged file. They are never changed, so one copy serves a process."""
    with np.load(DATA / name) as archive:
        return dict(archive)


@functools.cache
def land() -> Lines:
    """Return the world's land as rings."""
    return _lines("land")


@functools.cache
def borders() -> Lines:
    """Return the land borders between countries."""
    return _lines("border")


@functools.cache
def towns() -> Towns:
    """Return the towns, biggest first."""
    arrays = _arrays("towns.npz")
    names = arrays["town_names"].tobytes().decode().split("\n")
    return Towns(names, arrays["town_latitudes"] / 1000.0, arrays["town_longitudes"] / 1000.0)


def _lines(prefix: str) -> Lines:
    arrays = _arrays("land.npz")
    scale_x, scale_y, origin_x, origin_y = arrays["transform"]
    lengths = arrays[f"{prefix}_lengths"].astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    degrees = []
    for axis, (scale, origin) in enumerate(((scale_x, origin_x), (scale_y, origin_y))):
        steps = arrays[f"{prefix}_d{'xy'[axis]}"].astype(np.int64)
        running = np.cumsum(steps)
        firsts = arrays[f"{prefix}_starts"][:, axis] - running[starts]
        degrees.append((running + np.repeat(firsts, lengths)) * scale + origin)
    longitudes, latitudes = degrees
    return chunked(latitudes, longitudes, starts, lengths)


def chunked(latitudes: Floats, longitudes: Floats, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Lines:
    """Return lines with the bounding boxes of their chunks."""
    counts = -(-lengths // CHUNK)
    chunk_lines = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(chunk_lines)) - np.repeat(np.cumsum(counts) - counts, counts)
    chunk_starts = starts[chunk_lines] + within * CHUNK
    following = np.minimum(chunk_starts + CHUNK, (starts + lengths - 1)[chunk_lines])
    boxes = np.column_stack(
        [
            np.minimum(np.minimum.reduceat(latitudes, chunk_starts), latitudes[following]),
            np.minimum(np.minimum.reduceat(longitudes, chunk_starts), longitudes[following]),
            np.maximum(np.maximum.reduceat(latitudes, chunk_starts), latitudes[following]),
            np.maximum(np.maximum.reduceat(longitudes, chunk_starts), longitudes[following]),
        ]
    )
    return Lines(latitudes, longitudes, starts, chunk_starts, chunk_lines, boxes)


def bounds_of(view: View) -> Bounds:
    """Return the degrees a view reaches, with a margin: all longitudes when it holds a pole."""
    frame, projection = view.frame, view.projection
    if isinstance(projection, PlateCarree):
        return Bounds(-90.0, projection.longitude - 180.0, 90.0, projection.longitude + 180.0)
    across = np.linspace(frame.left, frame.right, 33)
    up = np.linspace(frame.bottom, frame.top, 33)
    grid = np.array([(x, y) for x in across for y in up])
    latitudes, longitudes = view.degrees(grid)
    south, north = float(np.nanmin(latitudes)), float(np.nanmax(latitudes))
    margin = 0.5 + (north - south) * 0.1
    poles = view.pixels([-90.0, 90.0], [0.0, 0.0])
    south_pole, north_pole = view.holds(poles)
    if north_pole or south_pole or max(-south, north) + margin > POLE_DEG:
        west, east = projection.longitude - 180.0, projection.longitude + 180.0
        return Bounds(-90.0 if south_pole else south - margin, west, 90.0 if north_pole else north + margin, east)
    deltas = (longitudes - projection.longitude + 180.0) % 360.0 - 180.0
    widening = margin / np.cos(np.radians(min(max(-south, north) + margin, POLE_DEG)))
    west = projection.longitude + float(np.nanmin(deltas)) - widening
    east = projection.longitude + float(np.nanmax(deltas)) + widening
    return Bounds(south - margin, west, north + margin, east)


def touching(boxes: Floats, bounds: Bounds, turn: float = 0.0) -> Mask:
    """Return which boxes (south, west, north, east), turned by `turn` degrees, meet the bounds."""
    up = (boxes[:, 0] <= bounds.north) & (boxes[:, 2] >= bounds.south)
    return up & (boxes[:, 1] + turn <= bounds.east) & (boxes[:, 3] + turn >= bounds.west)


def outline(lines: Lines, view: View, bounds: Bounds) -> Outline:
    """Return the lines a view shows in pixels. What is out of sight is thinned in a way that can't be seen."""
    if isinstance(view.projection, PlateCarree):
        return _joined([_cylindrical(lines, view, view.projection, bounds, turn) for turn in TURNS])
    near = np.logical_or.reduce([touching(lines.chunk_boxes, bounds, turn) for turn in TURNS])
    keep, begins = _kept(lines, near, _line_meets(lines, bounds, TURNS), view.metres_per_pixel)
    latitudes, longitudes = lines.latitudes[keep], lines.longitudes[keep]
    x, y = view.projection.forward(latitudes, longitudes)
    x, y, begins, latitudes = _round_the_back(x, y, begins[keep], latitudes)
    return Outline(view.placed(x, y), begins, _over_the_pole(latitudes))


def antipode_is_inside(lines: Lines, projection: Azimuthal, bounds: Bounds) -> bool:
    """Return whether a ring in sight holds the antipode of the centre, so that in the plane it is filled outwards."""
    latitude, longitude = -projection.latitude, projection.longitude + 180.0
    place = Bounds(latitude, longitude, latitude, longitude)
    ends = np.append(lines.starts[1:], len(lines.latitudes))
    in_sight = _line_meets(lines, bounds, TURNS)
    for turn in TURNS:
        for line in np.unique(lines.chunk_lines[in_sight & _line_meets(lines, place, (turn,))]):
            ring = slice(lines.starts[line], ends[line])
            if _inside(lines.latitudes[ring], lines.longitudes[ring] + turn, latitude, longitude):
                return True
    return False


def _inside(latitudes: Floats, longitudes: Floats, latitude: float, longitude: float) -> bool:
    crosses = (latitudes[:-1] > latitude) != (latitudes[1:] > latitude)
    start, rise = latitudes[:-1][crosses], np.diff(latitudes)[crosses]
    at = longitudes[:-1][crosses] + (latitude - start) / rise * np.diff(longitudes)[crosses]
    return int(np.count_nonzero(at > longitude)) % 2 == 1


def _line_meets(lines: Lines, bounds: Bounds, turns: tuple[float, ...]) -> Mask:
    """Return, for each chunk, whether the bounding box of its whole line meets the bounds."""
    firsts = np.searchsorted(lines.chunk_lines, np.arange(len(lines.starts)))
    low = np.minimum.reduceat(lines.chunk_boxes[:, :2], firsts, axis=0)
    high = np.maximum.reduceat(lines.chunk_boxes[:, 2:], firsts, axis=0)
    boxes = np.hstack([low, high])
    return np.asarray(np.logical_or.reduce([touching(boxes, bounds, turn) for turn in turns])[lines.chunk_lines])


def _kept(lines: Lines, near: Mask, present: Mask, metres_per_pixel: float) -> tuple[Mask, Mask]:
    """Return which vertices to keep, and which begin a line."""
    total = len(lines.latitudes)
    sizes = np.diff(lines.chunk_starts, append=total)
    wide = (lines.chunk_boxes[:, 3] - lines.chunk_boxes[:, 1]) > WIDE_CHUNK_DEG
    step = max(1, int(metres_per_pixel / FINEST_SPACING_M))
    every = (np.arange(total) - np.repeat(lines.chunk_starts, sizes)) % step == 0
    keep = np.repeat(near, sizes) & every
    keep |= np.repeat(wide, sizes)
    keep[lines.chunk_starts] = True
    ends = np.append(lines.starts[1:], total) - 1
    keep[ends] = True
    keep &= np.repeat(present, sizes)
    begins = np.zeros(total, dtype=np.bool_)
    begins[lines.starts] = True
    return keep, begins


def _round_the_back(x: Floats, y: Floats, begins: Mask, latitudes: Floats) -> tuple[Floats, Floats, Mask, Floats]:
    """Lead edges that pass close to the antipode round the map: as chords they would cut across it."""
    reach, azimuth = np.hypot(x, y), np.arctan2(x, y)
    swing = (np.diff(azimuth) + np.pi) % (2 * np.pi) - np.pi
    far = np.minimum(reach[:-1], reach[1:])
    places = np.flatnonzero((np.abs(swing) > np.pi / 3) & (far > 1.0e7) & ~begins[1:])
    if not len(places):
        return x, y, begins, latitudes
    parts = np.array([0.25, 0.5, 0.75])
    turned = (azimuth[places, None] + swing[places, None] * parts).ravel()
    reaches, at = np.repeat(far[places], len(parts)), np.repeat(places + 1, len(parts))
    return (
        np.insert(x, at, reaches * np.sin(turned)),
        np.insert(y, at, reaches * np.cos(turned)),
        np.insert(begins, at, False),
        np.insert(latitudes, at, latitudes[at - 1]),
    )


def _cylindrical(lines: Lines, view: View, projection: PlateCarree, bounds: Bounds, turn: float) -> Outline:
    near = touching(lines.chunk_boxes, bounds, turn)
    keep, begins = _kept(lines, near, _line_meets(lines, bounds, (turn,)), view.metres_per_pixel)
    latitudes = lines.latitudes[keep]
    x, y = projection.plane(latitudes, lines.longitudes[keep] + turn - projection.longitude)
    return Outline(view.placed(x, y), begins[keep], _over_the_pole(latitudes))


def _over_the_pole(latitudes: Floats) -> Mask:
    at_pole = latitudes < -POLE_DEG
    return np.asarray(at_pole | np.concatenate([[False], at_pole[:-1]]))


def _joined(parts: list[Outline]) -> Outline:
    return Outline(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def towns_in(view: View, box: Box) -> tuple[list[str], Floats]:
    """Return names and pixels of the towns inside a box of the view, biggest first."""
    known = towns()
    bounds = bounds_of(view)
    here = (known.latitudes >= bounds.south) & (known.latitudes <= bounds.north)
    deltas = (known.longitudes - bounds.west) % 360.0
    candidates = np.flatnonzero(here & (deltas <= bounds.east - bounds.west))
    pixels = view.pixels(known.latitudes[candidates], known.longitudes[candidates])
    seen = View(view.projection, view.metres_per_pixel, box).holds(pixels)
    return [known.names[index] for index in candidates[seen]], pixels[seen]
