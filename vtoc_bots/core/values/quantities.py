"""Durations, distances, speeds and altitudes as people write them; SI inside."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from vtoc_bots.core.telemetry import METRES_PER_FOOT, METRES_PER_NAUTICAL_MILE, MPS_PER_KNOT
from vtoc_bots.core.values.value_type import MAX_CHARACTERS, ValueType, number_json, number_text, shown

_METRES: Final[Mapping[str, float]] = {
    "m": 1.0,
    "km": 1000.0,
    "nm": METRES_PER_NAUTICAL_MILE,
    "nmi": METRES_PER_NAUTICAL_MILE,
    "mi": 1609.344,
    "ft": METRES_PER_FOOT,
}
_METRES_PER_SECOND: Final[Mapping[str, float]] = {
    "m/s": 1.0,
    "mps": 1.0,
    "km/h": 1 / 3.6,
    "kmh": 1 / 3.6,
    "kt": MPS_PER_KNOT,
    "kts": MPS_PER_KNOT,
    "kn": MPS_PER_KNOT,
    "mph": 0.44704,
}
_ALTITUDE_METRES: Final[Mapping[str, float]] = {"m": 1.0, "km": 1000.0, "ft": METRES_PER_FOOT}
_SECONDS: Final[Mapping[str, float]] = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_UNIT_WORDS: Final[Mapping[str, str]] = {
    **{unit: unit for unit in _SECONDS},
    **{f"{word}{end}": word[0] for word in ("week", "day", "hour", "minute", "second") for end in ("", "s")},
    "hr": "h",
    "hrs": "h",
    "min": "m",
    "mins": "m",
    "sec": "s",
    "secs": "s",
}
MAX_DURATION: Final = timedelta(days=3660)
MAX_QUANTITY: Final = 1e12
DECIMALS: Final = 9
"""Quantities are kept to the nanometre, so that one value has one text."""

_AMOUNT = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_QUANTITY = re.compile(rf"([+-]?{_AMOUNT})\s*([a-z/]{{0,4}})")
_DURATION_PART = re.compile(rf"({_AMOUNT})\s*([a-z]{{1,7}})\s*")
# ISO 8601-1:2019, 5.5.2.3, without years and months, whose length is not fixed.
_ISO_DURATION = re.compile(
    rf"p(?:(?P<w>{_AMOUNT})w|(?:(?P<d>{_AMOUNT})d)?(?:t(?:(?P<h>{_AMOUNT})h)?(?:(?P<m>{_AMOUNT})m)?(?:(?P<s>{_AMOUNT})s)?)?)"
)
_FLIGHT_LEVEL = re.compile(r"fl\s?([0-9]{1,4})")


def _parse_duration(text: str) -> timedelta:
    words = text.strip().lower()
    seconds = _iso_seconds(words) if words.startswith("p") else _unit_seconds(words)
    if seconds is None:
        hint = " (no unit)" if re.fullmatch(_AMOUNT, words) else ""
        raise ValueError(f"{shown(text)} is no duration{hint}; write {DURATION.accepts}")
    return _duration(seconds, text)


def _duration(seconds: float, given: Any) -> timedelta:
    if not 0 <= seconds <= MAX_DURATION.total_seconds():
        raise ValueError(f"{shown(given)} is out of range; a duration is at most {MAX_DURATION.days} days")
    return timedelta(seconds=seconds)


def _iso_seconds(words: str) -> float | None:
    found = _ISO_DURATION.fullmatch(words)
    if found is None or not any(found.groups()) or words.endswith("t"):
        return None
    return math.fsum(float(amount) * _SECONDS[unit] for unit, amount in found.groupdict().items() if amount)


def _unit_seconds(words: str) -> float | None:
    """The sum of ``1h 30m`` and the like; None unless each unit comes once, the larger first."""
    end, smallest, parts = 0, math.inf, []
    while end < len(words):
        found = _DURATION_PART.match(words, end)
        unit = _UNIT_WORDS.get(found[2]) if found else None
        if found is None or unit is None or _SECONDS[unit] >= smallest:
            return None
        smallest = _SECONDS[unit]
        parts.append(float(found[1]) * smallest)
        end = found.end()
    return math.fsum(parts) if parts else None


def _read_duration(value: Any) -> timedelta:
    if isinstance(value, str):
        return _parse_duration(value)
    if isinstance(value, timedelta):
        return _duration(value.total_seconds(), value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return _duration(value, value)
    raise ValueError(f"{shown(value)} is no duration; write {DURATION.accepts}, or a number of seconds")


def _show_duration(value: timedelta) -> str:
    """Exact to the microsecond: ``1h30m``, ``1.5s``, ``0s``."""
    left, parts = value // timedelta(microseconds=1), []
    for unit in ("w", "d", "h", "m"):
        amount, left = divmod(left, int(_SECONDS[unit]) * 1_000_000)
        if amount:
            parts.append(f"{amount}{unit}")
    if left or not parts:
        whole, fraction = divmod(left, 1_000_000)
        parts.append(f"{whole}.{fraction:06d}".rstrip("0").rstrip(".") + "s")
    return "".join(parts)


DURATION: Final = ValueType(
    "duration",
    "a duration such as 90s, 10m, 1h30m or 2d",
    "10m",
    _parse_duration,
    _read_duration,
    lambda value: number_json(value.total_seconds()),
    _show_duration,
    {"type": ["number", "string"], "description": "seconds, or text such as 10m"},
)
"""A `timedelta` from 0 to ten years; canonical form: seconds."""


def _quantity(
    name: str, accepts: str, example: str, units: Mapping[str, float], people: tuple[str, ...], lowest: float
) -> ValueType[float]:
    """A number with a unit, kept in the unit whose factor is 1. `people`: units to show it in, the first that fits."""
    si_unit = next(iter(units))

    def checked(value: float, given: Any) -> float:
        if not lowest <= value <= MAX_QUANTITY:
            raise ValueError(f"{shown(given)} is out of range; write {accepts}")
        return round(value, DECIMALS) + 0.0  # and no negative zero

    def parse(text: str) -> float:
        found = _QUANTITY.fullmatch(text.strip().lower()) if len(text) < MAX_CHARACTERS else None
        if found is None or (found[2] and found[2] not in units):
            raise ValueError(f"{shown(text)} is no {name}; write {accepts}")
        if not found[2]:
            raise ValueError(f"{shown(text)} has no unit; write {accepts}")
        return checked(float(found[1]) * units[found[2]], text)

    def read(value: Any) -> float:
        if isinstance(value, str):
            return parse(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return checked(float(value), value)
        raise ValueError(f"{shown(value)} is no {name}; write {accepts}")

    def show(value: float) -> str:
        for unit in people:
            amount = round(value / units[unit], 2)
            if round(amount * units[unit], DECIMALS) == value and abs(amount) >= 1:
                return f"{number_text(amount)}{unit}"
        return f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") + si_unit

    schema = {"type": ["number", "string"], "description": f"{si_unit}, or text such as {example}"}
    return ValueType(name, accepts, example, parse, read, number_json, show, schema)


DISTANCE: Final = _quantity("distance", "a distance such as 40nm, 5km or 300m", "40nm", _METRES, ("nm", "km"), 0.0)
"""Metres, not negative."""
SPEED: Final = _quantity("speed", "a speed such as 250kt, 90km/h or 30m/s", "250kt", _METRES_PER_SECOND, ("kt",), 0.0)
"""Metres per second, not negative."""


def _altitude() -> ValueType[float]:
    accepts = "an altitude such as FL350, 12000ft or 3000m"
    plain = _quantity("altitude", accepts, "FL350", _ALTITUDE_METRES, ("ft",), -1000.0)

    def parse(text: str) -> float:
        found = _FLIGHT_LEVEL.fullmatch(text.strip().lower())
        return plain.parse(f"{found[1]}00ft" if found else text)

    def read(value: Any) -> float:
        return parse(value) if isinstance(value, str) else plain.read(value)

    return ValueType("altitude", accepts, "FL350", parse, read, number_json, plain.show, plain.schema)


ALTITUDE: Final = _altitude()
"""Metres, of whatever datum the context says; flight levels are hundreds of feet."""
