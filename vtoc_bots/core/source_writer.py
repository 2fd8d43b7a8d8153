"""Writes what a source reported: newest states and positions, in batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from vtoc_bots.core.access import Station
from vtoc_bots.core.config import SourceEntry
from vtoc_bots.core.source_broadcasts import Broadcasts
from vtoc_bots.core.states import States
from vtoc_bots.core.store import telemetry
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.telemetry import TelemetryEvent

MOST_POSITIONS: Final = 100_000


class SourceWriter:
    """Writes one entry's events; an entry may report as several sources (the exercise does)."""

    def __init__(
        self,
        store: Store,
        station: Station,
        entry: SourceEntry,
        thin_seconds: float,
        *,
        seen: Callable[[list[TelemetryEvent]], Awaitable[None]] | None = None,
        broadcasts: Broadcasts | None = None,
    ) -> None:
        """`seen` is told of states that were written, `broadcasts` of every report."""
        self._store, self._station, self._entry = store, station, entry
        self._seen, self._broadcasts = seen, broadcasts
        self._ids: dict[str, UUID] = {}
        self.states = States(thin_seconds)
        self.dropped = 0

    def add(self, event: TelemetryEvent) -> None:
        """Take a report, to be written with the next flush."""
        self.states.add(event)
        if self._broadcasts is not None:
            self._broadcasts.add(event)

    async def flush(self) -> None:
        """Write what changed since the last time; on an error it is kept for the next."""
        await self._flush()
        if self._broadcasts is not None:
            await self._broadcasts.tell()

    async def _flush(self) -> None:
        states, positions = self.states.take()
        if not states and not positions:
            return
        try:
            async with self._store.session(self._station) as session:
                for source in {event.source for event in states} | {event.source for event in positions}:
                    of_source = [event for event in states if event.source == source]
                    source_id = await self._source_id(session, source, (of_source or positions)[0].source_type)
                    if of_source:
                        await telemetry.set_latest(session, source_id, of_source)
                    if stored := [event for event in positions if event.source == source]:
                        await telemetry.add_events(session, source_id, stored)
                    await telemetry.note_ingested(session, source_id, {})
        except Exception:
            self._ids.clear()
            self.dropped += self.states.put_back(states, positions, MOST_POSITIONS)
            raise
        if self._seen is not None:
            await self._seen(states)

    async def forget(self, before: datetime) -> None:
        """Remove states of entities not heard since."""
        self.states.forget(before)
        async with self._store.session(self._station) as session:
            for source_id in self._ids.values():
                await telemetry.forget_latest(session, source_id, before)

    async def _source_id(self, session: Any, slug: str, source_type: str) -> UUID:
        if slug not in self._ids:
            row = await telemetry.ensure_source(session, slug, source_type, self._entry.mode, self._entry.kept)
            self._ids[slug] = row["id"]
        return self._ids[slug]
