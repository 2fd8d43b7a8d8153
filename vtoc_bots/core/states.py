"""The newest state of every entity of a source, and which of its positions are worth storing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeAlias

from vtoc_bots.core.telemetry import TelemetryEvent

EntityKey: TypeAlias = tuple[str, str, str]
"""(source, namespace, id)."""

_POSITION: Final = frozenset({"latitude", "longitude", "accuracy_m", "position_kind"})
_MERGED: Final = tuple(
    name
    for name in TelemetryEvent._fields
    if name not in {"entity_id", "entity_namespace", "source", "source_type", "event_time", "exercise", "payload"}
)


class States:
    """Merges a source's events into one state an entity.

    A state takes from each newer event what that says and keeps the rest. `thin_seconds` is the least time between two
    stored positions of an entity.
    """

    def __init__(self, thin_seconds: float) -> None:
        self._thin = timedelta(seconds=thin_seconds)
        self._states: dict[EntityKey, TelemetryEvent] = {}
        self._position_at: dict[EntityKey, datetime] = {}
        self._stored_at: dict[EntityKey, datetime] = {}
        self._changed: set[EntityKey] = set()
        self._positions: list[TelemetryEvent] = []

    def __len__(self) -> int:
        return len(self._states)

    def add(self, event: TelemetryEvent) -> None:
        """Take an event. One without a time takes its arrival's; without either it is of no use here."""
        at = event.event_time or event.received_at
        if at is None:
            return
        if event.event_time is None:
            event = event._replace(event_time=at)
        key = (event.source, event.entity_namespace, event.entity_id)
        known = self._states.get(key)
        if known is None or known.event_time is None:
            state = event
        elif at >= known.event_time:
            state = merged(known, event)
        else:
            state = merged(event, known)
        if known is not None and event.has_position:
            # A late report may still bring the newest position.
            newest = event if at >= self._position_at.get(key, at) else known
            state = state._replace(**{name: getattr(newest, name) for name in _POSITION})
        self._states[key] = state
        self._changed.add(key)
        if event.has_position:
            self._position_at[key] = max(at, self._position_at.get(key, at))
            self._store(key, at, state if state.event_time == at else event)

    def _store(self, key: EntityKey, at: datetime, state: TelemetryEvent) -> None:
        last = self._stored_at.get(key)
        if last is None or at - last >= self._thin:
            self._stored_at[key] = at
            self._positions.append(state)

    def take(self) -> tuple[list[TelemetryEvent], list[TelemetryEvent]]:
        """(states that changed, positions to store) since the last call."""
        states = [self._states[key] for key in self._changed]
        positions, self._positions, self._changed = self._positions, [], set()
        return states, positions

    def put_back(self, states: list[TelemetryEvent], positions: list[TelemetryEvent], most: int) -> int:
        """Return what could not be written; how many positions had to be dropped to keep `most`."""
        self._changed.update((s.source, s.entity_namespace, s.entity_id) for s in states)
        self._changed &= self._states.keys()
        self._positions = positions + self._positions
        dropped = max(0, len(self._positions) - most)
        del self._positions[:dropped]
        return dropped

    def forget(self, before: datetime) -> None:
        """Drop entities not heard since."""
        old = [key for key, state in self._states.items() if state.event_time is not None and state.event_time < before]
        for key in old:
            del self._states[key]
            self._stored_at.pop(key, None)
            self._position_at.pop(key, None)
        self._changed -= set(old)


def merged(older: TelemetryEvent, newer: TelemetryEvent) -> TelemetryEvent:
    """The newer event, with what it does not say taken from the older; a position is taken whole or not at all."""
    values = newer._asdict()
    for name in _MERGED:
        if values[name] is None and not (name in _POSITION and newer.has_position):
            values[name] = getattr(older, name)
    if newer.altitude_m is not None:
        values["altitude_datum"] = newer.altitude_datum
    values["payload"] = {**older.payload, **newer.payload}
    return TelemetryEvent(**values)
