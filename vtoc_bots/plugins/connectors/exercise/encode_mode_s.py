"""Encoding simulated aircraft as Mode S extended squitters and replies in Beast format: what a real receiver sends."""

from __future__ import annotations

import math
from typing import Final

from vtoc_bots import feet, knots
from vtoc_bots.plugins.connectors.exercise.state import State

_GENERATOR: Final = 0x1FFF409
_SCALE: Final = 131_072.0
_CHARACTERS: Final = "#ABCDEFGHIJKLMNOPQRSTUVWXYZ##### ###############0123456789######"
_TICKS_A_SECOND: Final = 12_000_000
_MLAT_TICKS: Final = 0xFF004D4C4154
_SIGNAL: Final = 0x60
_CATEGORY_TYPE: Final = {"A": 4, "B": 3, "C": 2, "D": 1}
_EMERGENCY_STATE: Final = {"general": 1, "lifeguard": 2, "minfuel": 3, "nordo": 4, "unlawful": 5, "downed": 6}
# Ground speed codes of a surface position (DO-260B, table 2-13): first code, first knots, knots a code.
_MOVEMENT: Final = (
    (109, 100.0, 5.0),
    (94, 70.0, 2.0),
    (39, 15.0, 1.0),
    (13, 2.0, 0.5),
    (9, 1.0, 0.25),
    (2, 0.125, 0.125),
)


def beast(frame: bytes, seconds: float, *, mlat: bool = False) -> bytes:
    """A frame as a Beast message with a 12 MHz time stamp (mlat-client's mark instead with `mlat`); 0x1a doubled."""
    ticks = _MLAT_TICKS if mlat else int(seconds * _TICKS_A_SECOND) % (1 << 48)
    body = ticks.to_bytes(6, "big") + bytes([_SIGNAL]) + frame
    return b"\x1a" + (b"2" if len(frame) == 7 else b"3") + body.replace(b"\x1a", b"\x1a\x1a")


def identification(state: State) -> bytes:
    """Type codes 1–4: category and callsign (DO-260B, 2.2.3.2.5)."""
    actor = state.actor
    callsign = f"{actor.callsign:8.8}".upper()
    message = _CATEGORY_TYPE[actor.category[0]] << 3 | int(actor.category[1])
    for character in callsign:
        message = message << 6 | max(_CHARACTERS.find(character), 0)
    return _squitter(state, message)


def airborne_position(state: State, odd: bool) -> bytes:
    """Type code 11 (position known to 185 m): altitude and an even or odd compact position."""
    latitude, longitude = compact_position(state.latitude, state.longitude, odd, surface=False)
    message = 11 << 51 | _altitude_code(state.altitude_m) << 36 | odd << 34 | latitude << 17 | longitude
    return _squitter(state, message)


def surface_position(state: State, odd: bool) -> bytes:
    """Type code 7: ground speed, track and an even or odd compact position."""
    latitude, longitude = compact_position(state.latitude, state.longitude, odd, surface=True)
    track = round(state.track_deg % 360.0 * 128.0 / 360.0) % 128
    message = 7 << 51 | _movement_code(state.speed_mps) << 44 | 1 << 43 | track << 36 | odd << 34
    return _squitter(state, message | latitude << 17 | longitude)


def velocity(state: State) -> bytes:
    """Type code 19, subtype 1: speed over ground and vertical rate."""
    angle, speed = math.radians(state.track_deg), state.speed_mps / knots(1)
    east, north = round(speed * math.sin(angle)), round(speed * math.cos(angle))
    rate = round(state.vertical_rate_mps * 60 / feet(64))
    message = 19 << 51 | 1 << 48 | (east < 0) << 42 | min(abs(east) + 1, 1023) << 32
    message |= (north < 0) << 31 | min(abs(north) + 1, 1023) << 21 | (rate < 0) << 19 | min(abs(rate) + 1, 511) << 10
    return _squitter(state, message)


def emergency(state: State) -> bytes:
    """Type code 28, subtype 1: emergency state and Mode A code."""
    code = _EMERGENCY_STATE.get(state.actor.emergency, 0)
    return _squitter(state, 28 << 51 | 1 << 48 | code << 45 | _identity_code(state.actor.squawk) << 32)


def identity_reply(state: State) -> bytes:
    """DF5: the Mode A code; its parity carries the address."""
    status = 1 if state.on_ground else 0
    header = (5 << 27 | status << 24 | _identity_code(state.actor.squawk)).to_bytes(4, "big")
    return header + (parity(header) ^ int(state.actor.address, 16)).to_bytes(3, "big")


def parity(data: bytes) -> int:
    """24-bit parity of Mode S (ICAO Annex 10, volume IV, 3.1.2.3.3), by long division."""
    remainder = int.from_bytes(data, "big") << 24
    while (excess := remainder.bit_length() - 25) >= 0:
        remainder ^= _GENERATOR << excess
    return remainder


def compact_position(latitude: float, longitude: float, odd: bool, surface: bool) -> tuple[int, int]:
    """Compact Position Reporting (ICAO Doc 9871, C.2.6): 17 bits of latitude, 17 of longitude."""
    circle = 90.0 if surface else 360.0
    step = circle / (60 - odd)
    y = math.floor(_SCALE * (latitude % step) / step + 0.5)
    zones = _longitude_zones(step * (y / _SCALE + math.floor(latitude / step)))
    step = circle / max(zones - odd, 1)
    x = math.floor(_SCALE * (longitude % step) / step + 0.5)
    return y & 0x1FFFF, x & 0x1FFFF


def _longitude_zones(latitude: float) -> int:
    if abs(latitude) >= 87.0:
        return 2 if abs(latitude) == 87.0 else 1
    ratio = (1.0 - math.cos(math.pi / 30.0)) / math.cos(math.radians(latitude)) ** 2
    return math.floor(2.0 * math.pi / math.acos(1.0 - ratio))


def _squitter(state: State, message: int) -> bytes:
    """DF17, or for what ground stations relay of an aircraft without an ICAO address DF18 (fine TIS-B)."""
    actor = state.actor
    format, control = (17, 4 if state.on_ground else 5) if actor.is_icao else (18, 5)
    frame = bytes([format << 3 | control]) + bytes.fromhex(actor.address) + message.to_bytes(7, "big")
    return frame + parity(frame).to_bytes(3, "big")


def _altitude_code(altitude_m: float) -> int:
    """12 bits in steps of 25 ft; 0 (unknown) outside their range, -1000 to 50,175 ft."""
    steps = round((altitude_m / feet(1) + 1000) / 25)
    return (steps & 0x7F0) << 1 | 0x10 | steps & 0xF if 0 <= steps <= 0x7FF else 0


def _movement_code(speed_mps: float) -> int:
    speed = speed_mps / knots(1)
    if speed >= 175:
        return 124
    for first, lowest, step in _MOVEMENT:
        if speed >= lowest:
            return min(first + math.floor((speed - lowest) / step), 123)
    return 1


def _identity_code(squawk: str) -> int:
    """Mode A code in 13 bits: C1 A1 C2 A2 C4 A4 0 B1 D1 B2 D2 B4 D4 (ICAO Annex 10, volume IV, 3.1.1.6)."""
    a, b, c, d = (int(digit, 8) for digit in squawk)
    return _interleaved(c, a) << 7 | _interleaved(b, d)


def _interleaved(first: int, second: int) -> int:
    code = 0
    for bit in range(3):
        code = code << 2 | (first >> bit & 1) << 1 | second >> bit & 1
    return code
