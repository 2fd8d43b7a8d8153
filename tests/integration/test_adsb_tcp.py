"""Live ADS-B over real TCP: real bytes, connections that break in the middle of a record, and go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.adsb_kit import NOON, FakeClock, all_call, avr, context, recording, until
from vtoc_bots import TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.connector import AdsbConnector
from vtoc_bots.plugins.connectors.adsb.settings import AdsbSettings
from vtoc_bots.plugins.connectors.exercise.encode_mode_s import beast
from vtoc_bots.plugins.connectors.exercise.encode_text import sbs_position
from vtoc_bots.plugins.connectors.exercise.state import Actor, State

Send = Callable[[asyncio.StreamWriter], Any]
STATE = State(Actor("4b1908", "SWR40"), 43.6, 1.4, 1000.0, 100.0, 90.0, 0.0, False)


@asynccontextmanager
async def server(*scripts: bytes | None) -> AsyncIterator[tuple[int, list[int]]]:
    """A server whose n-th connection gets the n-th bytes and is closed; None keeps it open and silent.

    Yields its port and a list that grows by one with every connection. The last script serves all later ones too.
    """
    connections: list[int] = []
    done = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = scripts[min(len(connections), len(scripts) - 1)]
        connections.append(len(connections))
        if script is None:
            await done.wait()
        else:
            writer.write(script)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1], connections
    finally:
        done.set()
        listening.close()
        await listening.wait_closed()


def connector(clock: FakeClock, url: str, **keys: Any) -> AdsbConnector:
    return AdsbConnector(AdsbSettings(url=url, **keys), context("tower", clock))


async def take(source: AdsbConnector, number: int) -> list[TelemetryEvent]:
    """The first events; then the connection is closed."""
    events: list[TelemetryEvent] = []
    stream = source.events()
    try:
        async with asyncio.timeout(20):
            async for event in stream:
                events.append(event)
                if len(events) == number:
                    return events
    finally:
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator
    raise AssertionError("the source ended")


def distinct(count: int) -> list[bytes]:
    """Frames of so many aircraft: the queue conflates what one aircraft says."""
    return [all_call(f"{number:06x}") for number in range(1, count + 1)]


async def test_a_connection_broken_inside_a_record_is_resumed() -> None:
    frames = distinct(4)
    first, second = beast(frames[0], 1.0) + beast(frames[1], 1.0)[:9], beast(frames[2], 1.0) + beast(frames[3], 1.0)
    clock = FakeClock()
    async with server(first, second, None) as (port, connections):
        source = connector(clock, f"beast://127.0.0.1:{port}")
        events = await take(source, 3)
    assert [event.entity_id for event in events] == ["000001", "000003", "000004"]
    stats = source.stats()
    assert (stats["read"], stats["decoded"], stats["rejected"]) == (4, 3, {"truncated": 1})
    assert len(connections) >= 2
    assert stats["reconnects"] >= 1
    assert stats["bytes"] == len(first) + len(second)


async def test_delays_between_attempts_grow_and_are_slept_on_the_clock() -> None:
    clock = FakeClock()
    async with server(b"", b"", b"", avr(*distinct(1))) as (port, _):
        await take(connector(clock, f"avr://127.0.0.1:{port}"), 1)
    assert [low <= slept <= low * 1.5 for slept, low in zip(clock.sleeps, (4, 8, 16), strict=False)] == [True] * 3


async def test_a_server_that_is_not_there_is_tried_again_and_named() -> None:
    clock = FakeClock()
    async with server(None) as (port, _):
        pass
    source = connector(clock, f"sbs://127.0.0.1:{port}")
    stream = source.events()
    waiting = asyncio.ensure_future(anext(stream))
    await until(lambda: len(clock.sleeps) >= 3)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    stats = source.stats()
    assert stats["connected"] is False
    assert f"tower: 127.0.0.1:{port}: " in stats["error"]
    assert "Check that the receiver runs" in stats["error"]
    assert source.state() == "waiting"


async def test_a_silent_connection_is_taken_for_dead() -> None:
    clock = FakeClock()
    async with server(None, avr(*distinct(1))) as (port, connections):
        source = connector(clock, f"avr://127.0.0.1:{port}", silence_seconds=0.05)
        await take(source, 1)
        assert len(connections) >= 2
    assert source.stats()["reconnects"] >= 1


async def test_real_sbs_lines_arrive_with_their_time_of_receipt() -> None:
    data = recording("sbs1_node-sbs1_part1.txt").read_bytes()
    async with server(data, None) as (port, _):
        source = connector(FakeClock(), f"sbs://127.0.0.1:{port}")
        events = await take(source, 40)
        assert {event.event_time for event in events} == {NOON}
        stats = source.stats()
    assert stats["read"] == stats["decoded"]
    assert source.state() == "fresh"


async def test_real_beast_bytes_arrive() -> None:
    data = recording("beast_traffic_sample_dump1090.bin").read_bytes()
    async with server(data, None) as (port, _):
        source = connector(FakeClock(), f"beast://127.0.0.1:{port}", position="42.0,2.0")
        stream = source.events()
        await anext(stream)
        await until(lambda: source.stats()["read"] >= 239)
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator
    assert source.stats()["decoded"] == 229
    assert source.stats()["conflated"] > 0


async def test_a_server_whose_clock_is_wrong_is_counted() -> None:
    right, wrong = (sbs_position(STATE, NOON + timedelta(hours=hours)).encode() for hours in (0, 2))
    async with server(wrong * 3 + right, None) as (port, _):
        source = connector(FakeClock(), f"sbs://127.0.0.1:{port}")
        (event,) = await take(source, 1)
    assert event.event_time == NOON
    assert source.stats()["rejected"] == {"clock": 3}
    assert source.stats()["read"] == 4


async def test_a_consumer_that_does_not_keep_up_costs_events_not_memory() -> None:
    async with server(avr(*distinct(500)), None) as (port, _):
        source = connector(FakeClock(), f"avr://127.0.0.1:{port}", queue_limit=10)
        stream = source.events()
        await anext(stream)
        await until(lambda: source.stats()["read"] >= 500)
        assert source.stats()["dropped"] >= 400
        assert (await anext(stream)).entity_id > "000100"
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_ending_the_iteration_ends_the_connection() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(avr(*distinct(1)))
        await reader.read()
        gone.set()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    await take(connector(FakeClock(), f"avr://127.0.0.1:{port}"), 1)
    async with asyncio.timeout(10):
        await gone.wait()
    listening.close()
    await listening.wait_closed()


async def test_a_source_falls_late_and_silent() -> None:
    clock = FakeClock()
    async with server(avr(*distinct(1)), None) as (port, _):
        source = connector(clock, f"avr://127.0.0.1:{port}", late_seconds=5, silent_seconds=60)
        await take(source, 1)
    states = []
    for _ in range(3):
        states.append(source.state())
        await clock.sleep(30)
    assert states[0] in ("fresh", "late")
    assert states[1:] == ["late", "silent"]


@pytest.mark.parametrize("scheme", ["jsonport", "tcp"])
async def test_a_json_port_is_read_by_either_address(scheme: str) -> None:
    keys = {"format": "jsonport"} if scheme == "tcp" else {}
    async with server(b'{"hex":"4b1908","lat":1,"lon":2,"seen_pos":1}\n', None) as (port, _):
        (event,) = await take(connector(FakeClock(), f"{scheme}://127.0.0.1:{port}", **keys), 1)
    assert event.event_time == NOON - timedelta(seconds=1)
