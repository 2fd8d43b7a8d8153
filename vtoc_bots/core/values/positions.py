"""Positions on the WGS84 ellipsoid as people write them: decimal degrees, degrees and minutes, Maidenhead squares."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from vtoc_bots.core.values.value_type import ValueType, shown


class Position(NamedTuple):
    """WGS84 degrees, north and east positive."""

    latitude: float
    longitude: float

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return POSITION.__get_pydantic_core_schema__(source, handler)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(POSITION.schema)


_DEGREES = r"[0-9]{1,3}(?:\.[0-9]{1,15})?"
_DECIMAL_PAIR = re.compile(rf"([+-]?{_DEGREES})\s*°?\s*[,;\s]\s*([+-]?{_DEGREES})\s*°?")
_MINUTES = r"(?:\s*([0-9]{1,2}(?:\.[0-9]{1,12})?)\s*['′’])?"
_SECONDS = r"(?:\s*([0-9]{1,2}(?:\.[0-9]{1,12})?)\s*(?:[\"″”]|''|′′))?"
_ANGLE = rf"({_DEGREES})\s*°?{_MINUTES}{_SECONDS}"
_LETTER_AFTER = re.compile(rf"{_ANGLE}\s*([NS])[,;\s]*{_ANGLE}\s*([EWO])", re.IGNORECASE)
_LETTER_BEFORE = re.compile(rf"([NS])\s*{_ANGLE}[,;\s]*([EWO])\s*{_ANGLE}", re.IGNORECASE)
# As in ICAO flight plans and NOTAMs: DDMM[SS]N DDDMM[SS]E, run together.
_COMPACT = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})?([NS])\s?([0-9]{3})([0-9]{2})([0-9]{2})?([EW])", re.IGNORECASE)
_SQUARE = re.compile(r"([A-R]{2})([0-9]{2})(?:([A-X]{2})([0-9]{2})?)?", re.IGNORECASE)


def parse_position(text: str) -> Position:
    """The position of ``49.01,2.55``, ``N49.01 E2.55``, ``49°00'36"N 2°33'E``, ``490036N0023300E`` or ``JN19GA``.

    A Maidenhead square (IARU Region 1 locator) stands for its centre. Raises ValueError.
    """
    words = text.strip()
    found = None if len(words) > 100 else _written(words)
    if found is None or not (-90 <= found.latitude <= 90 and -180 <= found.longitude <= 180):
        raise ValueError(f"{shown(text)} is no position; write {ACCEPTS}")
    return found


def position_text(position: Position) -> str:
    """Decimal degrees that `parse_position` gives back exactly."""
    return f"{_decimal(position.latitude)},{_decimal(position.longitude)}"


def _written(words: str) -> Position | None:
    if pair := _DECIMAL_PAIR.fullmatch(words):
        return _position(float(pair[1]), float(pair[2]))
    if after := _LETTER_AFTER.fullmatch(words):
        return _lettered(after.group(1, 2, 3), after[4], after.group(5, 6, 7), after[8])
    if before := _LETTER_BEFORE.fullmatch(words):
        return _lettered(before.group(2, 3, 4), before[1], before.group(6, 7, 8), before[5])
    if compact := _COMPACT.fullmatch(words):
        return _lettered(compact.group(1, 2, 3), compact[4], compact.group(5, 6, 7), compact[8])
    if square := _SQUARE.fullmatch(words):
        return _centre(square)
    return None


def _lettered(
    north: tuple[str | None, ...], north_letter: str, east: tuple[str | None, ...], east_letter: str
) -> Position | None:
    latitude, longitude = _angle(north), _angle(east)
    if latitude is None or longitude is None:
        return None
    south, west = north_letter in "Ss", east_letter in "WwOo"  # O: ouest, oeste, ovest
    return _position(-latitude if south else latitude, -longitude if west else longitude)


def _angle(parts: tuple[str | None, ...]) -> float | None:
    """Degrees of (degrees, minutes, seconds); None where minutes or seconds reach 60 or follow a fraction."""
    degrees, minutes, seconds = (float(part) if part else 0.0 for part in parts)
    if minutes >= 60 or seconds >= 60 or (degrees % 1 and (minutes or seconds)) or (minutes % 1 and seconds):
        return None
    return degrees + minutes / 60 + seconds / 3600


def _centre(square: re.Match[str]) -> Position:
    field, digits, letters, more = square.groups()
    longitude = (ord(field[0].upper()) - 65) * 20.0 + int(digits[0]) * 2.0
    latitude = (ord(field[1].upper()) - 65) * 10.0 + int(digits[1])
    width, height = 2.0, 1.0
    if letters:
        width, height = width / 24, height / 24
        longitude += (ord(letters[0].upper()) - 65) * width
        latitude += (ord(letters[1].upper()) - 65) * height
    if more:
        width, height = width / 10, height / 10
        longitude += int(more[0]) * width
        latitude += int(more[1]) * height
    return _position(latitude + height / 2 - 90, longitude + width / 2 - 180)


def _position(latitude: float, longitude: float) -> Position:
    """Rounded to a tenth of a millimetre, without negative zeros, so that one place has one text."""
    return Position(round(latitude, 9) + 0.0, round(longitude, 9) + 0.0)


def _decimal(degrees: float) -> str:
    return f"{degrees:.9f}".rstrip("0").rstrip(".")


def _read(value: Any) -> Position:
    if isinstance(value, str):
        return parse_position(value)
    if (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(part, int | float) and not isinstance(part, bool) for part in value)
        and abs(value[0]) <= 90
        and abs(value[1]) <= 180
    ):
        return _position(float(value[0]), float(value[1]))
    raise ValueError(f"{shown(value)} is no position; write {ACCEPTS}")


ACCEPTS: Final = "a position such as 49.01,2.55 or 49°00'36\"N 2°33'00\"E"
POSITION: Final = ValueType(
    "position",
    ACCEPTS,
    "49.01,2.55",
    parse_position,
    _read,
    position_text,
    position_text,
    {"type": "string", "description": "latitude,longitude in WGS84 degrees"},
)
