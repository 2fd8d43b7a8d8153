"""What people ask about runs: lists, one run, its story; and cancelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.messages import ConversationId
from vtoc_bots.core.queue import hint_insert
from vtoc_bots.core.store.pool import Row, Store

HELD_SECONDS: Final = 10
"""How long the answer to a call that a process holds in memory is left to that process."""

_COLUMNS: Final = """r.id, r.playbook, r.title, r.station, r.state, r.waiting_for, r.cancel_by, r.inputs, r.error,
    r.operator_id, r.private OR coalesce((r.result ->> 'private')::boolean, false) AS private, r.created_at,
    r.started_at, r.finished_at, r.due_at, r.attempt, r.correlation_id"""

_RECENT: Final = f"""SELECT {_COLUMNS} FROM vtoc_engine.runs r
    WHERE r.station = $1 AND ($4::uuid IS NULL OR r.operator_id = $4)
    ORDER BY r.created_at DESC, r.id DESC LIMIT $2 OFFSET $3"""
# A short id is the last 40 bits of the UUID: its last ten hexadecimal digits.
_SHORT: Final = f"""SELECT {_COLUMNS} FROM vtoc_engine.runs r
    WHERE r.station = $1 AND right(r.id::text, 10) = $2 ORDER BY r.created_at DESC LIMIT 1"""
_CANCEL: Final = f"""
WITH stopped AS (
    UPDATE vtoc_engine.runs SET cancel_by = coalesce(cancel_by, $2), wake_seq = wake_seq + 1, due_at = now()
    WHERE id = $1 AND state IN ('ready', 'waiting') RETURNING id
), hinted AS ({hint_insert("SELECT 10, 'advance', id::text FROM stopped")})
SELECT id FROM stopped
"""
_STEPS: Final = """SELECT step, index, state, tries, error, due_at, started_at, finished_at
    FROM vtoc_engine.steps WHERE run_id = $1 ORDER BY index"""
_STORY: Final = """
SELECT at, actor, event, subject, detail, correlation_id IN (
    SELECT r.correlation_id FROM vtoc_engine.runs r WHERE r.private AND r.operator_id IS DISTINCT FROM $4
) AS of_others
FROM vtoc_engine.audit
WHERE correlation_id IN (
    SELECT id FROM vtoc_engine.inbox WHERE right(id::text, 10) = $1
    UNION SELECT correlation_id FROM vtoc_engine.runs WHERE right(id::text, 10) = $1
    UNION SELECT correlation_id FROM vtoc_engine.approvals WHERE right(id::text, 10) = $1
) AND (station = $2 OR $3) ORDER BY at, id LIMIT 50
"""
_EARLIER: Final = """
SELECT e.inputs, e.result, e.private
FROM vtoc_engine.runs r JOIN vtoc_engine.runs e ON e.station = r.station AND e.created_at > now() - interval '1 hour'
    AND e.conversation = r.conversation AND e.playbook = r.playbook AND e.id < r.id
WHERE r.id = $1 AND e.operator_id = $2 AND e.state = 'succeeded' AND e.finished_at > now() - interval '30 minutes'
    AND jsonb_typeof(e.result) = 'object' ORDER BY e.id DESC LIMIT $3
"""
_COUNTS: Final = """
SELECT (SELECT count(*) FROM vtoc_engine.runs WHERE station = $1 AND state IN ('ready', 'waiting')) AS active_runs,
    (SELECT count(*) FROM vtoc_engine.approvals WHERE station = $1 AND state IN ('open', 'held')) AS open_approvals,
    (SELECT count(*) FROM vtoc_engine.inbox WHERE state = 'new') AS waiting_messages,
    (SELECT count(*) FROM vtoc_engine.outbox WHERE state IN ('due', 'unknown') AND kind <> 'progress') AS unsent
"""
_WAITING_FOR_MESSAGE: Final = """
SELECT r.id, s.step, r.playbook, r.digest, r.source, r.inputs, r.station, r.operator_id, r.private
FROM vtoc_engine.runs r JOIN vtoc_engine.steps s ON s.run_id = r.id AND s.state = 'waiting'
WHERE r.state = 'waiting' AND r.waiting_for LIKE '%message%' AND s.output IS NULL AND (r.conversation = $1
    OR $2::text IS NOT NULL AND r.private AND starts_with(r.conversation, $3) AND r.reply ->> 'user' = $2)
ORDER BY r.created_at, s.index LIMIT 100
"""
_HAS_OPEN: Final = """SELECT EXISTS (SELECT FROM vtoc_engine.runs
    WHERE conversation = $1 AND state IN ('ready', 'waiting'))"""
_ANSWER: Final = f"""
WITH answered AS (
    UPDATE vtoc_engine.steps SET state = 'done', output = $3, finished_at = now()
    WHERE run_id = $1 AND step = $2 AND state = 'waiting' RETURNING run_id
), woken AS (
    UPDATE vtoc_engine.runs SET wake_seq = wake_seq + 1, due_at = now()
    WHERE id IN (SELECT run_id FROM answered) AND state IN ('ready', 'waiting') RETURNING id
), hinted AS ({hint_insert("SELECT 10, 'advance', id::text FROM woken")})
SELECT id FROM woken
"""


_CALLS: Final = """
SELECT call FROM vtoc_engine.steps s
CROSS JOIN LATERAL jsonb_path_query(s.output, '$.**{0 to 1}.calls[*]') AS call
WHERE s.run_id = $1 ORDER BY s.index
"""
_ORIGIN: Final = "SELECT playbook, key, correlation_id FROM vtoc_engine.runs WHERE id = $1"
_QUESTION: Final = """
SELECT r.id, s.step, r.operator_id, s.output FROM vtoc_engine.runs r
JOIN vtoc_engine.steps s ON s.run_id = r.id AND s.state = 'waiting'
WHERE r.station = $1 AND right(r.id::text, 10) = $2 AND r.state IN ('ready', 'waiting')
    AND s.output ? 'question' AND NOT s.output->'answers' ? (s.output->'question'->>'id')
ORDER BY s.index LIMIT 1
"""
# What is held in a process's memory is taken up by that process; others look after it when it must be gone.
_ANSWER_QUESTION: Final = f"""
WITH answered AS (
    UPDATE vtoc_engine.steps SET output = jsonb_set(output, ARRAY['answers', $3::text], $4::jsonb)
    WHERE run_id = $1 AND step = $2 AND state = 'waiting' AND output->'question'->>'id' = $3
        AND NOT output->'answers' ? $3
    RETURNING run_id, (output->>'held')::bool AS held
), woken AS (
    UPDATE vtoc_engine.runs r SET wake_seq = wake_seq + 1,
        due_at = now() + CASE WHEN answered.held THEN interval '{HELD_SECONDS} seconds' ELSE interval '0' END
    FROM answered WHERE r.id = answered.run_id AND r.state IN ('ready', 'waiting') RETURNING r.id, answered.held
), hinted AS ({hint_insert("SELECT 10, 'advance', id::text FROM woken WHERE NOT held")})
SELECT id FROM woken
"""
_ANSWERED: Final = """
UPDATE vtoc_engine.runs r SET due_at = now()
WHERE r.id = ANY($1::uuid[]) AND r.state = 'waiting' AND EXISTS (
    SELECT 1 FROM vtoc_engine.steps s WHERE s.run_id = r.id AND s.state = 'waiting' AND s.output ? 'question'
        AND s.output->'answers' ? (s.output->'question'->>'id'))
RETURNING r.id
"""


class RunView(NamedTuple):
    """A run as people see it."""

    id: UUID
    playbook: str
    title: str
    station: str
    state: str
    waiting_for: str | None
    cancel_by: str | None
    inputs: Any
    error: str | None
    operator_id: UUID | None
    private: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    attempt: int
    correlation_id: UUID


class WaitingStep(NamedTuple):
    """A step that waits, of a run that waits for a message: for that, or for an approval or a time."""

    run_id: UUID
    step: str
    playbook: str
    digest: str
    source: str
    inputs: Any
    station: str
    operator_id: UUID | None
    private: bool


class RunOrigin(NamedTuple):
    """Where a run comes from: its playbook, what started it, and the story that it belongs to."""

    playbook: str
    key: str
    correlation_id: UUID

    @property
    def message_id(self) -> UUID | None:
        """The message that started it, None for schedules and the API."""
        kind, _, value = self.key.partition(":")
        return UUID(value) if kind == "message" else None


class RunViews:
    """Questions about runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def recent(self, station: str, limit: int, offset: int = 0, operator_id: UUID | None = None) -> list[RunView]:
        """The station's newest runs, newest first, after the first `offset`; of one operator where one is given."""
        rows = await self._store.fetch(_RECENT, station, limit, offset, operator_id)
        return [RunView(*row.values()) for row in rows]

    async def by_short_id(self, station: str, bits: int) -> RunView | None:
        """The station's run whose id ends in these 40 bits."""
        row = await self._store.fetchrow(_SHORT, station, f"{bits:010x}")
        return RunView(*row.values()) if row else None

    async def steps(self, run_id: UUID) -> list[Row]:
        """Its checkpoints."""
        return await self._store.fetch(_STEPS, run_id)

    async def calls(self, run_id: UUID) -> list[Any]:
        """What its steps say that they have called, in their order; while one is at work, what it called so far."""
        return [row["call"] for row in await self._store.fetch(_CALLS, run_id)]

    async def origin(self, run_id: UUID) -> RunOrigin | None:
        """Where a run comes from."""
        row = await self._store.fetchrow(_ORIGIN, run_id, idempotent=True)
        return RunOrigin(*row.values()) if row else None

    async def cancel(self, run_id: UUID, by: str) -> bool:
        """Cancel it; False when it had ended."""
        return await self._store.fetchrow(_CANCEL, run_id, by, idempotent=True) is not None

    async def story(self, bits: int, station: str, everywhere: bool, viewer: UUID) -> list[Row]:
        """What the audit holds under the id of a message, run or approval, oldest first.

        `of_others` says that it belongs to a private run which somebody else asked for.
        """
        return await self._store.fetch(_STORY, f"{bits:010x}", station, everywhere, viewer)

    async def earlier(self, run_id: UUID, operator_id: UUID, most: int) -> list[Row]:
        """What an operator has lately asked the run's playbook in its conversation, and its answers, the newest first:
        inputs, result, private."""
        return await self._store.fetch(_EARLIER, run_id, operator_id, most)

    async def counts(self, station: str) -> Row:
        """active_runs, open_approvals, waiting_messages, unsent."""
        row = await self._store.fetchrow(_COUNTS, station)
        assert row is not None
        return row

    async def waiting_for_message(self, conversation: ConversationId, user_id: str) -> list[WaitingStep]:
        """The waiting steps of the runs that wait for a message of this user here, the oldest run first: those of the
        conversation, and in the user's direct chat (their id is its channel) their private ones, which ask there."""
        account = str(replace(conversation, channel="", thread=None))
        alone = user_id if conversation.channel == user_id else None
        rows = await self._store.fetch(_WAITING_FOR_MESSAGE, str(conversation), alone, account)
        return [WaitingStep(*row.values()) for row in rows]

    async def has_open(self, conversation: str) -> bool:
        """Whether a run of this conversation has not ended."""
        return bool(await self._store.fetchval(_HAS_OPEN, conversation))

    async def question(self, station: str, bits: int) -> Row | None:
        """id, step, operator_id, output: the open question of the station's run whose id ends in these 40 bits."""
        return await self._store.fetchrow(_QUESTION, station, f"{bits:010x}")

    async def answer_question(self, run_id: UUID, step: str, question: str, answer: Any) -> bool:
        """Keep the answer and wake the run; False when the question waits no more."""
        row = await self._store.fetchrow(_ANSWER_QUESTION, run_id, step, question, answer, idempotent=True)
        return row is not None

    async def answered(self, run_ids: Sequence[UUID]) -> list[UUID]:
        """Those of these runs whose question was answered, due from now on."""
        return [row["id"] for row in await self._store.fetch(_ANSWERED, list(run_ids))]

    async def answer(self, run_id: UUID, step: str, output: Any) -> bool:
        """End that step with what was said and wake its run; False when it waits no more."""
        return await self._store.fetchrow(_ANSWER, run_id, step, output, idempotent=True) is not None
