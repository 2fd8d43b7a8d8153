"""A bounded queue between a source and its consumer: it conflates per entity and never blocks the source."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator

from vtoc_bots.core.telemetry import TelemetryEvent

_Key = tuple[str, str, str, bool]
_FILLED = ("speed_mps", "heading_deg", "vertical_rate_mps", "on_ground", "callsign", "squawk", "category")


class ConflatingQueue:
    """Holds at most two events an entity and source, the newest with a position and the newest without one.

    A position is therefore never displaced by a report that has none. A newer event takes the place in line of the one
    it displaces, so no entity waits longer because it reports often, and what the newer one does not say (callsign,
    squawk, speed …) is filled in from the displaced one; a position, its time and its accuracy never are. An event
    older than the waiting one is conflated into it the other way round. At `limit` entries the one that waits longest
    is dropped. `conflated` and `dropped` count both losses. For one event loop; no locks.
    """

    def __init__(self, limit: int = 20_000) -> None:
        if limit < 1:
            raise ValueError("a ConflatingQueue needs room for at least one event")
        self._limit = limit
        self._waiting: OrderedDict[_Key, TelemetryEvent] = OrderedDict()
        self._changed = asyncio.Event()
        self._closed = False
        self.conflated = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: TelemetryEvent) -> None:
        """Add an event. Never blocks, never raises."""
        waiting = self._waiting
        key = (event.source, event.entity_namespace, event.entity_id, event.has_position)
        pending = waiting.get(key)
        if pending is not None:
            self.conflated += 1
            event = _conflate(pending, event)
        elif len(waiting) >= self._limit:
            waiting.popitem(last=False)
            self.dropped += 1
        waiting[key] = event
        self._changed.set()

    def close(self) -> None:
        """No more will come: iteration ends once the rest is taken."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[TelemetryEvent]:
        """Take events, first in line first, waiting for more until the queue is closed. For one consumer."""
        while True:
            while self._waiting:
                yield self._waiting.popitem(last=False)[1]
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()


def _conflate(pending: TelemetryEvent, event: TelemetryEvent) -> TelemetryEvent:
    """The newer of the two by event time (by arrival when either has none), filled in from the older."""
    newer, older = event, pending
    if event.event_time is not None and pending.event_time is not None and event.event_time < pending.event_time:
        newer, older = pending, event
    filled = {
        name: known for name in _FILLED if getattr(newer, name) is None and (known := getattr(older, name)) is not None
    }
    if newer.altitude_m is None and older.altitude_m is not None and newer.on_ground is not True:
        filled |= {"altitude_m": older.altitude_m, "altitude_datum": older.altitude_datum}
    if older.payload:
        filled["payload"] = {**older.payload, **newer.payload}
    return newer._replace(**filled) if filled else newer
