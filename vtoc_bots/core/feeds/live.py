"""Reading a live source for ever: connect, decode, check the clock, conflate, reconnect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Any, Protocol

import structlog

from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.feeds.backoff import Backoff
from vtoc_bots.core.feeds.counts import DecodeCounts
from vtoc_bots.core.feeds.queue import ConflatingQueue
from vtoc_bots.core.feeds.staleness import Thresholds, staleness
from vtoc_bots.core.feeds.timing import check_times
from vtoc_bots.core.ports import Clock, Decoder
from vtoc_bots.core.telemetry import Rejected, TelemetryEvent

log = structlog.get_logger()


class Reader(Protocol):
    """Reads one connection, or polls."""

    def chunks(self) -> AsyncGenerator[tuple[bytes, datetime]]:
        """Yield (bytes, arrival) until the source ends the connection. Raises TransientError when it breaks."""
        ...


class LiveFeed:
    """Feeds what `reader` reads to `decoder` and queues the events for one consumer.

    The consumer never slows the reader: the queue conflates and counts. A broken connection is tried again after
    `backoff`, or after what the server asked to wait.
    """

    def __init__(
        self,
        source: str,
        reader: Reader,
        decoder: Decoder,
        clock: Clock,
        *,
        backoff: Backoff | None = None,
        thresholds: Thresholds | None = None,
        queue_limit: int = 20_000,
    ) -> None:
        self._source, self._reader, self._decoder, self._clock = source, reader, decoder, clock
        self._backoff = backoff or Backoff()
        self._thresholds = thresholds or Thresholds()
        self._queue = ConflatingQueue(queue_limit)
        self._counts = DecodeCounts()
        self._bytes = 0
        self._reconnects = 0
        self._connected = False
        self._last_event_at: datetime | None = None
        self._error: str | None = None

    async def events(self) -> AsyncIterator[TelemetryEvent]:
        """Events until cancelled or closed, which also ends the connection."""
        pump = asyncio.create_task(self._pump(), name=f"source {self._source}")
        pump.add_done_callback(lambda _: self._queue.close())
        try:
            async for event in self._queue:
                yield event
            await pump
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    def stats(self) -> dict[str, Any]:
        """Counters since the start, and how the connection is."""
        return {
            **self._counts.as_dict(),
            "conflated": self._queue.conflated,
            "dropped": self._queue.dropped,
            "bytes": self._bytes,
            "reconnects": self._reconnects,
            "connected": self._connected,
            "last_event_at": self._last_event_at,
            "error": self._error,
        }

    def state(self) -> str:
        """``waiting``, ``fresh``, ``late`` or ``silent``, by the newest event's time."""
        return staleness(self._last_event_at, self._clock.now(), self._thresholds)

    async def _pump(self) -> None:
        while True:
            error = await self._read_until_it_ends()
            self._connected = False
            self._queue_up(self._decoder.finish(), self._clock.now())
            delay = self._backoff.failed(self._clock.monotonic())
            if error.after_seconds is not None:
                delay = max(1.0, error.after_seconds)
            self._error = str(error)
            self._reconnects += 1
            log.warning("source_lost", source=self._source, error=self._error, again_in_seconds=round(delay, 1))
            await self._clock.sleep(delay)

    async def _read_until_it_ends(self) -> TransientError:
        try:
            async with aclosing(self._reader.chunks()) as chunks:
                async for data, received_at in chunks:
                    self._note_connected()
                    self._bytes += len(data)
                    self._queue_up(self._decoder.feed(data, received_at), received_at)
                    # A busy stream is always readable: let the rest of the process run between two pieces.
                    await asyncio.sleep(0)
        except TransientError as error:
            return error
        return TransientError(f"{self._source}: the server closed the connection")

    def _note_connected(self) -> None:
        if self._connected:
            return
        self._connected = True
        self._error = None
        self._backoff.connected(self._clock.monotonic())
        log.info("source_connected", source=self._source)

    def _queue_up(self, results: list[TelemetryEvent | Rejected], now: datetime) -> None:
        checked = check_times(self._counts.take(results), now)
        if checked.clock:
            self._counts.reject("clock", checked.clock)
        if checked.stale:
            self._counts.reject("stale", checked.stale)
        for event in checked.kept:
            self._queue.put(event)
            at = event.event_time
            if at is not None and (self._last_event_at is None or at > self._last_event_at):
                self._last_event_at = at
