"""Encoding simulated aircraft as SBS-1 lines and as readsb's aircraft.json: what real servers send."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from vtoc_bots import feet, knots
from vtoc_bots.plugins.connectors.exercise.state import State


def sbs_identification(state: State, at: datetime) -> str:
    """``MSG,1``: the callsign."""
    return _sbs(1, state, at, callsign=state.actor.callsign)


def sbs_position(state: State, at: datetime) -> str:
    """``MSG,3``, on the surface ``MSG,2``: the position and altitude, or speed and track."""
    place = {"latitude": f"{state.latitude:.5f}", "longitude": f"{state.longitude:.5f}"}
    if state.on_ground:
        return _sbs(2, state, at, altitude="0", speed=_knots(state), track=_degrees(state), **place)
    return _sbs(3, state, at, altitude=str(_feet(state)), **place)


def sbs_velocity(state: State, at: datetime) -> str:
    """``MSG,4``: speed, track and vertical rate."""
    rate = str(round(state.vertical_rate_mps * 60 / feet(64)) * 64)
    return _sbs(4, state, at, speed=_knots(state), track=_degrees(state), rate=rate)


def sbs_squawk(state: State, at: datetime) -> str:
    """``MSG,6``: the Mode A code and its flags."""
    return _sbs(6, state, at, squawk=state.actor.squawk, emergency="-1" if state.actor.emergency else "0")


def aircraft_document(states: Iterable[tuple[State, float]], at: datetime, messages: int) -> bytes:
    """aircraft.json of readsb made `at`; each state with how many seconds old it is."""
    return orjson.dumps(
        {"now": at.timestamp(), "messages": messages, "aircraft": [_aircraft(state, age) for state, age in states]}
    )


def _sbs(
    message: int,
    state: State,
    at: datetime,
    *,
    callsign: str = "",
    altitude: str = "",
    speed: str = "",
    track: str = "",
    latitude: str = "",
    longitude: str = "",
    rate: str = "",
    squawk: str = "",
    emergency: str = "",
) -> str:
    address = state.actor.address.upper() if state.actor.is_icao else f"~{state.actor.address.upper()}"
    stamp = f"{at:%Y/%m/%d},{at:%H:%M:%S}.{at.microsecond // 1000:03}"
    ground = "-1" if state.on_ground else "0"
    return (
        f"MSG,{message},1,1,{address},1,{stamp},{stamp},{callsign},{altitude},{speed},{track},"
        f"{latitude},{longitude},{rate},{squawk},,{emergency},,{ground}\r\n"
    )


def _aircraft(state: State, age: float) -> dict[str, Any]:
    actor = state.actor
    record: dict[str, Any] = {
        "hex": actor.address if actor.is_icao else f"~{actor.address}",
        "type": actor.kind,
        "flight": f"{actor.callsign:8}",
        "r": actor.registration,
        "t": actor.aircraft_type,
        "alt_baro": "ground" if state.on_ground else _feet(state),
        "gs": round(state.speed_mps / knots(1), 1),
        "track": round(state.track_deg, 2) % 360.0,
        "baro_rate": round(state.vertical_rate_mps * 60 / feet(64)) * 64,
        "squawk": actor.squawk,
        "emergency": actor.emergency or "none",
        "category": actor.category,
        "lat": round(state.latitude, 6),
        "lon": round(state.longitude, 6),
        "seen_pos": round(age, 3),
        "seen": round(age, 1),
    }
    if actor.kind == "adsb_icao":
        record |= {"nac_p": 9, "rc": 186}
    known = {key: value for key, value in record.items() if value != ""}
    if not actor.callsign:
        del known["flight"]
    return known


def _feet(state: State) -> int:
    """To 25 ft, as transponders report."""
    return round(state.altitude_m / feet(25)) * 25


def _knots(state: State) -> str:
    return f"{state.speed_mps / knots(1):.0f}"


def _degrees(state: State) -> str:
    return f"{state.track_deg % 360.0:.0f}"
