"""Reading a recording from a file, at full speed or paced by its own times."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast, runtime_checkable

from vtoc_bots.core.errors import ConfigError, UsageError
from vtoc_bots.core.feeds.counts import DecodeCounts
from vtoc_bots.core.ports import Clock, Decoder
from vtoc_bots.core.telemetry import TelemetryEvent

_HEAD_BYTES = 4096
_CHUNK_BYTES = 65_536
_LARGEST_DOCUMENT_BYTES = 256 * 1024 * 1024
_LONGEST_NAP_SECONDS = 3600.0
_BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


@runtime_checkable
class DecodesDocuments(Protocol):
    """A decoder that takes whole documents only: a file is one feed."""

    whole_documents: bool


class Capture:
    """The recording in the file at `path`, gzip seen through. Its methods raise UsageError when it can't be read.

    `damaged` tells, once it was read, that compressed data broke off; what came before was read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = False

    def modified_at(self) -> datetime:
        """When the file was last changed, in UTC."""
        with self._readable():
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)

    def head(self) -> bytes:
        """The first bytes, to tell the format by."""
        with self._open() as file:
            return self._read(file, _HEAD_BYTES)

    def chunks(self, decoder: Decoder) -> Generator[bytes]:
        """The content in pieces that `decoder` can be fed. Of a document at most 256 MiB."""
        size = _LARGEST_DOCUMENT_BYTES if isinstance(decoder, DecodesDocuments) else _CHUNK_BYTES
        with self._open() as file:
            while data := self._read(file, size):
                yield data

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        with self._readable():
            file = self.path.open("rb")
        with file:
            with self._readable():
                compressed = file.read(2) == b"\x1f\x8b"
                file.seek(0)
            if not compressed:
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)

    def _read(self, file: BinaryIO, size: int) -> bytes:
        try:
            with self._readable():
                return file.read(size)
        except _BROKEN_GZIP:
            self.damaged = True
            return b""

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except gzip.BadGzipFile:
            raise
        except OSError as error:
            what = error.strerror or str(error)
            raise UsageError(f"can't read {self.path}: {what}. Name a readable recording.") from error


class CaptureFeed:
    """Replays the file at `path` once; `decoder_for` makes the decoder from its first bytes and its name.

    Records without a time take the file's modification time. With `speed` the events come paced by their own times,
    `speed` times as fast as they happened; without, at full speed. Nothing is conflated.
    """

    def __init__(
        self,
        source: str,
        path: Path,
        clock: Clock,
        decoder_for: Callable[[bytes, str], Decoder],
        *,
        speed: float | None = None,
    ) -> None:
        self._source, self._clock, self._decoder_for, self._speed = source, clock, decoder_for, speed
        self._capture = Capture(path)
        self._counts = DecodeCounts()
        self._bytes = 0
        self._last_event_at: datetime | None = None
        self._state = "waiting"
        self._pace_from: tuple[datetime, float] | None = None

    async def events(self) -> AsyncIterator[TelemetryEvent]:
        """Every event, in the file's order. Raises ConfigError when the file can't be read."""
        try:
            modified_at = await asyncio.to_thread(self._capture.modified_at)
            decoder = self._decoder_for(await asyncio.to_thread(self._capture.head), self._capture.path.name)
            self._state = "fresh"
            with closing(self._capture.chunks(decoder)) as chunks:
                while (data := await asyncio.to_thread(next, chunks, None)) is not None:
                    self._bytes += len(data)
                    for event in self._counts.take(decoder.feed(data, modified_at)):
                        yield await self._paced(event)
        except UsageError as error:
            self._state = "failed"
            raise ConfigError(f"{self._source}: {error}") from error
        for event in self._counts.take(decoder.finish()):
            yield await self._paced(event)
        if self._capture.damaged:
            self._counts.rejected["truncated"] += 1
        self._state = "finished"

    def stats(self) -> dict[str, Any]:
        """Counters since the start."""
        return {**self._counts.as_dict(), "bytes": self._bytes, "last_event_at": self._last_event_at}

    def state(self) -> str:
        """``waiting``, ``fresh`` while it replays, then ``finished``; ``failed`` when the file could not be read."""
        return self._state

    async def _paced(self, event: TelemetryEvent) -> TelemetryEvent:
        at = event.event_time
        if at is None:
            return event
        self._last_event_at = at if self._last_event_at is None else max(at, self._last_event_at)
        if self._speed is None:
            return event
        now = self._clock.monotonic()
        if self._pace_from is None:
            self._pace_from = (at, now)
        began_at, began = self._pace_from
        wait = began + (at - began_at).total_seconds() / self._speed - now
        if wait > 0:
            await self._clock.sleep(min(wait, _LONGEST_NAP_SECONDS))
        return event
