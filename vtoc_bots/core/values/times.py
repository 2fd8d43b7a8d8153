"""Points in time as people write them: ISO 8601 and military date-time groups."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from vtoc_bots.core.values.value_type import ValueType, shown

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Day, hour, minute, zone letter, month, year (ACP 121): 201430ZNOV26, or 20 1430 Z NOV 26.
_GROUP = re.compile(r"([0-9]{2})\s?([0-9]{2})([0-9]{2})\s?([A-IK-Z])\s?([A-Z]{3})\s?([0-9]{2}|[0-9]{4})", re.IGNORECASE)
# Zone letters are hours east of Greenwich: A to M without J, then N to Y westwards.
_HOURS: Final = {
    "Z": 0,
    **{letter: hour for hour, letter in enumerate("ABCDEFGHIKLM", 1)},
    **{letter: -hour for hour, letter in enumerate("NOPQRSTUVWXY", 1)},
}


def parse_time(text: str) -> datetime:
    """The UTC time of ``2026-11-20T14:30Z``, ``2026-11-20 14:30+01:00`` or ``201430ZNOV26``.

    A text without an offset is UTC. Raises ValueError.
    """
    words = text.strip()
    try:
        group = _GROUP.fullmatch(words)
        return _group_time(group) if group else _iso_time(words)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{shown(text)} is no time; write {ACCEPTS}") from error


def time_text(value: datetime) -> str:
    """ISO 8601 in UTC with a Z, with as many fractional digits as needed."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _iso_time(words: str) -> datetime:
    if not 10 <= len(words) <= 40:
        raise ValueError("a date has ten characters")
    return _utc(datetime.fromisoformat(words))


def _group_time(group: re.Match[str]) -> datetime:
    day, hour, minute, letter, month, year = group.groups()
    zone = timezone(timedelta(hours=_HOURS[letter.upper()]))
    full_year = int(year) + (2000 if len(year) == 2 else 0)
    month_number = _MONTHS.index(month.upper()) + 1
    return _utc(datetime(full_year, month_number, int(day), int(hour), int(minute), tzinfo=zone))


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _read(value: Any) -> datetime:
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, str):
        return parse_time(value)
    raise ValueError(f"{shown(value)} is no time; write {ACCEPTS}")


ACCEPTS: Final = "a time such as 2026-11-20T14:30Z or 201430ZNOV26 (UTC without an offset)"
TIME: Final = ValueType(
    "time",
    ACCEPTS,
    "2026-11-20T14:30Z",
    parse_time,
    _read,
    time_text,
    time_text,
    {"type": "string", "format": "date-time"},
)
