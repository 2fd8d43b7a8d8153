"""A constant-velocity Kalman filter on a local east-north plane."""

from __future__ import annotations

import math
from typing import Final

from vtoc_bots.core.telemetry import EARTH_RADIUS_M

METRES_PER_DEGREE: Final = EARTH_RADIUS_M * math.pi / 180.0
RECENTRE_M: Final = 20_000.0
"""Past this distance from the plane's origin the plane is laid anew, so that its scale stays true."""


def metres_per_longitude_degree(latitude: float) -> float:
    """Metres in one degree of longitude at a latitude in degrees; never zero, so that one can divide at a pole."""
    return METRES_PER_DEGREE * max(math.cos(math.radians(latitude)), 1e-6)


def wrapped_degrees(difference: float) -> float:
    """A difference of two longitudes brought into -180..180 degrees."""
    if -180.0 <= difference <= 180.0:
        return difference
    return (difference + 180.0) % 360.0 - 180.0


class ConstantVelocityFilter:
    """Position (`x` east, `y` north, metres) and velocity of one source track, around an origin that moves with it.

    The noise is the same in both axes, so both share one 2x2 covariance: `p` of position, `c` between position and
    velocity, `w` of velocity. White-noise acceleration of power `noise` (m²/s³), after Bar-Shalom, Li and
    Kirubarajan, Estimation with Applications to Tracking and Navigation, section 6.2.
    """

    __slots__ = (
        "c",
        "innovation",
        "innovation_variance",
        "latitude",
        "longitude",
        "noise",
        "p",
        "scale",
        "t",
        "vx",
        "vy",
        "w",
        "x",
        "y",
    )

    def __init__(
        self, t: float, latitude: float, longitude: float, variance: float, velocity_variance: float, noise: float
    ) -> None:
        self.t = t
        self.latitude = latitude
        self.longitude = longitude
        self.scale = metres_per_longitude_degree(latitude)
        self.x = self.y = self.vx = self.vy = 0.0
        self.p = variance
        self.c = 0.0
        self.w = velocity_variance
        self.noise = noise
        self.innovation = 0.0
        """How far the last position was from the predicted one: χ² with two degrees of freedom."""
        self.innovation_variance = variance

    def to_plane(self, latitude: float, longitude: float) -> tuple[float, float]:
        """Metres east and north of this filter's origin."""
        return wrapped_degrees(longitude - self.longitude) * self.scale, (latitude - self.latitude) * METRES_PER_DEGREE

    def from_plane(self, x: float, y: float) -> tuple[float, float]:
        """Latitude and longitude in degrees of a point `x` metres east and `y` north of this filter's origin."""
        latitude = min(90.0, max(-90.0, self.latitude + y / METRES_PER_DEGREE))
        return latitude, wrapped_degrees(self.longitude + x / self.scale)

    def covariance_at(self, t: float) -> tuple[float, float, float]:
        """`p`, `c`, `w` of the state extrapolated to `t`, which may lie before the newest report."""
        dt = t - self.t
        q = self.noise * abs(dt)
        w = self.w + q
        c = self.c + self.w * dt + 0.5 * q * dt
        p = self.p + dt * (2.0 * self.c + dt * (self.w + q / 3.0))
        # Before the newest report the state is a smoothed one, but never better than what it was made from.
        return max(p, self.p), c, w

    def variance_at(self, t: float) -> float:
        """Variance along each axis of the position extrapolated to `t`."""
        dt = t - self.t
        grown = self.p + dt * (2.0 * self.c + dt * (self.w + abs(dt) * self.noise / 3.0))
        return grown if grown > self.p else self.p

    def update(self, t: float, latitude: float, longitude: float, variance: float) -> None:
        """Take in a measured position. One older than the state is compared with the state taken back to its time."""
        dt = t - self.t
        dx = wrapped_degrees(longitude - self.longitude) * self.scale - self.x - self.vx * dt
        dy = (latitude - self.latitude) * METRES_PER_DEGREE - self.y - self.vy * dt
        q = self.noise * dt
        if dt >= 0.0:
            w = self.w + q
            c = self.c + self.w * dt + 0.5 * q * dt
            p = self.p + dt * (2.0 * self.c + dt * (self.w + q / 3.0))
            s = p + variance
            k, g = p / s, c / s
            self.t = t
            self.x += self.vx * dt + k * dx
            self.y += self.vy * dt + k * dy
            self.p = p - k * p
            self.c = c - k * c
            self.w = w - g * c
        else:
            # The measurement is of x + v·dt: the state stays at its own time and the gain is for that combination.
            back_x = self.p + self.c * dt
            back_v = self.c + self.w * dt
            s = back_x + back_v * dt + variance - q * dt * dt / 3.0
            k, g = back_x / s, back_v / s
            self.x += k * dx
            self.y += k * dy
            self.p -= k * back_x
            self.c -= k * back_v
            self.w -= g * back_v
        self.vx += g * dx
        self.vy += g * dy
        self.innovation = (dx * dx + dy * dy) / s
        self.innovation_variance = s
        if abs(self.x) + abs(self.y) > RECENTRE_M:
            self._recentre()

    def update_velocity(self, vx: float, vy: float, variance: float) -> None:
        """Take in a measured velocity, metres per second east and north, at the time of the state."""
        s = self.w + variance
        k, g = self.c / s, self.w / s
        dx, dy = vx - self.vx, vy - self.vy
        self.x += k * dx
        self.y += k * dy
        self.vx += g * dx
        self.vy += g * dy
        self.p -= k * self.c
        self.c -= k * self.w
        self.w -= g * self.w

    def _recentre(self) -> None:
        self.latitude, self.longitude = self.from_plane(self.x, self.y)
        self.scale = metres_per_longitude_degree(self.latitude)
        self.x = self.y = 0.0
