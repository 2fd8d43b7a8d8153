"""Events that others push into the API: whose source they are, under which ids, written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.source_states import PUSHED
from vtoc_bots.core.states import States
from vtoc_bots.core.store import telemetry
from vtoc_bots.core.store.idempotency import remember
from vtoc_bots.core.store.pool import Connection, Row, Session
from vtoc_bots.core.store.telemetry_pages import (
    Pushed,
    SlugTaken,
    add_source,
    find_source,
    keep_source,
    push_events,
    source_by_id,
)
from vtoc_bots.core.telemetry import EMERGENCIES, NOTHING, TelemetryEvent
from vtoc_bots.core.web.batches import parts_of
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.core.web.typed import Call

if TYPE_CHECKING:
    from vtoc_bots.core.web.api.events import NewEvent

_EVENTS: Final = UUID("0a3d3a1c-5a86-5b7e-8f0b-2c9d54f0a7be")
"""The namespace of ids of events that were sent under an Idempotency-Key."""


async def push(call: Call, given: Sequence[NewEvent], source: Row | None) -> list[UUID]:
    """Write the events, of that source or each of its own; their ids, in order.

    Under a key, ids and times are made from it, so sending the same again writes nothing twice. Raises Refusal where an
    event's source can't be told or is inactive, NotFound for an unknown id.
    """
    at, ids = await _ids(call, len(given))
    async with call.parts.store.session(call.station) as session:
        by_source: dict[UUID, list[Pushed]] = {}
        rows: dict[UUID, Row] = {}
        known: dict[tuple[UUID | None, str | None], Row] = {}
        async for part in parts_of(list(zip(ids, given, strict=True))):
            for event_id, event in part:
                row = source or await _source_of(session, event, known)
                if not row["is_active"]:
                    raise Refusal(409, f"source {row['slug']} is not active; activate it before sending events")
                rows[row["id"]] = row
                by_source.setdefault(row["id"], []).append(_pushed(event_id, event, row, at))
        # In one order, so that two pushes to the same sources wait for each other instead of locking each other out.
        for source_id, events in sorted(by_source.items()):
            await _write(session, rows[source_id], events)
    emergencies = [each.event for events in by_source.values() for each in events if each.event.squawk in EMERGENCIES]
    await call.parts.emergencies.look(call.station, emergencies, call.parts.clock.now())
    return ids


async def _ids(call: Call, count: int) -> tuple[datetime, list[UUID]]:
    """When the events came, and their ids; those of the first time where they came under this key before."""
    if call.key is None:
        return call.parts.clock.now(), [new_id() async for part in parts_of(range(count)) for _ in part]
    scope, key, digest = call.principal.actor, call.key, call.digest

    async def work(connection: Connection) -> datetime:
        return (await remember(connection, scope, key, digest, None)).at

    at = await call.parts.store.run(work, transaction=True, idempotent=True)
    numbered = parts_of(range(count))
    return at, [uuid5(_EVENTS, f"{scope} {key} {number}") async for part in numbered for number in part]


async def _source_of(session: Session, event: NewEvent, known: dict[tuple[UUID | None, str | None], Row]) -> Row:
    """The source that an event names: by its id, else by its slug, made where a name comes with it."""
    named = (event.source_id, event.source_slug)
    if named in known:
        return known[named]
    row = None
    if event.source_id is not None:
        row = await source_by_id(session, event.source_id)
        if row is None:
            raise NotFound(f"there is no source {event.source_id}")
    elif event.source_slug is not None:
        row = await find_source(session, event.source_slug)
        if row is None and event.source_name is not None:
            try:
                row = await add_source(session, event.source_slug, event.source_name, "external")
            except SlugTaken:  # somebody made it in this moment
                row = await find_source(session, event.source_slug)
    if row is None:
        raise Refusal(400, "an event names its source by source_id, by source_slug, or by source_slug and source_name")
    known[named] = row
    return row


def _pushed(event_id: UUID, event: NewEvent, source: Mapping[str, object], at: datetime) -> Pushed:
    made = TelemetryEvent(
        entity_id=(event.entity_id or str(source["slug"])).lower(),
        entity_namespace=(event.entity_namespace or "local") if event.entity_id else "source",
        source=str(source["slug"]),
        source_type=str(source["source_type"]),
        event_time=event.event_time or at,
        latitude=event.latitude,
        longitude=event.longitude,
        altitude_m=event.altitude,
        altitude_datum=event.altitude_datum,
        heading_deg=event.heading,
        speed_mps=event.speed,
        vertical_rate_mps=event.vertical_rate,
        on_ground=event.on_ground,
        callsign=event.callsign,
        accuracy_m=event.accuracy_m,
        squawk=event.squawk,
        category=event.category,
        stale_at=event.stale_at,
        payload=event.payload or NOTHING,
    )
    return Pushed(event_id, made, event.raw_data, event.status or "received")


async def _write(session: Session, source: Row, pushed: Sequence[Pushed]) -> None:
    """The events themselves, the newest state of each entity, and when the source gave something."""
    if not await keep_source(session, source["id"]):
        raise NotFound(f"source {source['slug']} was removed just now")
    states = States(0)
    async for part in parts_of(pushed):
        await push_events(session, source["id"], part)
        for each in part:
            states.add(each.event)
    newest, _ = states.take()
    # In one order, as the events' sources: whoever writes the same entities waits instead of locking us out.
    newest.sort(key=lambda state: (state.entity_namespace, state.entity_id))
    async for some in parts_of(newest):
        await telemetry.set_latest(session, source["id"], some)
    await telemetry.note_ingested(session, source["id"], {PUSHED: True})
