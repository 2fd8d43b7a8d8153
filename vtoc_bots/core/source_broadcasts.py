"""Summaries of what a source reports, in its station's thread and to a WebSocket: coalesced, never one an event."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from vtoc_bots.core.access import Station
from vtoc_bots.core.cards import Card, Fields
from vtoc_bots.core.config import SourceEntry, slug_of
from vtoc_bots.core.errors import Forbidden
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.people import People
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.summary_socket import SummarySocket
from vtoc_bots.core.telemetry import TelemetryEvent

EVERY_SECONDS: Final = 300.0
"""The least time between two summaries of a source."""
MOST_ENTITIES: Final = 10_000
"""Above which entities are no longer told apart."""
THREAD: Final = "channel"
"""How a conversation names the thread that is the channel's own."""


async def channel_name(people: People, station: Station, named: object) -> str:
    """The ChatKit channel of a source: the one that it names, else its station's. Raises Forbidden for one of another
    station."""
    channel = slug_of(named) if isinstance(named, str) and named.strip() else station.slug
    if channel != station.slug and channel in {each.slug for each in await people.stations()}:
        raise Forbidden(f"{channel} is another station's channel; correct the source's chatkit_channel")
    return channel


class Broadcasts:
    """The summaries of one source."""

    def __init__(
        self,
        entry: SourceEntry,
        station: Station,
        channel: str,
        notices: Notices,
        socket: SummarySocket | None,
        clock: Clock,
    ) -> None:
        self._entry, self._station, self._channel = entry, station, channel
        self._notices, self._socket, self._clock = notices, socket, clock
        self._told_at: float | None = None
        self._reports, self._exercise, self._since = 0, False, clock.now()
        self._entities: set[tuple[str, str]] = set()
        self._newest: datetime | None = None

    def add(self, event: TelemetryEvent) -> None:
        """Count a report."""
        self._reports += 1
        self._exercise |= event.exercise
        if len(self._entities) < MOST_ENTITIES:
            self._entities.add((event.entity_namespace, event.entity_id))
        self._newest = event.event_time or self._newest

    async def tell(self) -> None:
        """Tell what came since the last time, where that was long enough ago; once a span, whoever reads the source."""
        conversation = self._notices.channel(self._channel, THREAD)
        if not self._reports:
            return
        if self._told_at is not None and self._clock.monotonic() - self._told_at < EVERY_SECONDS:
            return
        span = int(self._clock.now().timestamp() // EVERY_SECONDS)
        key = f"broadcast:{self._station.slug}:{self._entry.slug}:{span}"
        if conversation is not None:
            await self._notices.send_to(conversation, self._card(), key, new_id())
        if self._socket is not None:
            self._socket.put(self._summary(key))
        self._told_at = self._clock.monotonic()
        self._clear()

    def _card(self) -> Card:
        more = "at least " if len(self._entities) >= MOST_ENTITIES else ""
        facts = Fields.of(
            reports=f"{self._reports:,}",
            entities=f"{more}{len(self._entities):,}",
            since=f"{self._since:%Y-%m-%d %H:%M:%SZ}",
            newest=f"{self._newest:%Y-%m-%d %H:%M:%SZ}" if self._newest else "without a time",
        )
        return Card.of(f"{self._entry.slug} ({self._entry.type})", facts, exercise=self._exercise)

    def _summary(self, key: str) -> dict[str, Any]:
        """The same for a program; `key` is the summary's own for ever."""
        return {
            "key": key,
            "source": self._entry.slug,
            "type": self._entry.type,
            "station": self._station.slug,
            "reports": self._reports,
            "entities": len(self._entities),
            "since": self._since.isoformat(),
            "newest": self._newest.isoformat() if self._newest else None,
            "exercise": self._exercise,
        }

    def _clear(self) -> None:
        self._reports, self._exercise, self._since = 0, False, self._clock.now()
        self._entities.clear()
        self._newest = None
