"""What interfaces ask about a station, of its own rows: figures, tasks, the timeline."""

from __future__ import annotations

from typing import Final

from vtoc_bots.core.store.pool import Row, Session

_TASKS: Final = """
SELECT a.id, a.role, a.is_active, a.created_at, s.id AS source_id, s.slug AS source, s.name, s.source_type,
    s.is_active AS source_active, s.last_ingested_at
FROM {schema}.station_assignments a JOIN {schema}.telemetry_sources s ON s.id = a.source_id
ORDER BY (a.role = 'primary') DESC, a.created_at, a.id LIMIT 500
"""
_FIGURES: Final = """
SELECT (SELECT count(*) FROM {schema}.telemetry_events) AS total_events,
    (SELECT count(*) FROM {schema}.telemetry_sources WHERE is_active) AS active_sources,
    (SELECT count(*) FROM {schema}.alerts WHERE acknowledged_at IS NULL) AS open_alerts
"""
# Each part gives no more than can come to stand on the page.
_TIMELINE: Final = """
SELECT * FROM (
    (SELECT 'telemetry_event' AS entry_type, e.id::text AS id, e.event_time AS at, s.name AS title,
        jsonb_build_object('source', s.slug, 'entity_namespace', e.entity_namespace, 'entity_id', e.entity_id,
            'callsign', e.callsign, 'latitude', e.latitude, 'longitude', e.longitude, 'altitude', e.altitude,
            'status', e.status) AS detail
     FROM {schema}.telemetry_events e JOIN {schema}.telemetry_sources s ON s.id = e.source_id
     ORDER BY e.event_time DESC, e.id DESC LIMIT $1::int + $2::int)
    UNION ALL
    (SELECT 'agent_action_audit', a.id::text, a.created_at, a.tool_name,
        jsonb_build_object('action_id', a.action_id, 'status', a.status, 'error', a.error_message,
            'channel_slug', a.channel_slug, 'initiator_id', a.initiator_id, 'completed_at', a.completed_at)
     FROM {schema}.agent_action_audits a ORDER BY a.created_at DESC, a.id DESC LIMIT $1::int + $2::int)
    UNION ALL
    (SELECT 'mission_log', l.id::text, l.logged_at, coalesce(m.code || ' ' || m.name, 'Log'),
        jsonb_build_object('entry', l.entry, 'author', l.author, 'mission', m.code, 'channel_slug', l.channel_slug)
     FROM {schema}.mission_logs l LEFT JOIN {schema}.missions m ON m.id = l.mission_id
     ORDER BY l.logged_at DESC, l.id DESC LIMIT $1::int + $2::int)
) merged ORDER BY at DESC, entry_type, id DESC LIMIT $1::int OFFSET $2::int
"""
_TIMELINE_TOTAL: Final = """
SELECT (SELECT count(*) FROM {schema}.telemetry_events)
    + (SELECT count(*) FROM {schema}.agent_action_audits) + (SELECT count(*) FROM {schema}.mission_logs)
"""


async def station_tasks(session: Session) -> list[Row]:
    """Assignments with their sources, primary ones first."""
    return await session.fetch(_TASKS.format(schema=session.schema))


async def station_figures(session: Session) -> Row:
    """total_events, active_sources, open_alerts (those that nobody has acknowledged)."""
    row = await session.fetchrow(_FIGURES.format(schema=session.schema), timeout=30)
    assert row is not None
    return row


async def timeline(session: Session, limit: int, offset: int) -> tuple[list[Row], int]:
    """Events, agent actions and the mission log, newest first (entry_type, id, at, title, detail); how many in all."""
    rows = await session.fetch(_TIMELINE.format(schema=session.schema), limit, offset, timeout=30)
    total = await session.fetchval(_TIMELINE_TOTAL.format(schema=session.schema), timeout=30)
    return rows, int(total)


async def thread_of_mission(session: Session, code: str) -> str | None:
    """The ChatKit thread of a mission; None where it has none."""
    sql = f"SELECT chatkit_thread_id FROM {session.schema}.missions WHERE code = $1"
    return await session.fetchval(sql, code) or None
