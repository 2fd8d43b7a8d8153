"""Chooses what part of the world a picture shows, and at which scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vtoc_bots.plugins.pictures.picture import Area, CircleArea, MapPicture
from vtoc_bots.plugins.pictures.projection import (
    EARTH_RADIUS_M,
    METRES_PER_NM,
    Azimuthal,
    Floats,
    PlateCarree,
    Projection,
    away,
    circle,
    wrapped,
)

MARGIN = 0.06
"""Part of the frame left free on each side of what must be seen."""
SMALLEST_HALF_M = 15 * METRES_PER_NM
WIDEST_AZIMUTHAL_M = math.radians(55) * EARTH_RADIUS_M
NARROWEST_CUT_DEG = 30.0
"""Places that leave no wider gap than this between them lie all round the world, which is cut at the antimeridian."""
FARTHEST_STATION = 2.5
"""A station that would make the map this many times wider is left outside, with a note."""


class Box(NamedTuple):
    """A rectangle in pixels, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        """Pixels from side to side."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Pixels from bottom to top."""
        return self.top - self.bottom

    @property
    def corners(self) -> Floats:
        """The four corners, counter-clockwise from the lower left, as a (4, 2) array."""
        return np.array(
            [[self.left, self.bottom], [self.right, self.bottom], [self.right, self.top], [self.left, self.top]]
        )

    def grown(self, by: float) -> Box:
        """Return the box with `by` pixels more on every side."""
        return Box(self.left - by, self.bottom - by, self.right + by, self.top + by)


@dataclass(frozen=True, slots=True)
class View:
    """A projection laid into a frame of pixels."""

    projection: Projection
    metres_per_pixel: float
    frame: Box

    def pixels(self, latitudes: ArrayLike, longitudes: ArrayLike) -> Floats:
        """Return an (n, 2) array of pixel positions."""
        x, y = self.projection.forward(latitudes, longitudes)
        return self.placed(x, y)

    def placed(self, x: Floats, y: Floats) -> Floats:
        """Return plane metres as an (n, 2) array of pixel positions."""
        centre_x, centre_y = self.centre
        return np.column_stack([centre_x + x / self.metres_per_pixel, centre_y + y / self.metres_per_pixel])

    def degrees(self, pixels: ArrayLike) -> tuple[Floats, Floats]:
        """Return latitudes and longitudes of an (n, 2) array of pixel positions, NaN off the world."""
        at = np.asarray(pixels, dtype=np.float64)
        centre_x, centre_y = self.centre
        scale = self.metres_per_pixel
        return self.projection.inverse((at[:, 0] - centre_x) * scale, (at[:, 1] - centre_y) * scale)

    @property
    def centre(self) -> tuple[float, float]:
        """The frame's centre in pixels."""
        return (self.frame.left + self.frame.right) / 2, (self.frame.bottom + self.frame.top) / 2

    def holds(self, pixels: Floats) -> NDArray[np.bool_]:
        """Return which of the (n, 2) pixel positions lie in the frame."""
        frame = self.frame
        across = (pixels[:, 0] >= frame.left) & (pixels[:, 0] <= frame.right)
        return across & (pixels[:, 1] >= frame.bottom) & (pixels[:, 1] <= frame.top)


def view_of(picture: MapPicture, frame: Box) -> View:
    """Return the view of a picture in a frame: its area, or what its tracks, their trails and the station fill."""
    if picture.area is not None:
        return fitted(*area_points(picture.area), frame, margin=0.0, smallest_m=100.0)
    latitudes, longitudes = points_of(picture)
    if not latitudes.size:
        return View(PlateCarree(0.0, 0.0), 2 * math.pi * EARTH_RADIUS_M / frame.width, frame)
    return fitted(latitudes, longitudes, frame, margin=MARGIN, smallest_m=SMALLEST_HALF_M)


def points_of(picture: MapPicture) -> tuple[Floats, Floats]:
    """Return latitudes and longitudes that an automatic extent must hold."""
    places = [(track.latitude, track.longitude) for track in picture.shown]
    for track in picture.shown:
        since = picture.at.timestamp() - picture.trail_seconds
        places += [(p.latitude, p.longitude) for p in track.trail[::4] if p.at.timestamp() >= since]
    points = np.array(places, dtype=np.float64).reshape(-1, 2)
    station = picture.station
    if station is not None and station_fits(station.latitude, station.longitude, points):
        points = np.vstack([points, [[station.latitude, station.longitude]]])
    return points[:, 0], points[:, 1]


def station_fits(latitude: float, longitude: float, points: Floats) -> bool:
    """Return whether showing the station leaves the tracks large enough to read."""
    if not len(points):
        return True
    projection, x, y = centred(points[:, 0], points[:, 1])
    spread = max(float(np.hypot(x, y).max()), SMALLEST_HALF_M)
    distance, _ = away(projection.latitude, projection.longitude, [latitude], [longitude])
    return float(distance[0]) <= 2 * FARTHEST_STATION * spread


def area_points(area: Area) -> tuple[Floats, Floats]:
    """Return places along the edge of an area."""
    if isinstance(area, CircleArea):
        return circle(area.latitude, area.longitude, area.radius_m, 73)
    width = (area.east - area.west) % 360.0 or 360.0
    longitudes = area.west + np.linspace(0.0, width, 25)
    edges = np.concatenate([np.full(25, area.south), np.full(25, area.north)])
    return edges, np.tile(longitudes, 2)


def centred(latitudes: Floats, longitudes: Floats) -> tuple[Azimuthal, Floats, Floats]:
    """Return the azimuthal projection in whose plane the points' bounding box is centred, and the points in it."""
    phi, lam = np.radians(latitudes), np.radians(longitudes)
    east, north = float(np.mean(np.cos(phi) * np.sin(lam))), float(np.mean(np.sin(phi)))
    ahead = float(np.mean(np.cos(phi) * np.cos(lam)))
    projection = Azimuthal(
        math.degrees(math.atan2(north, math.hypot(east, ahead))), math.degrees(math.atan2(east, ahead))
    )
    for _ in range(4):
        x, y = projection.forward(latitudes, longitudes)
        middle = projection.inverse([(x.min() + x.max()) / 2], [(y.min() + y.max()) / 2])
        projection = Azimuthal(float(middle[0][0]), float(middle[1][0]))
    return projection, *projection.forward(latitudes, longitudes)


def fitted(latitudes: Floats, longitudes: Floats, frame: Box, *, margin: float, smallest_m: float) -> View:
    """Return the view in which all the places lie inside the frame less `margin` of its size on each side."""
    room = 1.0 - 2 * margin
    projection: Projection
    projection, x, y = centred(latitudes, longitudes)
    if float(np.hypot(x, y).max()) > WIDEST_AZIMUTHAL_M:
        projection, x, y = wide(latitudes, longitudes)
    half_x = max(float(np.abs(x).max()), smallest_m)
    half_y = max(float(np.abs(y).max()), smallest_m)
    scale = max(2 * half_x / (frame.width * room), 2 * half_y / (frame.height * room))
    if isinstance(projection, PlateCarree):
        scale = min(scale, 2 * math.pi * EARTH_RADIUS_M * projection.squeeze / frame.width)
    return View(projection, scale, frame)


def wide(latitudes: Floats, longitudes: Floats) -> tuple[PlateCarree, Floats, Floats]:
    """Return the cylindrical projection cut where the places leave the widest gap, and the places in it."""
    around = np.sort(longitudes % 360.0)
    gaps = np.diff(around, append=around[0] + 360.0)
    widest = int(np.argmax(gaps))
    cut = around[widest] + gaps[widest] / 2 if gaps[widest] > NARROWEST_CUT_DEG else 180.0
    middle = float(wrapped(cut + 180.0))
    projection = PlateCarree(float((latitudes.min() + latitudes.max()) / 2), middle)
    return projection, *projection.forward(latitudes, longitudes)
