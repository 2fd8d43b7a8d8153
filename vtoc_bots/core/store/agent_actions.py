"""The rows of agent actions: the engine's, which is the truth, and the station's own, which is a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.queue import hint_insert
from vtoc_bots.core.store.connection import Statements
from vtoc_bots.core.store.pool import Row, Session

PRIVATE: Final = "Private: shown to whoever asked for it, and to leads with the run."
FINAL: Final = frozenset({"succeeded", "failed"})

_COLUMNS: Final = """action_id, station, tool_name, run_id, status, request, response, error, channel_slug,
    initiator_id, completed_at, revision, correlation_id, created_at"""
_QUEUE: Final = """
INSERT INTO vtoc_engine.agent_actions
    (action_id, station, tool_name, run_id, step, status, request, channel_slug, initiator_id, correlation_id)
VALUES ($1, $2, $3, $4, $5, 'queued', $6, $7, $8, $9) ON CONFLICT (action_id) DO NOTHING
"""
# What has ended stays as it ended, and what a run of ours does is told by that run alone.
_REPORT: Final = f"""
INSERT INTO vtoc_engine.agent_actions AS old (action_id, station, tool_name, status, response, error, channel_slug,
    initiator_id, completed_at, correlation_id)
VALUES ($1, $2, 'unknown', $3, $4, $5, $6, $7, CASE WHEN $3 IN ('succeeded', 'failed') THEN now() END, $8)
ON CONFLICT (action_id) DO UPDATE SET status = excluded.status,
    response = coalesce(excluded.response, old.response), error = coalesce(excluded.error, old.error),
    channel_slug = coalesce(excluded.channel_slug, old.channel_slug),
    initiator_id = coalesce(excluded.initiator_id, old.initiator_id),
    completed_at = excluded.completed_at, revision = old.revision + 1, updated_at = now()
WHERE old.run_id IS NULL AND old.status NOT IN ('succeeded', 'failed')
    AND NOT (old.status = 'running' AND excluded.status = 'queued')
    AND (excluded.status <> old.status OR coalesce(excluded.response <> old.response, excluded.response IS NOT NULL)
        OR coalesce(excluded.error <> old.error, excluded.error IS NOT NULL)
        OR coalesce(excluded.channel_slug <> old.channel_slug, excluded.channel_slug IS NOT NULL)
        OR coalesce(excluded.initiator_id <> old.initiator_id, excluded.initiator_id IS NOT NULL))
RETURNING {_COLUMNS}
"""
# The webhook may have been here before: what it said stays.
_SEND: Final = f"""
INSERT INTO vtoc_engine.agent_actions AS old (action_id, station, tool_name, step, status, request, initiator_id,
    correlation_id)
VALUES ($1, $2, $3, $4, 'queued', $6, $7, coalesce((SELECT correlation_id FROM vtoc_engine.runs WHERE id = $5), $8))
ON CONFLICT (action_id) DO UPDATE SET tool_name = excluded.tool_name, station = excluded.station, step = excluded.step,
    request = excluded.request, initiator_id = coalesce(old.initiator_id, excluded.initiator_id),
    revision = old.revision + 1, updated_at = now()
WHERE old.run_id IS NULL AND old.step IS NULL
RETURNING {_COLUMNS}
"""
_WAKE: Final = f"""
WITH away AS (
    SELECT split_part(step, ':', 1)::uuid AS run_id, split_part(step, ':', 2) AS step
    FROM vtoc_engine.agent_actions WHERE action_id = $1 AND run_id IS NULL AND step IS NOT NULL
), woken AS (
    UPDATE vtoc_engine.runs r SET wake_seq = wake_seq + 1, due_at = now()
    FROM away WHERE r.id = away.run_id AND r.state IN ('ready', 'waiting') RETURNING r.id
), due AS (
    UPDATE vtoc_engine.steps s SET due_at = now() FROM away JOIN woken ON woken.id = away.run_id
    WHERE s.run_id = away.run_id AND s.step = away.step AND s.state = 'waiting' RETURNING s.run_id
), hinted AS ({hint_insert("SELECT 10, 'advance', id::text FROM woken")})
SELECT id FROM woken
"""
_ONE: Final = f"SELECT {_COLUMNS} FROM vtoc_engine.agent_actions WHERE action_id = $1"
_FOLLOW: Final = f"""
UPDATE vtoc_engine.agent_actions a SET status = m.status, response = coalesce(m.result, a.response),
    error = coalesce(m.error, a.error), completed_at = m.finished_at, revision = a.revision + 1, updated_at = now()
FROM (
    SELECT a.action_id AS id, r.error,
        CASE r.state WHEN 'succeeded' THEN 'succeeded' WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'failed'
            ELSE CASE WHEN r.started_at IS NULL THEN 'queued' ELSE 'running' END END AS status,
        CASE WHEN r.state IN ('succeeded', 'failed', 'cancelled') THEN coalesce(r.finished_at, now()) END
            AS finished_at,
        CASE WHEN r.state = 'succeeded' THEN CASE WHEN a.step IS NULL THEN
            CASE WHEN r.private THEN r.result || '{{"private": true}}' ELSE r.result END ELSE
            (SELECT jsonb_build_object('output', s.output) FROM vtoc_engine.steps s
             WHERE s.run_id = r.id AND s.step = a.step) END END AS result
    FROM vtoc_engine.agent_actions a JOIN vtoc_engine.runs r ON r.id = a.run_id
    WHERE a.status IN ('queued', 'running') ORDER BY a.action_id LIMIT 500
) m
WHERE a.action_id = m.id AND a.status IN ('queued', 'running') AND a.status <> m.status
RETURNING {", ".join(f"a.{name.strip()}" for name in _COLUMNS.split(","))}
"""
_UNTOLD: Final = f"""SELECT {_COLUMNS} FROM vtoc_engine.agent_actions
    WHERE told < revision AND station <> ALL($1::text[]) ORDER BY updated_at LIMIT 200"""
_TOLD: Final = "UPDATE vtoc_engine.agent_actions SET told = greatest(told, $2) WHERE action_id = $1"

# A copy that was late never takes back what a newer one said.
_COPY: Final = """
INSERT INTO {schema}.agent_action_audits AS old (action_id, station_id, tool_name, status, request_payload,
    response_payload, error_message, completed_at, channel_slug, initiator_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (action_id) DO UPDATE SET status = excluded.status,
    request_payload = coalesce(excluded.request_payload, old.request_payload),
    response_payload = coalesce(excluded.response_payload, old.response_payload),
    error_message = coalesce(excluded.error_message, old.error_message),
    completed_at = coalesce(excluded.completed_at, old.completed_at),
    channel_slug = coalesce(excluded.channel_slug, old.channel_slug),
    initiator_id = coalesce(excluded.initiator_id, old.initiator_id)
WHERE array_position(ARRAY['queued', 'running', 'succeeded', 'failed'], excluded.status)
    >= array_position(ARRAY['queued', 'running', 'succeeded', 'failed'], old.status)
"""
_WITHDRAW: Final = "DELETE FROM {schema}.agent_action_audits WHERE action_id = $1"
_PAGE: Final = """SELECT id, action_id, tool_name, status, request_payload, response_payload, error_message,
        completed_at, channel_slug, initiator_id, created_at, updated_at
    FROM {schema}.agent_action_audits
    WHERE ($1::timestamptz IS NULL OR (created_at, id) < ($1, $2::uuid))
    ORDER BY created_at DESC, id DESC LIMIT $3"""


class ActionRow(NamedTuple):
    """An agent action."""

    action_id: str
    station: str
    tool_name: str
    run_id: UUID | None
    status: str
    request: Any
    response: Any
    error: str | None
    channel_slug: str | None
    initiator_id: str | None
    completed_at: datetime | None
    revision: int
    correlation_id: UUID
    created_at: datetime


async def queue_action(
    statements: Statements,
    action_id: str,
    station: str,
    tool_name: str,
    run_id: UUID,
    step: str | None,
    request: Any,
    channel_slug: str | None,
    initiator_id: str | None,
    correlation_id: UUID,
) -> bool:
    """A new action that a run does; False where it is known."""
    values = (action_id, station, tool_name, run_id, step, request, channel_slug, initiator_id, correlation_id)
    return await statements.execute(_QUEUE, *values) > 0


async def report_action(
    statements: Statements,
    action_id: str,
    station: str,
    status: str,
    response: Any,
    error: str | None,
    channel_slug: str | None,
    initiator_id: str | None,
    correlation_id: UUID,
) -> ActionRow | None:
    """Note what became of an action elsewhere; None where that changes nothing. Null never overwrites."""
    values = (action_id, station, status, response, error, channel_slug, initiator_id, correlation_id)
    row = await statements.fetchrow(_REPORT, *values)
    return ActionRow(*row.values()) if row else None


async def send_action(
    statements: Statements,
    action_id: str,
    station: str,
    tool_name: str,
    step: str,
    run_id: UUID | None,
    request: Any,
    initiator_id: str | None,
    correlation_id: UUID,
) -> ActionRow | None:
    """Note that a run's step (``run:step``) waits for a remote action; None where that is known.

    `correlation_id` is for a run that is gone.
    """
    values = (action_id, station, tool_name, step, run_id, request, initiator_id, correlation_id)
    row = await statements.fetchrow(_SEND, *values)
    return ActionRow(*row.values()) if row else None


async def wake_waiting(statements: Statements, action_id: str) -> bool:
    """Wake the run whose step waits for a remote action; False where none does."""
    return await statements.fetchrow(_WAKE, action_id) is not None


async def find_action(statements: Statements, action_id: str) -> ActionRow | None:
    """The action of an id."""
    row = await statements.fetchrow(_ONE, action_id)
    return ActionRow(*row.values()) if row else None


async def follow_runs(statements: Statements) -> list[ActionRow]:
    """Make actions say what their runs say; those that changed."""
    return [ActionRow(*row.values()) for row in await statements.fetch(_FOLLOW)]


async def untold_actions(statements: Statements, away: Sequence[str]) -> list[ActionRow]:
    """Actions whose copy is behind, the longest first, but for those of stations that are away."""
    return [ActionRow(*row.values()) for row in await statements.fetch(_UNTOLD, away)]


async def told_action(statements: Statements, action: ActionRow) -> None:
    """Note that this revision was copied."""
    await statements.execute(_TOLD, action.action_id, action.revision)


async def failed_in_private(statements: Statements, action: ActionRow) -> bool:
    """Whether what went wrong is for those alone who may see the run; so is that of a run that is gone."""
    if action.error is None or action.run_id is None:
        return False
    row = await statements.fetchrow("SELECT private FROM vtoc_engine.runs WHERE id = $1", action.run_id)
    return row is None or bool(row["private"])


async def copy_action(session: Session, action: ActionRow) -> None:
    """Write the station's own row of the action; a private card is only named there, for the whole station reads it."""
    await session.execute(
        _COPY.format(schema=session.schema),
        action.action_id,
        session.station.id,
        action.tool_name,
        action.status,
        action.request,
        for_everybody(action),
        action.error,
        action.completed_at,
        action.channel_slug,
        action.initiator_id,
        action.created_at,
    )


def for_everybody(action: ActionRow) -> Any:
    """The response as everybody at the station may read it: a private card, or an action's output that is one, is left
    out and its run named, whose result the API shows to those who may see it."""
    response = action.response
    if action.run_id is None or not isinstance(response, Mapping):
        return response
    for card in (response, response.get("output")):
        if isinstance(card, Mapping) and "blocks" in card and card.get("private") is True:
            return {"private": True, "run_id": str(action.run_id), "text": PRIVATE}
    return response


async def withdraw_copy(session: Session, action_id: str) -> None:
    """Remove the station's own row of an action that turned out to be another's."""
    await session.execute(_WITHDRAW.format(schema=session.schema), action_id)


async def audits_page(session: Session, before: tuple[datetime, UUID] | None, limit: int) -> list[Row]:
    """The station's own rows of agent actions before that place, newest first."""
    at, row_id = before or (None, None)
    return await session.fetch(_PAGE.format(schema=session.schema), at, row_id, limit)
