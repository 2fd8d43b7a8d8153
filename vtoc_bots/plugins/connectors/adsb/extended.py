"""Reading the frequent extended squitters (positions and velocities) from their bits; rs1090 reads the rest."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from vtoc_bots.plugins.connectors.adsb.cpr import Half
from vtoc_bots.plugins.connectors.adsb.fields import FEET, FEET_A_MINUTE, KNOTS

# Ground speed by the movement field of a surface position (DO-260B, table 2-13): first code, first knots, knots a code.
_MOVEMENT: Final = (
    (124, 175.0, 0.0),
    (109, 100.0, 5.0),
    (94, 70.0, 2.0),
    (39, 15.0, 1.0),
    (13, 2.0, 0.5),
    (9, 1.0, 0.25),
    (2, 0.125, 0.125),
    (1, 0.0, 0.0),
)


class Airborne(NamedTuple):
    """An airborne position message (type codes 9–18 and 20–22)."""

    altitude_m: float | None
    datum: str
    odd: bool
    half: Half


class Surface(NamedTuple):
    """A surface position message (type codes 5–8)."""

    speed_mps: float | None
    track_deg: float | None
    odd: bool
    half: Half


class Velocity(NamedTuple):
    """An airborne velocity message (type code 19). Airspeed and heading, not over ground, are in `payload`."""

    speed_mps: float | None
    track_deg: float | None
    vertical_rate_mps: float | None
    payload: dict[str, Any]


def airborne_of(message: int) -> Airborne:
    """From the 56 bits: 5 type, 2 status, 1 antenna, 12 altitude, 1 time, 1 odd, 17 latitude, 17 longitude."""
    code = message >> 36 & 0xFFF
    feet = altitude_feet(code)
    return Airborne(
        None if feet is None else feet * FEET,
        "geom" if message >> 51 >= 20 else "baro",
        bool(message >> 34 & 1),
        (message >> 17 & 0x1FFFF, message & 0x1FFFF),
    )


def surface_of(message: int) -> Surface:
    """From the 56 bits: 5 type, 7 movement, 1 track is valid, 7 track, 1 time, 1 odd, 17 latitude, 17 longitude."""
    movement = message >> 44 & 0x7F
    speed = None
    for first, knots, step in _MOVEMENT:
        if movement >= first:
            speed = (knots + step * (movement - first)) * KNOTS if movement <= 124 else None
            break
    track = (message >> 36 & 0x7F) * 360.0 / 128.0 if message >> 43 & 1 else None
    return Surface(speed, track, bool(message >> 34 & 1), (message >> 17 & 0x1FFFF, message & 0x1FFFF))


def velocity_of(message: int) -> Velocity | None:
    """Subtypes 1 and 2 (over ground; 2 in units of 4 knots), 3 and 4 (airspeed); None for the reserved ones."""
    subtype = message >> 48 & 0x7
    if not 1 <= subtype <= 4:
        return None
    unit = 4 if subtype in (2, 4) else 1
    payload: dict[str, Any] = {}
    speed = track = None
    if subtype <= 2:
        east, north = message >> 32 & 0x3FF, message >> 21 & 0x3FF
        if east and north:
            east_knots = (1 - east if message >> 42 & 1 else east - 1) * unit
            north_knots = (1 - north if message >> 31 & 1 else north - 1) * unit
            speed = math.hypot(east_knots, north_knots) * KNOTS
            track = math.degrees(math.atan2(east_knots, north_knots)) % 360.0 if east_knots or north_knots else None
    else:
        airspeed = message >> 21 & 0x3FF
        if airspeed:
            payload["tas_kt" if message >> 31 & 1 else "ias_kt"] = (airspeed - 1) * unit
        if message >> 42 & 1:
            payload["heading_deg"] = (message >> 32 & 0x3FF) * 360.0 / 1024.0
    rate = message >> 10 & 0x1FF
    difference = message & 0x7F
    if difference:
        payload["geom_minus_baro_ft"] = (1 - difference if message >> 7 & 1 else difference - 1) * 25
    if not rate:
        return Velocity(speed, track, None, payload)
    fpm = (1 - rate if message >> 19 & 1 else rate - 1) * 64
    return Velocity(speed, track, fpm * FEET_A_MINUTE, payload)


def altitude_feet(code: int) -> int | None:
    """Feet from the 12-bit altitude code of a position message: 25 ft steps, or Gillham's 100 ft steps."""
    if code & 0x10:
        return ((code & 0xFE0) >> 1 | code & 0xF) * 25 - 1000
    return _gillham_feet(code) if code else None


def _gillham_feet(code: int) -> int | None:
    """Mode C altitude (ICAO Annex 10, volume IV, appendix to chapter 3); bits C1 A1 C2 A2 C4 A4 B1 Q B2 D2 B4 D4."""
    c1, a1, c2, a2, c4, a4, b1, _, b2, d2, b4, d4 = (code >> bit & 1 for bit in range(11, -1, -1))
    five_hundreds = _gray((d2, d4, a1, a2, a4, b1, b2, b4))
    hundreds = _gray((c1, c2, c4))
    if hundreds in (0, 5, 6):
        return None
    if hundreds == 7:
        hundreds = 5
    if five_hundreds % 2:
        hundreds = 6 - hundreds
    feet = five_hundreds * 500 + hundreds * 100 - 1300
    return feet if feet >= -1200 else None


def _gray(bits: tuple[int, ...]) -> int:
    value = bit = 0
    for flip in bits:
        bit ^= flip
        value = value << 1 | bit
    return value
