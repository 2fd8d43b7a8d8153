"""Closed paths that simulated aircraft follow, as pure functions of time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

Point = tuple[float, float]
"""Metres east and north of the scenario's position."""

_EARTH_RADIUS_M = 6_371_008.8
_TURN_STEPS = 12


class Place(NamedTuple):
    """Metres east and north, and the direction of movement in degrees true."""

    east: float
    north: float
    track_deg: float


class Path:
    """A closed line through `points`; after the last it returns to the first."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = [*points, points[0]]
        self._starts = [0.0]
        for one, other in zip(self._points, self._points[1:], strict=False):
            self._starts.append(self._starts[-1] + math.dist(one, other))
        self.length_m = self._starts[-1]

    def at(self, distance_m: float) -> Place:
        """The place `distance_m` along the line, round and round."""
        along = distance_m % self.length_m if self.length_m else 0.0
        index = min(bisect_right(self._starts, along), len(self._starts) - 1) - 1
        (east, north), (next_east, next_north) = self._points[index], self._points[index + 1]
        span = self._starts[index + 1] - self._starts[index]
        part = (along - self._starts[index]) / span if span else 0.0
        track = math.degrees(math.atan2(next_east - east, next_north - north)) % 360.0
        return Place(east + part * (next_east - east), north + part * (next_north - north), track)


def racetrack(centre: Point, heading_deg: float, leg_m: float, radius_m: float) -> list[Point]:
    """Two parallel legs joined by half circles, flown clockwise; `heading_deg` is that of the first leg."""
    far = [(math.pi - math.pi * step / _TURN_STEPS, leg_m / 2) for step in range(_TURN_STEPS + 1)]
    near = [(-math.pi * step / _TURN_STEPS, -leg_m / 2) for step in range(_TURN_STEPS + 1)]
    points = [(radius_m * math.cos(angle), end + radius_m * math.sin(angle)) for angle, end in far + near]
    return [_placed(point, heading_deg, centre) for point in points]


def search_pattern(centre: Point, heading_deg: float, leg_m: float, spacing_m: float, legs: int) -> list[Point]:
    """Parallel track search (IAMSAR): `legs` parallel legs `spacing_m` apart, then back to the start."""
    width = spacing_m * (legs - 1)
    points: list[Point] = []
    for leg in range(legs):
        across = leg * spacing_m - width / 2
        ends = [(across, -leg_m / 2), (across, leg_m / 2)]
        points += ends if leg % 2 == 0 else ends[::-1]
    return [_placed(point, heading_deg, centre) for point in points]


def latitude_longitude(centre: tuple[float, float], east: float, north: float) -> tuple[float, float]:
    """WGS84 degrees of the point so many metres from `centre` (latitude, longitude), along the great circle."""
    distance, bearing = math.hypot(east, north) / _EARTH_RADIUS_M, math.atan2(east, north)
    latitude, longitude = math.radians(centre[0]), math.radians(centre[1])
    sine = math.sin(latitude) * math.cos(distance) + math.cos(latitude) * math.sin(distance) * math.cos(bearing)
    there = math.asin(max(-1.0, min(1.0, sine)))
    longitude += math.atan2(
        math.sin(bearing) * math.sin(distance) * math.cos(latitude), math.cos(distance) - math.sin(latitude) * sine
    )
    return math.degrees(there), (math.degrees(longitude) + 180.0) % 360.0 - 180.0


def _placed(point: Point, heading_deg: float, centre: Point) -> Point:
    """Turned so that north becomes `heading_deg`, then moved to `centre`."""
    east, north = point
    angle = math.radians(heading_deg)
    return (
        centre[0] + east * math.cos(angle) + north * math.sin(angle),
        centre[1] - east * math.sin(angle) + north * math.cos(angle),
    )
