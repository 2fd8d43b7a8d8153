"""Simulated receivers: what each of them sends about what it sees, in its own wire format."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from vtoc_bots.plugins.connectors.exercise import encode_mode_s as mode_s
from vtoc_bots.plugins.connectors.exercise import encode_text as text
from vtoc_bots.plugins.connectors.exercise.motion import latitude_longitude
from vtoc_bots.plugins.connectors.exercise.scenario import Player, Receiver

_SELDOM_TICKS = 5
"""Names and codes are sent every so many ticks, as transponders do."""
_OLDEST_SECONDS = 2.0
_MEASURED_M = 60.0

Transmission = Callable[[Sequence[Player], datetime, int], bytes]
"""(players in sight, the time, the tick's number) → what is sent in that tick."""


def transmit_sbs(players: Sequence[Player], at: datetime, tick: int) -> bytes:
    """BaseStation lines."""
    lines: list[str] = []
    for player in players:
        state = player.at(at.timestamp())
        lines += text.sbs_position(state, at), text.sbs_velocity(state, at)
        if tick % _SELDOM_TICKS == 0:
            lines += text.sbs_identification(state, at), text.sbs_squawk(state, at)
    return "".join(lines).encode("ascii")


def transmit_beast(players: Sequence[Player], at: datetime, tick: int) -> bytes:
    """Beast messages: positions alternately even and odd, both in the first tick."""
    seconds = at.timestamp()
    messages: list[bytes] = []
    for player in players:
        state = player.at(seconds)
        position = mode_s.surface_position if state.on_ground else mode_s.airborne_position
        frames = [position(state, odd) for odd in ((False, True) if tick == 0 else (bool(tick % 2),))]
        if not state.on_ground:
            frames.append(mode_s.velocity(state))
        if tick % _SELDOM_TICKS == 0:
            frames += mode_s.identification(state), mode_s.identity_reply(state)
            if state.actor.emergency:
                frames.append(mode_s.emergency(state))
        messages += (mode_s.beast(frame, seconds) for frame in frames)
    return b"".join(messages)


def transmit_json(players: Sequence[Player], at: datetime, tick: int) -> bytes:
    """An aircraft.json whose positions are up to 2 s old, as they are in a receiver's memory.

    What radar or multilateration measured is some 60 m off.
    """
    draw = random.Random(tick)
    seen = []
    for player in players:
        age = round(draw.uniform(0.0, _OLDEST_SECONDS), 3)
        state = player.at((at - timedelta(seconds=age)).timestamp())
        if state.actor.kind != "adsb_icao":
            error = draw.gauss(0.0, _MEASURED_M), draw.gauss(0.0, _MEASURED_M)
            latitude, longitude = latitude_longitude((state.latitude, state.longitude), *error)
            state = state._replace(latitude=latitude, longitude=longitude)
        seen.append((state, age))
    return text.aircraft_document(seen, at, messages=tick * len(players))


TRANSMISSIONS: dict[Receiver, Transmission] = {"sbs": transmit_sbs, "beast": transmit_beast, "json": transmit_json}
FORMATS: dict[Receiver, str] = {"sbs": "sbs", "beast": "beast", "json": "aircraft"}
