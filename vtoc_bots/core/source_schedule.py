"""Sources that are read at their times: what one collects at a time is written before it collects at the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from vtoc_bots.core.access import Station
from vtoc_bots.core.config import SourceEntry
from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.ports import Clock, SourceCall
from vtoc_bots.core.source_writer import SourceWriter
from vtoc_bots.core.store import telemetry
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.sweeper import next_tick
from vtoc_bots.core.values import DURATION

logger = structlog.get_logger(__name__)

NOW: Final = "now"
LATE: Final = timedelta(minutes=15)
"""How late a time is still kept that came while nobody was there."""
READ_FOR: Final = "read_for"
"""In the configuration of a source's row: the time that it was last read for."""
COLLECT_SECONDS: Final = 120.0
FORGOTTEN_AFTER: Final = timedelta(days=1)
"""Longer than of a source that goes on: what is read now and then may be older."""


class ScheduledSource:
    """A source that is called to collect at the times of its schedule, while this process holds its lease."""

    def __init__(
        self, entry: SourceEntry, connector: Any, writer: SourceWriter, station: Station, store: Store, clock: Clock
    ) -> None:
        self._entry, self._connector, self._writer = entry, connector, writer
        self._station, self._store, self._clock = station, store, clock
        self._state = "waiting"

    def stats(self) -> Mapping[str, Any]:
        """The connector's counters."""
        stats: Mapping[str, Any] = self._connector.stats()
        return stats

    def state(self) -> str:
        """waiting before the first time, then fresh, or failed where the last one was."""
        return self._state

    async def run(self) -> None:
        """Read it at each of its times, until cancelled."""
        async for due in due_times(
            self._entry.schedule or NOW, self._station.timezone, await self._first(), self._clock
        ):
            await self._read(due)
        await asyncio.Event().wait()

    async def _first(self) -> datetime | None:
        """The time that is due now, by the one that it was last read for."""
        now, schedule = self._clock.now(), self._entry.schedule or NOW
        if schedule == NOW:
            return now
        async with self._store.session(self._station) as session:
            row = await telemetry.ensure_source(
                session, self._entry.slug, self._entry.type, self._entry.mode, self._entry.kept
            )
        last = row["configuration"].get(READ_FOR)
        if last is None:
            return next_read(schedule, self._station.timezone, now) if is_cron(schedule) else now
        return due_after(schedule, self._station.timezone, datetime.fromisoformat(last), now)

    async def _read(self, due: datetime) -> None:
        """Collect once and write it; a failure is logged, and the next time comes."""
        key = f"source:{self._station.slug}:{self._entry.slug}:{due.isoformat()}"
        try:
            collecting = self._connector.call(SourceCall("collect", idempotency_key=key))
            for event in await asyncio.wait_for(collecting, COLLECT_SECONDS):
                self._writer.add(event)
            await self._writer.flush()
            await self._writer.forget(self._clock.now() - FORGOTTEN_AFTER)
            async with self._store.session(self._station) as session:
                slug, kind, mode = self._entry.slug, self._entry.type, self._entry.mode
                row = await telemetry.ensure_source(session, slug, kind, mode, self._entry.kept)
                await telemetry.note_ingested(session, row["id"], {READ_FOR: due.isoformat()})
            self._state = "fresh"
        except (VtocError, TimeoutError) as error:
            self._state = "failed"
            logger.error("source_failed", source=self._entry.slug, error=str(error) or "it took too long")
        except Exception:  # the source's own code; its next time comes all the same
            self._state = "failed"
            logger.exception("source_failed", source=self._entry.slug)


async def due_times(schedule: str, timezone: str, first: datetime | None, clock: Clock) -> AsyncIterator[datetime]:
    """Each time of a schedule when it has come, from `first` on; what was missed meanwhile is made up for once."""
    due = first
    while due is not None:
        while (left := (due - clock.now()).total_seconds()) > 0:
            await clock.sleep(left)
        yield due
        due = due_after(schedule, timezone, due, clock.now())


def next_read(schedule: str, timezone: str, after: datetime) -> datetime | None:
    """The time of a schedule that follows: cron in the station's timezone, an interval on, None after ``now``."""
    if schedule == NOW:
        return None
    if is_cron(schedule):
        return next_tick(schedule, timezone, after)
    interval: timedelta = DURATION.parse(schedule)
    return after + interval


def due_after(schedule: str, timezone: str, last: datetime, now: datetime) -> datetime | None:
    """The time that is due after `last`.

    Of several that have gone by it is the latest, so that one reading makes up for all; a time of a cron expression is
    made up for within `LATE`.
    """
    following = next_read(schedule, timezone, last)
    if following is None or not is_cron(schedule):
        return None if following is None else max(following, now)
    following = next_tick(schedule, timezone, max(last, now - LATE))
    while (later := next_tick(schedule, timezone, following)) <= now:
        following = later
    return following


def is_cron(schedule: str) -> bool:
    """Whether it is five fields, and no interval."""
    return len(schedule.split()) > 1
