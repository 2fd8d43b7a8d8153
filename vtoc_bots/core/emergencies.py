"""Aircraft that squawk an emergency: an alert of each, once, however many sources see it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import structlog

from vtoc_bots.core.access import Station
from vtoc_bots.core.alerts import Alerts
from vtoc_bots.core.cards import Card, Fields, Severity
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.telemetry import EMERGENCIES, TelemetryEvent

logger = structlog.get_logger(__name__)

QUIET: Final = timedelta(hours=12)
"""The same aircraft with the same code alerts once in this time."""
FRESH: Final = timedelta(minutes=5)
"""Older reports alert nobody."""
MOST_KNOWN: Final = 4096


class Emergencies:
    """Looks at what sources report."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._alerts = Alerts(store, notices)
        self._known: OrderedDict[str, datetime] = OrderedDict()

    async def look(self, station: Station, events: Iterable[TelemetryEvent], now: datetime) -> None:
        """Alert the station of every aircraft that squawks an emergency. What can't be written is logged, and looked at
        again with the aircraft's next report."""
        for event in events:
            if event.squawk not in EMERGENCIES or now - (event.event_time or now) > FRESH:
                continue
            name = f"squawk:{event.entity_namespace}:{event.entity_id}:{event.squawk}"
            known = self._known.get(f"{station.slug}:{name}")
            if known is not None and now - known < QUIET:
                continue
            span = int(now.timestamp() // QUIET.total_seconds())  # two alerts that far apart have two keys
            try:
                await self._alerts.alert(station, _card(event), f"{name}:{span}", unless=name, within=QUIET)
            except Exception as error:  # telemetry goes on
                logger.error("alert_not_raised", key=name, error=f"{type(error).__name__}: {error}")
                continue
            self._known[f"{station.slug}:{name}"] = now
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)


def _card(event: TelemetryEvent) -> Card:
    name = event.callsign or f"{event.entity_namespace} {event.entity_id}"
    place = "" if event.latitude is None else f"{event.latitude:.4f}, {event.longitude:.4f}"
    facts = {
        "aircraft": f"{event.entity_namespace} {event.entity_id}",
        "position": place,
        "seen by": event.source,
        "at": "" if event.event_time is None else f"{event.event_time:%Y-%m-%d %H:%M:%SZ}",
    }
    return Card.of(
        f"{name} squawks {event.squawk}: {EMERGENCIES[event.squawk or '']}",
        Fields.of(**{key: value for key, value in facts.items() if value}),
        severity=Severity.BAD,
        exercise=event.exercise,
    )
