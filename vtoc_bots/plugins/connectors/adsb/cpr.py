"""Compact Position Reporting: from the 17-bit halves of ADS-B position messages to latitude and longitude.

The algorithm is that of ICAO Doc 9871, C.2.6 and RTCA DO-260B, A.1.7. A half is (latitude, longitude), each 0..131071.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Final

Half = tuple[int, int]
Position = tuple[float, float]

_SCALE: Final = 131_072.0
_AIRBORNE_DEG: Final = 360.0
_SURFACE_DEG: Final = 90.0


def _zone_limits() -> tuple[float, ...]:
    """Latitudes, ascending, at which the number of longitude zones falls from 59 to 58, … 2 to 1."""
    numerator = 1.0 - math.cos(math.pi / 30.0)
    cosines = (math.sqrt(numerator / (1.0 - math.cos(2.0 * math.pi / zones))) for zones in range(59, 1, -1))
    return tuple(math.degrees(math.acos(cosine)) for cosine in cosines)


_ZONE_LIMITS: Final = _zone_limits()


def longitude_zones(latitude: float) -> int:
    """NL: how many longitude zones there are at this latitude, 59 at the equator to 1 at the poles."""
    return 59 - bisect_right(_ZONE_LIMITS, abs(latitude))


def airborne_position(even: Half, odd: Half, newest_is_odd: bool) -> Position | None:
    """The newest half's position, unambiguous on the globe; None when the two lie in different longitude zones."""
    index = math.floor((59 * even[0] - 60 * odd[0]) / _SCALE + 0.5)
    even_latitude = _signed(6.0 * (index % 60 + even[0] / _SCALE))
    odd_latitude = _signed(360.0 / 59.0 * (index % 59 + odd[0] / _SCALE))
    if abs(even_latitude) > 90.0 or abs(odd_latitude) > 90.0:
        return None
    zones = longitude_zones(even_latitude)
    if zones != longitude_zones(odd_latitude):
        return None
    longitude = _longitude(even, odd, newest_is_odd, zones, _AIRBORNE_DEG)
    return (odd_latitude if newest_is_odd else even_latitude), _signed(longitude)


def surface_position(even: Half, odd: Half, newest_is_odd: bool, near: Position) -> Position | None:
    """As airborne_position, but unambiguous only within 45° of `near`, e.g. the receiver."""
    index = math.floor((59 * even[0] - 60 * odd[0]) / _SCALE + 0.5)
    even_latitude = 1.5 * (index % 60 + even[0] / _SCALE)
    odd_latitude = 90.0 / 59.0 * (index % 59 + odd[0] / _SCALE)
    # There is one solution in the northern hemisphere and one in the southern, 90° apart.
    southern = (odd_latitude if newest_is_odd else even_latitude) - near[0] > 45.0
    if southern:
        even_latitude, odd_latitude = even_latitude - 90.0, odd_latitude - 90.0
    if abs(even_latitude) > 90.0 or abs(odd_latitude) > 90.0:
        return None
    zones = longitude_zones(even_latitude)
    if zones != longitude_zones(odd_latitude):
        return None
    longitude = _longitude(even, odd, newest_is_odd, zones, _SURFACE_DEG)
    # Of the four solutions 90° apart, the nearest.
    longitude += 90.0 * math.floor((near[1] - longitude) / 90.0 + 0.5)
    return (odd_latitude if newest_is_odd else even_latitude), _signed(longitude)


def local_position(half: Half, odd: bool, surface: bool, near: Position) -> Position | None:
    """One half's position nearest to `near`; right within 180 NM of it, on the surface 45 NM. None off the globe."""
    circle = _SURFACE_DEG if surface else _AIRBORNE_DEG
    step = circle / (59 if odd else 60)
    latitude = _nearest(half[0] / _SCALE, step, near[0])
    if abs(latitude) > 90.0:
        return None
    step = circle / max(longitude_zones(latitude) - odd, 1)
    return latitude, _signed(_nearest(half[1] / _SCALE, step, near[1]))


def _longitude(even: Half, odd: Half, newest_is_odd: bool, zones: int, circle: float) -> float:
    """Degrees in 0..`circle`."""
    index = math.floor((even[1] * (zones - 1) - odd[1] * zones) / _SCALE + 0.5)
    steps = max(zones - newest_is_odd, 1)
    return circle / steps * (index % steps + (odd if newest_is_odd else even)[1] / _SCALE)


def _nearest(fraction: float, step: float, near: float) -> float:
    """The value `step` × (whole number + `fraction`) that is nearest to `near`."""
    return step * (math.floor(near / step - fraction + 0.5) + fraction)


def _signed(degrees: float) -> float:
    """In -180..180."""
    return (degrees + 180.0) % 360.0 - 180.0
