"""Leases by name: who is the one holder of a singleton (the sweeper, a live source, a worker's registration)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.store.pool import Store

_TAKE: Final = """
INSERT INTO vtoc_engine.leases AS l (name, holder, detail, expires_at)
VALUES ($1, $2, $3, now() + make_interval(secs => $4))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, detail = excluded.detail, renewed_at = now(),
    expires_at = excluded.expires_at, epoch = CASE WHEN l.holder = excluded.holder THEN l.epoch ELSE l.epoch + 1 END
WHERE l.holder = excluded.holder OR l.expires_at < now()
RETURNING epoch
"""
_RELEASE: Final = "UPDATE vtoc_engine.leases SET expires_at = now() WHERE name = $1 AND holder = $2"
_LIVE: Final = """
SELECT name, holder, epoch, detail, expires_at, renewed_at FROM vtoc_engine.leases
WHERE name LIKE $1 AND expires_at > now() ORDER BY name
"""


class LeaseRow(NamedTuple):
    """A live lease."""

    name: str
    holder: UUID
    epoch: int
    detail: Mapping[str, Any]
    expires_at: datetime
    renewed_at: datetime


class LeaseRows:
    """Statements on named leases."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(
        self, name: str, holder: UUID, seconds: float, detail: Mapping[str, Any] | None = None
    ) -> int | None:
        """Take or renew the lease; its epoch, which grows with each new holder, or None while another holds it."""
        row = await self._store.fetchrow(_TAKE, name, holder, dict(detail or {}), seconds)
        return row["epoch"] if row else None

    async def release(self, name: str, holder: UUID) -> None:
        """Let another take it at once."""
        await self._store.execute(_RELEASE, name, holder)

    async def live(self, prefix: str) -> list[LeaseRow]:
        """The live leases whose names begin so."""
        rows = await self._store.fetch(_LIVE, prefix.replace("_", r"\_").replace("%", r"\%") + "%")
        return [LeaseRow(*row.values()) for row in rows]
