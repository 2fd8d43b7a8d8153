"""The day partitions of telemetry events: made ahead, and dropped when they are old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from vtoc_bots.core.store.pool import Connection, Store
from vtoc_bots.core.store.urls import ROLES

AHEAD_DAYS: Final = 7
# It waits for a lock on the table, behind whatever is being written.
_TIMEOUT_SECONDS: Final = 60.0


class Kept(NamedTuple):
    """How many partitions were made and dropped."""

    made: int
    dropped: int


async def keep_partitions(store: Store, now: datetime, keep_days: int) -> Kept:
    """Make every role's partitions for yesterday to a week ahead, and drop what is older than `keep_days` days.

    Days are UTC and go by the events' time; what no day's partition took (a replayed capture) goes by its arrival. For
    the sweeper, once an hour; doing it again is harmless.
    """
    today = now.astimezone(UTC).date()
    first, oldest = today - timedelta(days=1), today - timedelta(days=keep_days)
    made = dropped = 0
    for role in ROLES:
        made += await _count(store, role, f"SELECT {role}.make_partitions($1, $2)", first, AHEAD_DAYS + 2)
        dropped += await _count(store, role, f"SELECT {role}.drop_partitions($1)", oldest)
    return Kept(made, dropped)


async def _count(store: Store, role: str, sql: str, *arguments: object) -> int:
    async def work(connection: Connection) -> int:
        return int(await connection.fetchval(sql, *arguments, timeout=_TIMEOUT_SECONDS))

    return await store.run(work, role=role, idempotent=True)
