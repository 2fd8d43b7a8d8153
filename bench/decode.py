"""Decoding: bytes to yielded events, records a CPU-second on one core, of SBS, Beast and aircraft.json."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle

import orjson
import rs1090

from vtoc_bots import DecodeCounts, Decoder
from vtoc_bots.plugins.connectors.adsb.decode import decoder_of
from vtoc_bots.plugins.connectors.exercise import encode_mode_s, encode_text
from vtoc_bots.plugins.connectors.exercise.scenario import Scenario, Traffic, players_of
from vtoc_bots.plugins.connectors.exercise.state import State

ROUNDS = 3
AIRCRAFT = 200
SECONDS = 100
CHUNK_BYTES = 16_384
BEGAN = datetime(2024, 6, 1, 12, tzinfo=UTC)


async def run() -> list[str]:
    """Markdown rows: what, records a CPU-second, the floor's, the ratio of the two."""
    return [_row(*measure()) for measure in (_sbs, _beast, _aircraft_json)]


def _row(what: str, ours: float, floor_name: str, floor: float) -> str:
    return f"| decode {what}, records a CPU-second | {ours:,.0f} | {floor:,.0f} ({floor_name}) | {ours / floor:.2f} |"


def _sbs() -> tuple[str, float, str, float]:
    """Half positions, half velocities, each with its date and time."""
    encoders = cycle((encode_text.sbs_position, encode_text.sbs_velocity))
    lines = [next(encoders)(state, at) for state, at in _states()]
    data = "".join(lines).encode()

    def floor() -> None:
        for line in data.split(b"\n"):
            line.split(b",")

    return (
        "SBS",
        _rate(lambda: _decode(data, "sbs", len(lines)), len(lines)),
        "splitting its fields",
        _rate(floor, len(lines)),
    )


def _beast() -> tuple[str, float, str, float]:
    """Of ten messages five positions, four velocities and one name, as of a real receiver."""
    kinds = cycle("pvpvpvpvpn")
    frames, data = [], bytearray()
    for number, (state, at) in enumerate(_states()):
        kind = next(kinds)
        if kind == "p":
            frame = encode_mode_s.airborne_position(state, odd=bool(number // AIRCRAFT % 2))
        else:
            frame = encode_mode_s.velocity(state) if kind == "v" else encode_mode_s.identification(state)
        frames.append(frame.hex())
        data += encode_mode_s.beast(frame, at.timestamp())

    def floor() -> None:
        rs1090.decode(frames)

    ours = _rate(lambda: _decode(bytes(data), "beast", len(frames)), len(frames))
    return "Beast", ours, "rs1090 decoding the frames, no positions", _rate(floor, len(frames))


def _aircraft_json() -> tuple[str, float, str, float]:
    """A document of 200 aircraft a second."""
    states = list(_states())
    documents = []
    for start in range(0, len(states), AIRCRAFT):
        seen = [(state, 0.5) for state, _ in states[start : start + AIRCRAFT]]
        documents.append(encode_text.aircraft_document(seen, states[start][1], start))

    def ours() -> None:
        decoder, counts = decoder_of(format="aircraft", source="bench"), DecodeCounts()
        for document in documents:
            counts.take(decoder.feed(document, BEGAN))
        assert counts.decoded == len(states)

    def floor() -> None:
        for document in documents:
            orjson.loads(document)

    return "aircraft.json", _rate(ours, len(states)), "orjson.loads", _rate(floor, len(states))


def _states() -> list[tuple[State, datetime]]:
    """200 aircraft for 100 seconds, in the order of time, no two at the same millisecond."""
    scenario = Scenario(name="bench", position=(43.1, 6.15), traffic=Traffic(count=AIRCRAFT, radius_nm=60))
    players = players_of(scenario, scenario.position)
    moments = (BEGAN + timedelta(seconds=number / AIRCRAFT) for number in range(SECONDS * AIRCRAFT))
    return [(player.at(at.timestamp()), at) for player, at in zip(cycle(players), moments, strict=False)]


def _decode(data: bytes, format: str, records: int) -> None:
    decoder: Decoder = decoder_of(format=format, source="bench", position=(43.1, 6.15))
    counts = DecodeCounts()
    for start in range(0, len(data), CHUNK_BYTES):
        counts.take(decoder.feed(data[start : start + CHUNK_BYTES], BEGAN))
    assert counts.decoded == records, counts.as_dict()


def _rate(work: Callable[[], None], records: int) -> float:
    """Records a CPU-second of this process, threads included, in the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return records / best
