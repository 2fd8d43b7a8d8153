"""The rows of approvals and votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from vtoc_bots.core.store.pool import Connection, Store

_COLUMNS: Final = """a.id, a.run_id, a.step, a.station, a.title, a.detail, a.digest, a.quorum, a.level,
    a.exclude_requester, a.requester, a.on_expiry, a.expires_at, a.state, a.decided_at, a.correlation_id, a.trace"""

_OF_RUN: Final = f"SELECT {_COLUMNS} FROM vtoc_engine.approvals a WHERE a.run_id = $1"
_LOCK: Final = f"SELECT {_COLUMNS} FROM vtoc_engine.approvals a WHERE a.id = $1 FOR UPDATE"
_OPEN: Final = f"""SELECT {_COLUMNS} FROM vtoc_engine.approvals a
    WHERE a.station = $1 AND a.state IN ('open', 'held') ORDER BY a.created_at LIMIT $2"""
_VOTES: Final = """SELECT approval_id, operator_id, operator, verdict, reason, at FROM vtoc_engine.votes
    WHERE approval_id = ANY($1::uuid[]) ORDER BY at"""
_VOTE: Final = """INSERT INTO vtoc_engine.votes (approval_id, operator_id, operator, verdict, reason)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (approval_id, operator_id) DO NOTHING RETURNING verdict"""
_END: Final = """UPDATE vtoc_engine.approvals SET state = $2, decided_at = now()
    WHERE id = $1 AND state IN ('open', 'held') RETURNING decided_at"""
_INPUTS: Final = "SELECT inputs FROM vtoc_engine.runs WHERE id = $1"
_WAKE: Final = """UPDATE vtoc_engine.runs SET wake_seq = wake_seq + 1, due_at = now()
    WHERE id = $1 AND state IN ('ready', 'waiting') RETURNING id"""


class ApprovalRecord(NamedTuple):
    """An approval. `step` is empty where it covers the whole run."""

    id: UUID
    run_id: UUID
    step: str
    station: str
    title: str
    detail: Any
    digest: str
    quorum: int
    level: str
    exclude_requester: bool
    requester: UUID | None
    on_expiry: Literal["deny", "hold"]
    expires_at: datetime | None
    state: Literal["open", "approved", "denied", "expired", "void", "held"]
    decided_at: datetime | None
    correlation_id: UUID
    trace: str | None


class VoteRecord(NamedTuple):
    """One operator's vote: approve or deny."""

    approval_id: UUID
    operator_id: UUID
    operator: str
    verdict: str
    reason: str | None
    at: datetime


class ApprovalRows:
    """Statements on approvals; those that take a connection are parts of a caller's transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_run(self, run_id: UUID) -> list[ApprovalRecord]:
        """The run's approvals, of any state."""
        return [ApprovalRecord(*row.values()) for row in await self._store.fetch(_OF_RUN, run_id)]

    async def open_at(self, station: str, limit: int = 50) -> list[ApprovalRecord]:
        """What waits for a decision at the station, oldest first."""
        return [ApprovalRecord(*row.values()) for row in await self._store.fetch(_OPEN, station, limit)]

    async def votes(self, approval_ids: Sequence[UUID]) -> list[VoteRecord]:
        """The votes on these approvals, oldest first."""
        return [VoteRecord(*row.values()) for row in await self._store.fetch(_VOTES, list(approval_ids))]

    async def lock(self, connection: Connection, approval_id: UUID) -> ApprovalRecord | None:
        """The approval, held against every other decision until the transaction ends."""
        row = await connection.fetchrow(_LOCK, approval_id)
        return ApprovalRecord(*row.values()) if row else None

    async def vote(
        self, connection: Connection, approval_id: UUID, operator_id: UUID, name: str, verdict: str, reason: str | None
    ) -> bool:
        """Store a vote; False when this operator voted before."""
        return await connection.fetchrow(_VOTE, approval_id, operator_id, name, verdict, reason) is not None

    async def votes_in(self, connection: Connection, approval_id: UUID) -> list[VoteRecord]:
        """The votes as the transaction sees them."""
        return [VoteRecord(*row.values()) for row in await connection.fetch(_VOTES, [approval_id])]

    async def inputs(self, connection: Connection, run_id: UUID) -> Mapping[str, Any]:
        """What the run was started with."""
        return dict(await connection.fetchval(_INPUTS, run_id) or {})

    async def end(self, connection: Connection, approval_id: UUID, state: str) -> datetime | None:
        """Decide it; when, or None when it was decided before."""
        row = await connection.fetchrow(_END, approval_id, state)
        return row["decided_at"] if row else None

    async def wake_run(self, connection: Connection, run_id: UUID) -> bool:
        """Make the run due and count the wake-up, so that it can't park past it."""
        return await connection.fetchrow(_WAKE, run_id) is not None
