"""The rows of runs and their steps: claimed by lease, checkpointed and moved under the claim's attempt as fence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from vtoc_bots.core.hands import Hands
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.conversations import UNHURRIED
from vtoc_bots.core.store.effects import HANDED_SQL, Effects, Outcome, effect_arguments, effects_sql, outcomes
from vtoc_bots.core.store.groups import GroupCommit
from vtoc_bots.core.store.pool import Connection, Store


class ClaimedRun(NamedTuple):
    """A run that this worker holds. `attempt` fences every write; `failures` counts claims without progress since."""

    id: UUID
    key: str
    playbook: str
    title: str
    role: str | None
    station: str
    source: str
    digest: str
    inputs: Any
    conversation: str | None
    operator_id: UUID | None
    private: bool
    must_approve: bool
    state: str
    cancel_by: str | None
    attempt: int
    wake_seq: int
    failures: int
    correlation_id: UUID
    trace: str | None
    created_at: datetime
    started_at: datetime
    reply: Any = None
    """Which message its answers answer (``to``), who asked (``user``), what the transport needs (``context``)."""

    @property
    def message_id(self) -> UUID | None:
        """The message that started it, None for schedules."""
        kind, _, value = self.key.partition(":")
        return UUID(value) if kind == "message" else None


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step's checkpoint."""

    step: str
    index: int
    state: Literal["done", "skipped", "failed", "retrying", "waiting"]
    tries: int
    output: Any
    error: str | None
    due_at: datetime | None
    started_at: datetime | None

    def columns(self) -> tuple[Any, ...]:
        """Its values in the order of the table's columns."""
        return (
            self.step,
            self.index,
            self.state,
            self.tries,
            self.output,
            self.error,
            self.due_at,
            self.started_at,
        )


class Checkpoint(NamedTuple):
    """A step's row under a run's attempt."""

    run_id: UUID
    attempt: int
    row: StepRow


class Stored(NamedTuple):
    """A checkpoint was stored; by whom the run has been cancelled meanwhile."""

    cancel_by: str | None


class Move(NamedTuple):
    """A run's change of state with everything it writes.

    `state` ready goes on, writing the effects alone; waiting parks it until `due_at` (None: until woken) unless it was
    woken since `wake_seq` was read; any other state ends it. With `steps`, checkpoints that are written with it, an end
    too is void when the run was woken since: it may have been cancelled.
    """

    run_id: UUID
    attempt: int
    wake_seq: int
    state: str
    waiting_for: str | None
    due_at: datetime | None
    result: Any
    error: str | None
    effects: Effects
    steps: tuple[StepRow, ...] = ()


_CLAIM: Final = f"""
WITH free AS (
    SELECT r.id FROM vtoc_engine.runs r
    WHERE r.id = ANY($1::uuid[]) AND (r.state = 'ready' OR (r.state = 'waiting' AND r.due_at <= now()))
        AND coalesce(r.lease_until < now(), true)
    ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE vtoc_engine.runs r SET attempt = r.attempt + 1, holder = $2, lease_until = now() + make_interval(secs => $3),
    failures = r.failures + 1, started_at = coalesce(r.started_at, now())
FROM free CROSS JOIN {UNHURRIED} WHERE r.id = free.id
RETURNING r.id, r.key, r.playbook, r.title, r.role, r.station, r.source, r.digest, r.inputs, r.conversation,
    r.operator_id, r.private, r.must_approve, r.state, r.cancel_by, r.attempt, r.wake_seq, r.failures, r.correlation_id,
    r.trace, r.created_at, r.started_at, r.reply
"""

_RENEW: Final = """
UPDATE vtoc_engine.runs r SET lease_until = now() + make_interval(secs => $3)
FROM unnest($1::uuid[], $2::int[]) AS w(id, attempt)
WHERE r.id = w.id AND r.attempt = w.attempt AND r.lease_until IS NOT NULL
RETURNING r.id, r.wake_seq, r.cancel_by
"""

_STEPS: Final = """
SELECT run_id, step, index, state, tries, output, error, due_at, started_at
FROM vtoc_engine.steps WHERE run_id = ANY($1::uuid[]) ORDER BY run_id, index
"""

_WAKES: Final = """
SELECT wake_seq, cancel_by FROM vtoc_engine.runs WHERE id = $1 AND attempt = $2 AND state IN ('ready', 'waiting')
"""

# What has ended stays as it is.
_ONCE: Final = """
ON CONFLICT (run_id, step) DO UPDATE SET state = excluded.state, attempt = excluded.attempt, tries = excluded.tries,
    output = excluded.output, error = excluded.error, due_at = excluded.due_at, started_at = excluded.started_at,
    finished_at = now()
WHERE old.state IN ('retrying', 'waiting')"""

# The run's row is locked and changed by each checkpoint, so no other worker can claim it in between.
_CHECKPOINT: Final = f"""
WITH want AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::text[], $6::int[], $7::jsonb[], $8::text[],
        $9::timestamptz[], $10::timestamptz[])
        AS w(run_id, attempt, step, index, state, tries, output, error, due_at, started_at)
), locked AS (
    SELECT r.id FROM vtoc_engine.runs r
    WHERE (r.id, r.attempt) IN (SELECT run_id, attempt FROM want) AND r.state IN ('ready', 'waiting')
    ORDER BY r.id FOR NO KEY UPDATE OF r
), held AS (
    UPDATE vtoc_engine.runs r SET failures = 0 FROM locked
    WHERE r.id = locked.id AND (r.id, r.attempt) IN (SELECT run_id, attempt FROM want)
    RETURNING r.id, r.cancel_by
), stored AS (
INSERT INTO vtoc_engine.steps AS old (run_id, step, index, state, attempt, tries, output, error, due_at, started_at)
SELECT w.run_id, w.step, w.index, w.state, w.attempt, w.tries, w.output, w.error, w.due_at, w.started_at
FROM want w JOIN held ON held.id = w.run_id
{_ONCE}
RETURNING run_id, step
)
SELECT stored.run_id, stored.step, held.cancel_by FROM stored JOIN held ON held.id = stored.run_id
"""

_MOVED: Final = """
WITH want AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::jsonb[],
        $8::text[], $9::bool[]) AS w(id, attempt, wake_seq, state, waiting_for, due_at, result, error, has_steps)
), head AS (
    UPDATE vtoc_engine.runs r SET state = w.state, waiting_for = w.waiting_for, due_at = w.due_at, result = w.result,
        error = w.error, failures = 0,
        holder = CASE WHEN w.state = 'ready' THEN r.holder END,
        lease_until = CASE WHEN w.state = 'ready' THEN r.lease_until END,
        finished_at = CASE WHEN w.state NOT IN ('ready', 'waiting') THEN now() END
    FROM want w
    WHERE r.id = w.id AND r.attempt = w.attempt AND r.state IN ('ready', 'waiting')
        AND ((w.state <> 'waiting' AND NOT w.has_steps) OR r.wake_seq = w.wake_seq)
    RETURNING r.id, r.attempt
)"""
_WITH_STEPS: Final = f"""
checked AS (
    INSERT INTO vtoc_engine.steps AS old (run_id, attempt, step, index, state, tries, output, error, due_at, started_at)
    SELECT head.id, head.attempt, s.step, s.index, s.state, s.tries, s.output, s.error, s.due_at, s.started_at
    FROM unnest($10::uuid[], $11::text[], $12::int[], $13::text[], $14::int[], $15::jsonb[], $16::text[],
        $17::timestamptz[], $18::timestamptz[])
        AS s(run_id, step, index, state, tries, output, error, due_at, started_at)
    JOIN head ON head.id = s.run_id
    {_ONCE}
)"""
_MOVE_STEPS: Final = f"{_MOVED}, {_WITH_STEPS} SELECT id FROM head"
_MOVE: Final = f"{_MOVED}, {_WITH_STEPS}, {effects_sql(19)} SELECT id FROM head"
_MOVE_HANDED: Final = f"{_MOVED}, {_WITH_STEPS}, {effects_sql(19, '$26::text[]')} {HANDED_SQL}"


class RunRows:
    """Statements on runs and steps; concurrent calls share them."""

    def __init__(self, store: Store, lease_seconds: float, hands: Hands | None = None) -> None:
        self._store, self._hands = store, hands or Hands()
        self._lease_seconds = lease_seconds
        self.holder = new_id()
        self._claims = GroupCommit(store, self._flush_claims, name="claim_run")
        self._loads = GroupCommit(store, self._flush_loads, name="load_steps", idempotent=True)
        self._checkpoints = GroupCommit(store, self._flush_checkpoints, name="checkpoint")
        self._moves = GroupCommit(store, self._flush_moves, name="move_run")
        self.groups = (self._claims, self._loads, self._checkpoints, self._moves)

    async def claim(self, run_id: UUID) -> ClaimedRun | None:
        """Hold the run; None when it is held, ended or not due."""
        return await self._claims.add(run_id)

    async def steps(self, run_id: UUID) -> list[StepRow]:
        """Its checkpoints, in the order of their indices."""
        return await self._loads.add(run_id)

    async def checkpoint(self, checkpoint: Checkpoint) -> Stored | None:
        """Store a step's row; None when the run was lost, or the step had ended before."""
        return await self._checkpoints.add(checkpoint)

    async def move(self, move: Move) -> bool:
        """Park or end the run with its effects and steps; False when it was lost, or woken since (see Move)."""
        moved, handed = await self._moves.add(move)
        self._hands.take(handed)
        return moved

    async def wakes(self, run_id: UUID, attempt: int) -> tuple[int, str | None] | None:
        """How often the run was woken, and who cancelled it; None when it was lost or has ended."""
        row = await self._store.fetchrow(_WAKES, run_id, attempt, idempotent=True)
        return (row["wake_seq"], row["cancel_by"]) if row else None

    async def renew(self, held: Sequence[tuple[UUID, int]]) -> dict[UUID, str | None]:
        """Extend these leases (run, attempt); returns the runs still held, each with who cancelled it."""
        rows = await self._store.fetch(_RENEW, [h[0] for h in held], [h[1] for h in held], self._lease_seconds)
        return {row["id"]: row["cancel_by"] for row in rows}

    async def _flush_claims(self, connection: Connection, run_ids: list[UUID]) -> list[ClaimedRun | None]:
        rows = await connection.fetch(_CLAIM, run_ids, self.holder, self._lease_seconds)
        claimed = {row["id"]: ClaimedRun(*row.values()) for row in rows}
        # Of several claims for one run the first has it.
        return [claimed.pop(run_id, None) for run_id in run_ids]

    async def _flush_loads(self, connection: Connection, run_ids: list[UUID]) -> list[list[StepRow]]:
        loaded: dict[UUID, list[StepRow]] = {run_id: [] for run_id in run_ids}
        for row in await connection.fetch(_STEPS, run_ids):
            run_id, *rest = row.values()
            loaded[run_id].append(StepRow(*rest))
        return [loaded[run_id] for run_id in run_ids]

    async def _flush_checkpoints(self, connection: Connection, checkpoints: list[Checkpoint]) -> list[Stored | None]:
        columns = zip(*((c.run_id, c.attempt, *c.row.columns()) for c in checkpoints), strict=True)
        rows = await connection.fetch(_CHECKPOINT, *(list(column) for column in columns))
        stored = {(row["run_id"], row["step"]): Stored(row["cancel_by"]) for row in rows}
        return [stored.get((c.run_id, c.row.step)) for c in checkpoints]

    async def _flush_moves(self, connection: Connection, moves: list[Move]) -> list[Outcome]:
        ids = [m.run_id for m in moves]
        columns = [list(column) for column in zip(*((*m[:8], bool(m.steps)) for m in moves), strict=True)]
        steps = [(m.run_id, *row.columns()) for m in moves for row in m.steps]
        columns += [list(column) for column in zip(*steps, strict=True)] or [[]] * 9
        if not any(m.effects for m in moves):
            moved = {row["id"] for row in await connection.fetch(_MOVE_STEPS, *columns)}
            return [Outcome(run_id in moved) for run_id in ids]
        columns += effect_arguments((m.run_id, m.effects) for m in moves)
        if free := self._hands.free(len(moves)):
            self._hands.make(row["id"] for m in moves for row in m.effects.outbox)
            return await outcomes(connection, ids, await connection.fetch(_MOVE_HANDED, *columns, free), free)
        moved = {row["id"] for row in await connection.fetch(_MOVE, *columns)}
        return [Outcome(run_id in moved) for run_id in ids]
