"""Writes what a source reported: newest states and positions, in batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from vtoc_bots.core.access import Station
from vtoc_bots.core.config import SourceEntry
from vtoc_bots.core.states import States
from vtoc_bots.core.store import telemetry
from vtoc_bots.core.store.pool import Store

MOST_POSITIONS: Final = 100_000


class SourceWriter:
    """Writes one entry's events; an entry may report as several sources (the exercise does)."""

    def __init__(self, store: Store, station: Station, entry: SourceEntry, thin_seconds: float) -> None:
        self._store, self._station, self._entry = store, station, entry
        self._ids: dict[str, UUID] = {}
        self.states = States(thin_seconds)
        self.dropped = 0

    async def flush(self) -> None:
        """Write what changed since the last time; on an error it is kept for the next."""
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
