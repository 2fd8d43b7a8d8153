"""What the ADS-B tests share: recordings, a clock of their own, frames and events."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from vtoc_bots import Decoder, OpenContext, Rejected, TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.decode import decoder_of
from vtoc_bots.plugins.connectors.exercise.encode_mode_s import parity

NOON = datetime(2024, 6, 1, 12, 0, 0, tzinfo=UTC)
TOULOUSE = (43.63, 1.37)
_DATA = Path(os.environ.get("VTOC_TEST_DATA", "../shared")) / "data" / "adsb"


def recording(name: str) -> Path:
    """A real recording; the test is skipped where it is absent."""
    path = _DATA / name
    if not path.exists():
        pytest.skip(f"no recordings here: {path} is missing (set VTOC_TEST_DATA)")
    return path


class FakeClock:
    """Time that passes only by sleeping, at once."""

    def __init__(self, now: datetime = NOON) -> None:
        self._began, self._passed = now, 0.0
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self._passed += seconds
        await asyncio.sleep(0)


def no_http() -> aiohttp.ClientSession:
    """For connectors that must not use the web."""
    raise AssertionError("this source uses no HTTP")


def adsb_decoder(type: str, **options: Any) -> Decoder:
    """As core resolves a decoder for a connector."""
    assert type == "adsb"
    return decoder_of(**options)


def context(
    slug: str = "tower",
    clock: FakeClock | None = None,
    *,
    mode: str | None = None,
    http: Callable[[], aiohttp.ClientSession] = no_http,
    station_position: tuple[float, float] | None = None,
) -> OpenContext:
    """What core gives a connector."""
    return OpenContext(slug, clock or FakeClock(), Path(), station_position, http, adsb_decoder, mode)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - counters are watched, which raise no event
            await asyncio.sleep(0)


def events_in(results: list[TelemetryEvent | Rejected]) -> list[TelemetryEvent]:
    """The events among a decoder's results."""
    return [result for result in results if isinstance(result, TelemetryEvent)]


def reasons_in(results: list[TelemetryEvent | Rejected]) -> list[str]:
    """The reasons of the rejections among a decoder's results."""
    return [result.reason for result in results if isinstance(result, Rejected)]


def positions_in(results: list[TelemetryEvent | Rejected]) -> list[tuple[float, float]]:
    """The positions among a decoder's results, (latitude, longitude)."""
    return [
        (event.latitude, event.longitude)
        for event in events_in(results)
        if event.latitude is not None and event.longitude is not None
    ]


def decode(data: bytes, format: str, received_at: datetime | None = NOON, **options: Any) -> list[Any]:
    """Everything that a fresh decoder makes of a whole stream."""
    decoder = decoder_of(format=format, source="tower", **options)
    return decoder.feed(data, received_at) + decoder.finish()


def avr(*frames: bytes) -> bytes:
    """Frames as AVR text."""
    return b"".join(b"*" + frame.hex().encode() + b";\n" for frame in frames)


def all_call(address: str, interrogator: int = 0) -> bytes:
    """A DF11 reply that gives an address in the clear."""
    head = bytes([11 << 3 | 5]) + bytes.fromhex(address)
    return head + (parity(head) ^ interrogator).to_bytes(3, "big")


def squitter(address: str, message: int, head: int = 17 << 3 | 5) -> bytes:
    """A DF17 (or other 112-bit) frame with a 56-bit message."""
    frame = bytes([head]) + bytes.fromhex(address) + message.to_bytes(7, "big")
    return frame + parity(frame).to_bytes(3, "big")
