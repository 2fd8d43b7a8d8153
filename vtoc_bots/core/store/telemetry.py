"""Telemetry's rows in a role schema: sources, positions in time, the newest state of every entity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.store.clean import clean_text
from vtoc_bots.core.store.pool import Row, Session
from vtoc_bots.core.telemetry import TelemetryEvent


class Column(NamedTuple):
    """A column of an event, its type, and the event's field that it holds."""

    name: str
    type: str
    field: str


COLUMNS: Final = (
    Column("event_time", "timestamptz", "event_time"),
    Column("latitude", "double precision", "latitude"),
    Column("longitude", "double precision", "longitude"),
    Column("altitude", "double precision", "altitude_m"),
    Column("altitude_datum", "text", "altitude_datum"),
    Column("heading", "double precision", "heading_deg"),
    Column("speed", "double precision", "speed_mps"),
    Column("vertical_rate", "double precision", "vertical_rate_mps"),
    Column("on_ground", "boolean", "on_ground"),
    Column("entity_id", "text", "entity_id"),
    Column("entity_namespace", "text", "entity_namespace"),
    Column("callsign", "text", "callsign"),
    Column("accuracy_m", "double precision", "accuracy_m"),
    Column("position_kind", "text", "position_kind"),
    Column("squawk", "text", "squawk"),
    Column("category", "text", "category"),
    Column("stale_at", "timestamptz", "stale_at"),
    Column("exercise", "boolean", "exercise"),
    Column("payload", "jsonb", "payload"),
)
_NAMES: Final = ", ".join(column.name for column in COLUMNS)
_ARRAYS: Final = ", ".join(f"${number}::{column.type}[]" for number, column in enumerate(COLUMNS, 3))
_READ: Final = ", ".join(f"e.{column.name}" for column in COLUMNS)
_KEY: Final = ("entity_namespace", "entity_id")
_UPDATES: Final = ", ".join(f"{c.name} = excluded.{c.name}" for c in COLUMNS if c.name not in _KEY)

_ENSURE: Final = """
INSERT INTO {schema}.telemetry_sources AS s
    (station_id, name, slug, source_type, connection_mode, configuration)
VALUES ($1, $2, $2, $3, $4, $5)
ON CONFLICT (station_id, slug) DO UPDATE SET source_type = excluded.source_type,
    connection_mode = excluded.connection_mode, configuration = s.configuration || excluded.configuration
RETURNING id, configuration
"""
_CONFIGURE: Final = """
UPDATE {schema}.telemetry_sources SET configuration = configuration || $2, last_ingested_at = now() WHERE id = $1
"""
_ADD_EVENTS: Final = f"""
INSERT INTO {{schema}}.telemetry_events (source_id, station_id, {_NAMES})
SELECT $1, $2, n.* FROM unnest({_ARRAYS}) AS n({_NAMES})
"""
_SET_LATEST: Final = f"""
INSERT INTO {{schema}}.telemetry_latest AS l (source_id, station_id, {_NAMES})
SELECT $1, $2, n.* FROM unnest({_ARRAYS}) AS n({_NAMES}) ORDER BY n.entity_namespace, n.entity_id
ON CONFLICT (source_id, entity_namespace, entity_id) DO UPDATE SET {_UPDATES}, received_at = now()
WHERE l.event_time <= excluded.event_time
"""
_FORGET: Final = """
DELETE FROM {schema}.telemetry_latest WHERE source_id = $1 AND event_time < $2
"""
_CLEAR: Final = "DELETE FROM {schema}.{table} WHERE source_id = $1"
_EVENTS: Final = f"""
SELECT s.slug, s.source_type, {_READ}
FROM {{schema}}.telemetry_events e JOIN {{schema}}.telemetry_sources s ON s.id = e.source_id
WHERE e.source_id = $1 AND e.event_time > $2 AND e.event_time <= $3 ORDER BY e.event_time LIMIT $4
"""
_LATEST: Final = f"""
SELECT s.slug, s.source_type, {_READ}
FROM {{schema}}.telemetry_latest e JOIN {{schema}}.telemetry_sources s ON s.id = e.source_id
WHERE e.source_id = ANY($1::uuid[]) AND e.event_time > $2 ORDER BY e.event_time
"""
_SOURCES: Final = """
SELECT s.id, s.slug, s.source_type, s.connection_mode, s.is_active, s.configuration, s.last_ingested_at,
    n.newest, n.entities, n.exercise
FROM {schema}.telemetry_sources s
LEFT JOIN LATERAL (
    SELECT max(l.event_time) AS newest, count(*) AS entities, bool_or(l.exercise) AS exercise
    FROM {schema}.telemetry_latest l WHERE l.source_id = s.id
) n ON true
ORDER BY s.slug
"""


class SourceRow(NamedTuple):
    """A source's row; `newest` is the time of its newest state, `entities` how many it has."""

    id: UUID
    slug: str
    type: str
    mode: str
    is_active: bool
    configuration: dict[str, Any]
    last_ingested_at: datetime | None
    newest: datetime | None
    entities: int
    exercise: bool | None


async def ensure_source(session: Session, slug: str, source_type: str, mode: str, configuration: Any) -> Row:
    """The source's row (id, configuration), made or brought up to date."""
    sql = _ENSURE.format(schema=session.schema)
    row = await session.fetchrow(sql, session.station.id, slug, source_type, mode, configuration)
    assert row is not None
    return row


async def note_ingested(session: Session, source_id: UUID, configuration: Any) -> None:
    """Stamp that the source gave something, and keep facts about it."""
    await session.execute(_CONFIGURE.format(schema=session.schema), source_id, configuration)


async def add_events(session: Session, source_id: UUID, events: Sequence[TelemetryEvent]) -> None:
    """Write positions; every event must have a time."""
    sql = _ADD_EVENTS.format(schema=session.schema)
    await session.execute(sql, source_id, session.station.id, *event_columns(events), timeout=30)


async def set_latest(session: Session, source_id: UUID, states: Sequence[TelemetryEvent]) -> None:
    """Write the newest states, one an entity; a newer one in the table stays."""
    sql = _SET_LATEST.format(schema=session.schema)
    await session.execute(sql, source_id, session.station.id, *event_columns(states), timeout=30)


async def forget_latest(session: Session, source_id: UUID, before: datetime) -> None:
    """Remove states that are older."""
    await session.execute(_FORGET.format(schema=session.schema), source_id, before)


async def clear(session: Session, source_id: UUID) -> None:
    """Remove everything the source gave: a capture is about to be replayed again."""
    for table in ("telemetry_events", "telemetry_latest"):
        await session.execute(_CLEAR.format(schema=session.schema, table=table), source_id, timeout=60)


async def events_between(
    session: Session, source_id: UUID, after: datetime, until: datetime, limit: int
) -> list[TelemetryEvent]:
    """The source's positions in a span of time, oldest first."""
    rows = await session.fetch(_EVENTS.format(schema=session.schema), source_id, after, until, limit, timeout=30)
    return [_event(row) for row in rows]


async def latest_since(session: Session, source_ids: Iterable[UUID], after: datetime) -> list[TelemetryEvent]:
    """The newest states of these sources, oldest first."""
    rows = await session.fetch(_LATEST.format(schema=session.schema), list(source_ids), after, timeout=30)
    return [_event(row) for row in rows]


async def all_sources(session: Session) -> list[SourceRow]:
    """The station's sources, by slug."""
    return [SourceRow(*row.values()) for row in await session.fetch(_SOURCES.format(schema=session.schema))]


def event_columns(events: Sequence[TelemetryEvent]) -> list[list[Any]]:
    """The values of COLUMNS, a list a column."""
    columns: list[list[Any]] = []
    for column in COLUMNS:
        values = [getattr(event, column.field) for event in events]
        if column.type == "text":
            values = [value if value is None else clean_text(value) for value in values]
        elif column.type == "jsonb":
            values = [dict(value) for value in values]
        columns.append(values)
    return columns


def _event(row: Row) -> TelemetryEvent:
    slug, source_type, *values = row.values()
    fields = {column.field: value for column, value in zip(COLUMNS, values, strict=True)}
    return TelemetryEvent(source=slug, source_type=source_type, **fields)
