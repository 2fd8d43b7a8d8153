"""What interfaces ask of telemetry and give to it: sources as they are kept, events in pages, events pushed in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from vtoc_bots.core.errors import Conflict
from vtoc_bots.core.store.pool import Row, Session
from vtoc_bots.core.store.telemetry import COLUMNS, event_columns
from vtoc_bots.core.telemetry import TelemetryEvent

_SOURCE: Final = """id, station_id, name, slug, source_type, description, is_active, connection_mode, configuration,
    last_ingested_at, created_at, updated_at"""
_SOURCES: Final = f"""SELECT {_SOURCE} FROM {{schema}}.telemetry_sources
    WHERE ($1::timestamptz IS NULL OR (created_at, id) < ($1, $2::uuid)) ORDER BY created_at DESC, id DESC LIMIT $3"""
_BY_ID: Final = f"SELECT {_SOURCE} FROM {{schema}}.telemetry_sources WHERE id = $1"
_BY_SLUG: Final = f"SELECT {_SOURCE} FROM {{schema}}.telemetry_sources WHERE slug = $1"
_ADD: Final = f"""INSERT INTO {{schema}}.telemetry_sources
    (station_id, name, slug, source_type, description, is_active, connection_mode, configuration)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (station_id, slug) DO NOTHING RETURNING {_SOURCE}"""
_CHANGE: Final = f"""UPDATE {{schema}}.telemetry_sources SET name = coalesce($2, name), slug = coalesce($3, slug),
    source_type = coalesce($4, source_type), description = coalesce($5, description),
    is_active = coalesce($6, is_active), connection_mode = coalesce($7, connection_mode),
    configuration = coalesce($8, configuration) WHERE id = $1 RETURNING {_SOURCE}"""
_KEEP: Final = "SELECT id FROM {schema}.telemetry_sources WHERE id = $1 FOR KEY SHARE"
_REMOVE: Final = "DELETE FROM {schema}.telemetry_sources WHERE id = $1"
_REMOVE_EVENTS: Final = "DELETE FROM {schema}.telemetry_events WHERE source_id = $1"

_NAMES: Final = ", ".join(column.name for column in COLUMNS)
_READ: Final = ", ".join(f"e.{column.name}" for column in COLUMNS)
_ARRAYS: Final = ", ".join(f"${number}::{column.type}[]" for number, column in enumerate(COLUMNS, 6))
_EVENT: Final = f"""e.id, e.source_id, e.station_id, e.received_at, e.raw_data, e.status, {_READ},
    s.slug AS source_slug, s.name AS source_name, s.source_type"""
_FROM: Final = "FROM {schema}.telemetry_events e JOIN {schema}.telemetry_sources s ON s.id = e.source_id"
# A box whose west is east of its east goes over the antimeridian.
_EVENTS: Final = f"""SELECT {_EVENT} {_FROM}
WHERE ($1::uuid IS NULL OR e.source_id = $1) AND ($2::timestamptz IS NULL OR e.event_time >= $2)
    AND ($3::timestamptz IS NULL OR e.event_time < $3)
    AND ($4::float8[] IS NULL OR (e.latitude BETWEEN $4[2] AND $4[4] AND CASE WHEN $4[1] <= $4[3]
        THEN e.longitude BETWEEN $4[1] AND $4[3] ELSE e.longitude >= $4[1] OR e.longitude <= $4[3] END))
    AND ($5::timestamptz IS NULL OR (e.event_time, e.id) < ($5, $6::uuid))
ORDER BY e.event_time DESC, e.id DESC LIMIT $7"""
_EVENT_BY_ID: Final = f"SELECT {_EVENT} {_FROM} WHERE e.id = $1 LIMIT 1"
_NEWEST: Final = f"SELECT {_EVENT} {_FROM} ORDER BY e.event_time DESC, e.id DESC LIMIT 1"
# The same event sent again under the same key has the same id and time.
_PUSH: Final = f"""INSERT INTO {{schema}}.telemetry_events (source_id, station_id, id, raw_data, status, {_NAMES})
SELECT $1, $2, n.* FROM unnest($3::uuid[], $4::text[], $5::text[], {_ARRAYS}) AS n(id, raw_data, status, {_NAMES})
ON CONFLICT (id, event_time) DO NOTHING"""


class Pushed(NamedTuple):
    """An event that was given to us, under the id that it gets."""

    id: UUID
    event: TelemetryEvent
    raw_data: str | None
    status: str


class SlugTaken(Conflict):
    """The station has a source of that slug."""


async def sources_page(session: Session, before: tuple[datetime, UUID] | None, limit: int) -> list[Row]:
    """The station's sources before that place, newest first."""
    at, source_id = before or (None, None)
    return await session.fetch(_SOURCES.format(schema=session.schema), at, source_id, limit)


async def source_by_id(session: Session, source_id: UUID) -> Row | None:
    """The station's source of an id."""
    return await session.fetchrow(_BY_ID.format(schema=session.schema), source_id)


async def find_source(session: Session, name: str) -> Row | None:
    """The station's source of a slug or id."""
    found = await session.fetchrow(_BY_SLUG.format(schema=session.schema), name)
    if found is not None:
        return found
    try:
        return await source_by_id(session, UUID(name))
    except ValueError:
        return None


async def add_source(
    session: Session,
    slug: str,
    name: str,
    source_type: str,
    description: str = "",
    is_active: bool = True,
    connection_mode: str = "online",
    configuration: Any = None,
) -> Row:
    """A new source. Raises SlugTaken."""
    values = (name, slug, source_type, description, is_active, connection_mode, configuration or {})
    row = await session.fetchrow(_ADD.format(schema=session.schema), session.station.id, *values)
    if row is None:
        raise SlugTaken(f"station {session.station.slug} has a source {slug} already")
    return row


async def change_source(session: Session, source_id: UUID, **changes: Any) -> Row | None:
    """Change what is given and not null; None where there is no such source. Raises SlugTaken."""
    names = ("name", "slug", "source_type", "description", "is_active", "connection_mode", "configuration")
    try:
        sql = _CHANGE.format(schema=session.schema)
        return await session.fetchrow(sql, source_id, *(changes.get(name) for name in names))
    except asyncpg.UniqueViolationError as error:
        raise SlugTaken(f"station {session.station.slug} has a source {changes.get('slug')} already") from error


async def keep_source(session: Session, source_id: UUID) -> bool:
    """Hold a source until the transaction's end, so that nobody removes it; False where it is gone."""
    return await session.fetchval(_KEEP.format(schema=session.schema), source_id) is not None


async def remove_source(session: Session, source_id: UUID) -> bool:
    """Remove a source with everything that it reported; False where there is none."""
    await session.execute(_REMOVE_EVENTS.format(schema=session.schema), source_id, timeout=60)
    return await session.execute(_REMOVE.format(schema=session.schema), source_id, timeout=60) > 0


async def events_page(
    session: Session,
    source_id: UUID | None,
    since: datetime | None,
    until: datetime | None,
    box: Sequence[float] | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Row]:
    """The station's events before that place, newest first; `box` is west, south, east, north in degrees."""
    at, event_id = before or (None, None)
    sql = _EVENTS.format(schema=session.schema)
    return await session.fetch(sql, source_id, since, until, box, at, event_id, limit, timeout=30)


async def event_by_id(session: Session, event_id: UUID) -> Row | None:
    """The station's event of an id."""
    return await session.fetchrow(_EVENT_BY_ID.format(schema=session.schema), event_id)


async def newest_event(session: Session) -> Row | None:
    """The station's newest event."""
    return await session.fetchrow(_NEWEST.format(schema=session.schema))


async def push_events(session: Session, source_id: UUID, pushed: Sequence[Pushed]) -> int:
    """Write events of one source; how many were new. Every event must have a time."""
    sql = _PUSH.format(schema=session.schema)
    ids = [each.id for each in pushed]
    raw, statuses = [each.raw_data for each in pushed], [each.status for each in pushed]
    columns = event_columns([each.event for each in pushed])
    return await session.execute(sql, source_id, session.station.id, ids, raw, statuses, *columns, timeout=30)
