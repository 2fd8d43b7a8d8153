"""Reading single values that every ADS-B format has, without trusting them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from vtoc_bots import Rejected, feet, knots

FEET: Final = feet(1.0)
"""Metres in a foot."""
KNOTS: Final = knots(1.0)
"""Metres per second in a knot."""
FEET_A_MINUTE: Final = feet(1.0) / 60.0
"""Metres per second in a foot a minute."""

_HEX = frozenset("0123456789abcdef")
_OCTAL = frozenset("01234567")
_LARGEST = 1e15
_LAST_SECOND = 4_102_444_800.0  # the year 2100


def number(value: object) -> float | None:
    """A JSON number that is finite and of sane size, else None."""
    if (type(value) is float or type(value) is int) and -_LARGEST < value < _LARGEST:
        return value
    return None


def direction(value: object) -> float | None:
    """Degrees 0..360."""
    degrees = number(value)
    return degrees if degrees is not None and 0 <= degrees <= 360 else None


def place_of(latitude: object, longitude: object) -> tuple[float, float] | tuple[None, None] | Rejected:
    """(latitude, longitude) in degrees; (None, None) where one is missing, Rejected where they are off the globe."""
    north, east = number(latitude), number(longitude)
    if north is None or east is None:
        return None, None
    if -90 <= north <= 90 and -180 <= east <= 180:
        return north, east
    return Rejected("position", f"{north}, {east}")


def utc_from_epoch(seconds: float) -> datetime | None:
    """Seconds since 1970 as an aware UTC time; None when they are no time of this century or the last."""
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LAST_SECOND else None


def identity_of(text: object) -> tuple[str, str] | None:
    """(namespace, lower-case hex) of a 24-bit address; readsb marks one that is not ICAO's with ``~``."""
    if type(text) is not str:
        return None
    address = text.strip().lower()
    namespace = "icao"
    if address[:1] == "~":
        namespace, address = "nonicao", address[1:]
    return (namespace, address) if len(address) == 6 and _HEX.issuperset(address) else None


def callsign_of(text: object) -> str | None:
    """Without padding; None when empty or not made of printable characters. Mode S pads with spaces or ``@``, ``_``."""
    if type(text) is not str:
        return None
    callsign = text.strip(" @_\t")
    return callsign if callsign and callsign.isprintable() and len(callsign) <= 16 else None


def squawk_of(text: object) -> str | None:
    """A Mode A code: four octal digits."""
    return text if type(text) is str and len(text) == 4 and _OCTAL.issuperset(text) else None
