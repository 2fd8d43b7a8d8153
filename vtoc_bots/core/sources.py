"""Running telemetry sources: each under its lease, read into states, written in batches; captures replayed at need."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import aiohttp
import structlog

from vtoc_bots.core.access import Station
from vtoc_bots.core.config import SourceEntry
from vtoc_bots.core.emergencies import Emergencies
from vtoc_bots.core.errors import ActionError, ConfigError, VtocError
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.people import People
from vtoc_bots.core.ports import (
    Clock,
    Connector,
    ConnectorSpec,
    Decoder,
    OpenContext,
    SourceCall,
    SourceState,
    TakesCalls,
    Verb,
)
from vtoc_bots.core.settings import Settings
from vtoc_bots.core.singletons import Singleton
from vtoc_bots.core.source_broadcasts import Broadcasts, channel_name
from vtoc_bots.core.source_calls import called, called_entry
from vtoc_bots.core.source_schedule import NOW, ScheduledSource, due_times
from vtoc_bots.core.source_states import PUSHED, REPLAYED, Read, connector_state, entry_of, has_parts, source_state
from vtoc_bots.core.source_writer import SourceWriter
from vtoc_bots.core.states import States
from vtoc_bots.core.store import telemetry
from vtoc_bots.core.store.leases import LeaseRows
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.summary_socket import summary_socket
from vtoc_bots.core.telemetry import TelemetryEvent

logger = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 1.0
FORGOTTEN_AFTER: Final = timedelta(minutes=30)
REPLAY_SECONDS: Final = 120.0
STARTING_SECONDS: Final = 8.0
"""How long after the start a question waits for the first report where there is none; less than a handler has."""
MOST_EVENTS: Final = 200_000
AGES_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Sources:
    """The configured sources of this process, and everybody's telemetry."""

    def __init__(
        self,
        settings: Settings,
        specs: Mapping[str, ConnectorSpec],
        store: Store,
        people: People,
        leases: LeaseRows,
        holder: UUID,
        clock: Clock,
        metrics: Metrics,
        notices: Notices,
        *,
        http: Callable[[], aiohttp.ClientSession],
        decoder: Callable[..., Decoder],
    ) -> None:
        self._entries, self._specs, self._store, self._people = settings.sources, specs, store, people
        self._stations = settings.stations
        self._leases, self._holder, self._clock, self._metrics = leases, holder, clock, metrics
        self._data_dir, self._http, self._decoder = settings.data_dir, http, decoder
        self._thin_seconds = settings.thin_seconds
        self._notices, self.emergencies = notices, Emergencies(store, notices)
        self._socket = summary_socket(settings, http, clock, metrics)
        self._open: dict[str, Read] = {}
        self._replays: dict[str, asyncio.Lock] = {}
        self._starting_until = clock.monotonic() + STARTING_SECONDS
        for entry in self._entries:
            self._settings_of(entry)

    async def run(self) -> None:
        """Read every live source, each while this process holds its lease, until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._socket is not None:
                group.create_task(self._socket.run(), name="summaries")
            for entry in self._entries:
                if entry.mode == "online":
                    group.create_task(self._keep(entry), name=f"source:{entry.slug}")
                elif entry.mode == "offline" and entry.schedule:
                    group.create_task(self._replay_again(entry), name=f"replay:{entry.slug}")
                elif entry.schedule:
                    self._without_effect(entry, "schedule", "mode chatkit is read when it is called")
            await asyncio.Event().wait()

    def states(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """(state, stats) of the sources that are read here, by slug."""
        return {slug: (connector_state(connector), connector.stats()) for slug, connector in self._open.items()}

    async def collect(
        self, station: Station, *, types: tuple[str, ...], window_seconds: float
    ) -> tuple[list[TelemetryEvent], datetime | None]:
        """See ports.Telemetry. Captures that were not replayed yet are replayed first.

        Of a process that has just started, whose sources have not said anything yet, it waits for the first report.
        """
        await self._replay_captures(station, types)
        live = any(entry.mode == "online" and entry.station == station.slug for entry in self._entries)
        while True:
            events, now = await self._reported(station, types, timedelta(seconds=window_seconds))
            if events or not live or self._clock.monotonic() >= self._starting_until:
                return events, now
            await self._clock.sleep(0.2)

    async def _reported(
        self, station: Station, types: tuple[str, ...], window: timedelta
    ) -> tuple[list[TelemetryEvent], datetime | None]:
        found: dict[tuple[str, str, str, datetime | None], TelemetryEvent] = {}
        times: list[datetime] = []
        async with self._store.session(station) as session:
            for source in await telemetry.all_sources(session):
                if not source.is_active or source.newest is None or source.type not in types:
                    continue
                if not self._is_current(source, station):
                    continue
                now = source.newest if source.mode == "offline" else self._clock.now()
                times.append(now)
                ends = max(now, source.newest)
                stored = await telemetry.events_between(session, source.id, now - window, ends, MOST_EVENTS)
                newest = await telemetry.latest_since(session, [source.id], now - window)
                for event in (*stored, *newest):
                    found[(event.source, event.entity_namespace, event.entity_id, event.event_time)] = event
        events = sorted(found.values(), key=lambda event: event.event_time or AGES_AGO)
        return events, max(times, default=None)

    async def latest(self, station: Station, *, types: tuple[str, ...] = ()) -> list[TelemetryEvent]:
        """The newest state of every entity."""
        async with self._store.session(station) as session:
            sources = await telemetry.all_sources(session)
            wanted = [s.id for s in sources if s.is_active and (not types or s.type in types)]
            return await telemetry.latest_since(session, wanted, AGES_AGO)

    async def call(self, station: Station, source: str, verb: Verb, *, prompt: str, idempotency_key: str) -> Any:
        """See ports.Telemetry: opened for the call, in whatever process it is made."""
        call = SourceCall(verb, station, prompt, idempotency_key)
        entry = called_entry(source, self._entries, station)
        connector = await self._opened(entry, station)
        return await called(entry, connector, call, self._writer(entry, station))

    async def sources(self, station: Station) -> list[SourceState]:
        """The station's sources and how they are, wherever they are read."""
        live = {lease.name.rpartition(":")[2]: lease.detail for lease in await self._leases.live("source:")}
        async with self._store.session(station) as session:
            rows = {row.slug: row for row in await telemetry.all_sources(session)}
        entries = {entry.slug: entry for entry in self._entries if entry.station == station.slug}
        slugs = [slug for slug in entries if slug not in rows and not has_parts(slug, rows)] + list(rows)
        return [
            source_state(slug, rows.get(slug), entry_of(slug, entries), live, station, self._clock.now())
            for slug in sorted(slugs)
        ]

    async def replay_all(self, station: Station) -> None:
        """Replay every capture of the station that was not yet."""
        await self._replay_captures(station, tuple(self._specs))

    def _is_current(self, source: telemetry.SourceRow, station: Station) -> bool:
        """Whether a source still counts: one of a process that names no such source any more does not."""
        if source.configuration.get(PUSHED):
            return True
        entries = {entry.slug: entry for entry in self._entries if entry.station == station.slug}
        return (source.mode == "online" and not entries) or entry_of(source.slug, entries) is not None

    def _settings_of(self, entry: SourceEntry) -> Any:
        spec = self._specs.get(entry.type)
        if spec is None:
            known = ", ".join(sorted(self._specs))
            raise ConfigError(
                f"sources.{entry.slug}: no plugin has the type {entry.type}; there are {known}", entry.where
            )
        return entry.read(spec.settings)

    async def _opened(self, entry: SourceEntry, station: Station) -> Connector:
        context = OpenContext(
            entry.slug, self._clock, self._data_dir, station.position, self._http, self._decoder, entry.mode
        )
        return self._specs[entry.type].open(self._settings_of(entry), context)

    async def _keep(self, entry: SourceEntry) -> None:
        name = f"source:{entry.station}:{entry.slug}"
        await Singleton(
            self._leases,
            name,
            self._holder,
            self._clock,
            lambda epoch: self._read(entry),
            detail=lambda: self._told(entry),
        ).run()

    def _told(self, entry: SourceEntry) -> dict[str, Any]:
        connector = self._open.get(entry.slug)
        if connector is None:
            return {"state": "waiting"}
        stats = dict(connector.stats())
        stats.pop("sources", None)
        return {"state": connector_state(connector), **stats}

    async def _read(self, entry: SourceEntry) -> None:
        """Read one source for ever; what breaks is logged and begun again."""
        while True:
            try:
                await self._read_once(entry)
            except VtocError as error:
                logger.error("source_failed", source=entry.slug, error=str(error))
            except Exception:
                logger.exception("source_failed", source=entry.slug)
            finally:
                self._open.pop(entry.slug, None)
                self._metrics.forget_source(entry.slug)
            await self._clock.sleep(30)

    async def _read_once(self, entry: SourceEntry) -> None:
        station = await self._people.station(entry.station)
        connector = await self._opened(entry, station)
        self._open[entry.slug] = connector
        self._metrics.watch_source(entry.slug, connector.stats)
        broadcasts = await self._broadcasts(entry, station)
        writer = self._writer(entry, station, broadcasts)
        if entry.schedule and isinstance(connector, TakesCalls):
            scheduled = ScheduledSource(entry, connector, writer, station, self._store, self._clock)
            self._open[entry.slug] = scheduled
            await scheduled.run()
        if entry.schedule not in (None, NOW):
            self._without_effect(entry, "schedule", f"type {entry.type} reads by itself, at its own pace")
        flusher = asyncio.create_task(self._flush(writer, entry.slug), name=f"flush:{entry.slug}")
        try:
            async with aclosing(connector.events()) as events:  # type: ignore[type-var]  # an async generator in practice
                async for event in events:
                    writer.add(event)
        finally:
            flusher.cancel()
            await asyncio.gather(flusher, return_exceptions=True)

    def _writer(self, entry: SourceEntry, station: Station, broadcasts: Broadcasts | None = None) -> SourceWriter:
        async def seen(states: list[TelemetryEvent]) -> None:
            await self.emergencies.look(station, states, self._clock.now())

        return SourceWriter(self._store, station, entry, self._thin_seconds, seen=seen, broadcasts=broadcasts)

    async def _broadcasts(self, entry: SourceEntry, station: Station) -> Broadcasts | None:
        """What tells of a source in the station's thread and to the socket, where it is to be told and there is any."""
        if not entry.broadcast:
            return None
        if not self._notices.has_channels and self._socket is None:
            self._without_effect(entry, "broadcast", "there is neither ChatKit nor TELEMETRY_BROADCAST_URL here")
            return None
        channel = await channel_name(self._people, station, entry.chatkit_channel)
        return Broadcasts(entry, station, channel, self._notices, self._socket, self._clock)

    async def _replay_again(self, entry: SourceEntry) -> None:
        """Replay a capture at its times, if its content is new then; a failure is logged, and the next time comes."""
        zone = next(each.timezone for each in self._stations if each.slug == entry.station)
        async for _ in due_times(entry.schedule or NOW, zone, self._clock.now(), self._clock):
            try:
                await self._replay_captures(await self._people.station(entry.station), (entry.type,))
            except (VtocError, TimeoutError) as error:
                logger.error("source_failed", source=entry.slug, error=str(error) or "it took too long")
            except Exception:  # the decoder's own fault: other sources go on
                logger.exception("source_failed", source=entry.slug)

    def _without_effect(self, entry: SourceEntry, setting: str, reason: str) -> None:
        logger.warning("source_setting_without_effect", source=entry.slug, setting=setting, reason=reason)

    async def _flush(self, writer: SourceWriter, slug: str) -> None:
        forgot = self._clock.monotonic()
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            try:
                await writer.flush()
                if self._clock.monotonic() - forgot > 60:
                    forgot = self._clock.monotonic()
                    await writer.forget(self._clock.now() - FORGOTTEN_AFTER)
            except Exception as error:  # kept and written with the next; the source goes on
                logger.warning("telemetry_not_written", source=slug, error=f"{type(error).__name__}: {error}")

    async def _replay_captures(self, station: Station, types: tuple[str, ...]) -> None:
        for entry in self._entries:
            if entry.mode == "offline" and entry.station == station.slug and entry.type in types:
                async with self._replays.setdefault(entry.slug, asyncio.Lock()):
                    await self._replay(entry, station)

    async def _replay(self, entry: SourceEntry, station: Station) -> None:
        """Replay a capture unless this very content was: under its lease, at full speed."""
        digest = await asyncio.to_thread(_digest, entry)
        deadline = self._clock.monotonic() + REPLAY_SECONDS
        name = f"replay:{entry.station}:{entry.slug}"
        while not await self._was_replayed(entry, station, digest):
            if await self._leases.take(name, self._holder, REPLAY_SECONDS) is not None:
                try:
                    if not await self._was_replayed(entry, station, digest):
                        await asyncio.wait_for(self._replay_once(entry, station, digest), REPLAY_SECONDS)
                finally:
                    await self._leases.release(name, self._holder)
            elif self._clock.monotonic() > deadline:
                raise ActionError(f"the capture of source {entry.slug} is being replayed elsewhere and is not done")
            else:
                await self._clock.sleep(0.2)

    async def _was_replayed(self, entry: SourceEntry, station: Station, digest: str) -> bool:
        async with self._store.session(station) as session:
            row = await telemetry.ensure_source(session, entry.slug, entry.type, "offline", entry.kept)
        return bool(row["configuration"].get(REPLAYED) == digest)

    async def _replay_once(self, entry: SourceEntry, station: Station, digest: str) -> None:
        connector = await self._opened(entry, station)
        states = States(self._thin_seconds)
        count = 0
        async for event in connector.events():
            states.add(event)
            count += 1
        latest, positions = states.take()
        async with self._store.session(station) as session:
            source_id = (await telemetry.ensure_source(session, entry.slug, entry.type, "offline", entry.kept))["id"]
            await telemetry.clear(session, source_id)
            for start in range(0, len(positions), 5000):
                await telemetry.add_events(session, source_id, positions[start : start + 5000])
            await telemetry.set_latest(session, source_id, latest)
            facts = {REPLAYED: digest, "stats": {k: v for k, v in connector.stats().items() if k in _KEPT}}
            await telemetry.note_ingested(session, source_id, facts)
        logger.info("capture_replayed", source=entry.slug, events=count, entities=len(latest), positions=len(positions))


_KEPT: Final = ("read", "decoded", "rejected")


def decoder_maker(specs: Mapping[str, ConnectorSpec]) -> Any:
    """``decoder(type, format, source=…, position=…)`` over the registered connector types."""

    def make(
        type: str, format: str | None = None, *, source: str, position: tuple[float, float] | None = None
    ) -> Decoder:
        spec = specs.get(type)
        if spec is None or spec.decoder is None:
            raise ActionError(f"no plugin decodes {type}; it may be disabled")
        return spec.decoder(format=format, head=b"", name="", position=position, source=source)

    return make


def _digest(entry: SourceEntry) -> str:
    """SHA-256 of the capture and of how it is to be read."""
    options = dict(entry.options)
    values = [str(value) for value in options.values()]
    url = next((value for value in values if value.startswith("file:")), None)
    path = next((value for value in values if Path(value).is_file()), "")
    if url is not None:
        path = unquote(url.removeprefix("file://localhost").removeprefix("file://"))
    digest = hashlib.sha256(repr(sorted((k, str(v)) for k, v in options.items())).encode())
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise ActionError(f"source {entry.slug}: its capture can't be read: {error}") from error
    return digest.hexdigest()
