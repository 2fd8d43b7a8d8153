"""From the globe to the plane and back, exact at the map's centre and safe at the poles and the antimeridian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_M = 6_371_008.8
METRES_PER_NM = 1852.0
EDGE_DEG = 1e-6
"""How far beyond the world's edge rounding may put a place that is on it."""

Floats = NDArray[np.float64]


class Projection(Protocol):
    """A map projection. Degrees on the globe, metres in the plane, y to the north at the centre."""

    @property
    def latitude(self) -> float:
        """The centre's latitude."""
        ...

    @property
    def longitude(self) -> float:
        """The centre's longitude."""
        ...

    def forward(self, latitudes: ArrayLike, longitudes: ArrayLike) -> tuple[Floats, Floats]:
        """Return x and y in metres."""
        ...

    def inverse(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return latitudes and longitudes (-180..180) in degrees; NaN where the plane shows no place."""
        ...


@dataclass(frozen=True, slots=True)
class Azimuthal:
    """Azimuthal equidistant on the mean sphere (Snyder, Map Projections: A Working Manual, chapter 25).

    Distances and bearings from the centre are true, no place is special but the antipode.
    """

    latitude: float
    longitude: float

    def forward(self, latitudes: ArrayLike, longitudes: ArrayLike) -> tuple[Floats, Floats]:
        """Return x and y in metres."""
        phi = np.radians(np.asarray(latitudes, dtype=np.float64))
        delta = np.radians(np.asarray(longitudes, dtype=np.float64) - self.longitude)
        phi_0 = math.radians(self.latitude)
        sine, cosine, cosine_delta = np.sin(phi), np.cos(phi), np.cos(delta)
        east = cosine * np.sin(delta)
        north = math.cos(phi_0) * sine - math.sin(phi_0) * cosine * cosine_delta
        ahead = math.sin(phi_0) * sine + math.cos(phi_0) * cosine * cosine_delta
        across = np.hypot(east, north)
        stretch = EARTH_RADIUS_M * np.arctan2(across, ahead) / np.where(across > 0, across, 1.0)
        return east * stretch, north * stretch

    def inverse(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return latitudes and longitudes (-180..180) in degrees; NaN beyond the antipode."""
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        away = np.hypot(x, y)
        angle = away / EARTH_RADIUS_M
        safe = np.where(away > 0, away, 1.0)
        phi_0 = math.radians(self.latitude)
        sine, cosine = np.sin(angle), np.cos(angle)
        height = np.clip(cosine * math.sin(phi_0) + y * sine * math.cos(phi_0) / safe, -1.0, 1.0)
        delta = np.arctan2(x * sine, safe * math.cos(phi_0) * cosine - y * math.sin(phi_0) * sine)
        outside = angle > math.pi
        latitudes = np.where(outside, np.nan, np.degrees(np.arcsin(height)))
        longitudes = np.where(outside, np.nan, wrapped(self.longitude + np.degrees(delta)))
        return latitudes, longitudes


@dataclass(frozen=True, slots=True)
class PlateCarree:
    """Equirectangular, true along the parallel of its centre: for areas too wide for `Azimuthal`."""

    latitude: float
    longitude: float

    @property
    def squeeze(self) -> float:
        """Metres east a metre of equator takes."""
        return math.cos(math.radians(min(abs(self.latitude), 60.0)))

    def forward(self, latitudes: ArrayLike, longitudes: ArrayLike) -> tuple[Floats, Floats]:
        """Return x and y in metres."""
        delta = wrapped(np.asarray(longitudes, dtype=np.float64) - self.longitude)
        return self.plane(np.asarray(latitudes, dtype=np.float64), delta)

    def plane(self, latitudes: Floats, deltas: Floats) -> tuple[Floats, Floats]:
        """Return x and y in metres of longitudes counted from the centre, not wrapped."""
        y = np.radians(latitudes - self.latitude) * EARTH_RADIUS_M
        return np.radians(deltas) * (EARTH_RADIUS_M * self.squeeze), y

    def inverse(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return latitudes and longitudes (-180..180) in degrees; NaN outside the world."""
        delta = np.degrees(np.asarray(x, dtype=np.float64) / (EARTH_RADIUS_M * self.squeeze))
        latitudes = self.latitude + np.degrees(np.asarray(y, dtype=np.float64) / EARTH_RADIUS_M)
        outside = (np.abs(latitudes) > 90.0 + EDGE_DEG) | (np.abs(delta) > 180.0 + EDGE_DEG)
        return np.where(outside, np.nan, latitudes), np.where(outside, np.nan, wrapped(self.longitude + delta))


def wrapped(degrees: ArrayLike) -> Floats:
    """Return angles brought into -180 (included) to 180 (excluded) degrees."""
    return np.asarray((np.asarray(degrees, dtype=np.float64) + 180.0) % 360.0 - 180.0)


def circle(latitude: float, longitude: float, radius_m: float, points: int = 181) -> tuple[Floats, Floats]:
    """Return latitudes and longitudes of a closed geodesic circle, from north by east."""
    bearings = np.linspace(0.0, 2 * math.pi, points)
    centre = Azimuthal(latitude, longitude)
    return centre.inverse(radius_m * np.sin(bearings), radius_m * np.cos(bearings))


def away(latitude: float, longitude: float, latitudes: ArrayLike, longitudes: ArrayLike) -> tuple[Floats, Floats]:
    """Return great-circle distances (metres) and bearings (degrees true, 0..360) from one place to others."""
    x, y = Azimuthal(latitude, longitude).forward(latitudes, longitudes)
    return np.hypot(x, y), np.degrees(np.arctan2(x, y)) % 360.0
