"""What interfaces ask about runs: pages of them, one whole, and how those being watched are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.store.pool import Row, Store

_COLUMNS: Final = """r.id, r.playbook, r.title, r.station, r.state, r.waiting_for, r.cancel_by, r.inputs, r.result,
    r.error, r.operator_id, r.private, r.created_at, r.started_at, r.finished_at, r.correlation_id"""
_PAGE: Final = f"""SELECT {_COLUMNS} FROM vtoc_engine.runs r
    WHERE r.station = $1 AND ($2::text IS NULL OR r.state = $2) AND ($3::text IS NULL OR r.playbook = $3)
        AND ($4::timestamptz IS NULL OR (r.created_at, r.id) < ($4, $5::uuid))
    ORDER BY r.created_at DESC, r.id DESC LIMIT $6"""
_ONE: Final = f"SELECT {_COLUMNS} FROM vtoc_engine.runs r WHERE r.station = $1 AND r.id = $2"
_WATCHED: Final = """SELECT r.id, r.state, r.waiting_for, r.error,
        coalesce((SELECT jsonb_agg(jsonb_build_array(s.index, s.step, s.state, s.tries, s.error, s.finished_at)
            ORDER BY s.index) FROM vtoc_engine.steps s WHERE s.run_id = r.id), '[]') AS steps
    FROM vtoc_engine.runs r WHERE r.id = ANY($1::uuid[])"""


class StepSeen(NamedTuple):
    """A step of a watched run."""

    number: int
    step: str
    state: str
    tries: int
    error: str | None
    finished_at: str


class RunSeen(NamedTuple):
    """A watched run as it is now."""

    id: UUID
    state: str
    waiting_for: str | None
    error: str | None
    steps: tuple[StepSeen, ...]


class RunPages:
    """Questions of interfaces."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self,
        station: str,
        state: str | None,
        playbook: str | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Row]:
        """The station's runs before that place, newest first."""
        at, run_id = before or (None, None)
        return await self._store.fetch(_PAGE, station, state, playbook, at, run_id, limit, idempotent=True)

    async def one(self, station: str, run_id: UUID) -> Row | None:
        """The station's run of an id."""
        return await self._store.fetchrow(_ONE, station, run_id, idempotent=True)

    async def watched(self, run_ids: Iterable[UUID]) -> list[RunSeen]:
        """How these runs are."""
        rows = await self._store.fetch(_WATCHED, list(run_ids))
        return [
            RunSeen(
                UUID(str(row["id"])),
                row["state"],
                row["waiting_for"],
                row["error"],
                tuple(StepSeen(*step) for step in row["steps"]),
            )
            for row in rows
        ]
