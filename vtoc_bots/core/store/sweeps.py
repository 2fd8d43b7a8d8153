"""What the sweeper asks and does: due rows, schedules, and what is kept no longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from vtoc_bots.core.queue import PRUNE_JOBS, PRUNE_LOG, SWEEP_HINTS, Hint
from vtoc_bots.core.store.effects import Effects, effect_arguments, effects_sql
from vtoc_bots.core.store.pool import Store

MOST_HINTS: Final = 2000

# A second's grace: what was just written has its own hint on the way.
_DUE: Final = f"""
(SELECT 'handle' AS entrypoint, i.conversation AS payload
 FROM vtoc_engine.inbox i JOIN vtoc_engine.conversations c ON c.id = i.conversation
 WHERE i.state = 'new' AND i.due_at < now() - interval '1 second' AND coalesce(c.handle_until < now(), true)
 GROUP BY i.conversation LIMIT {MOST_HINTS})
UNION ALL
(SELECT 'advance', r.id::text FROM vtoc_engine.runs r
 WHERE ((r.state = 'ready' AND r.created_at < now() - interval '1 second')
        OR (r.state = 'waiting' AND r.due_at <= now()))
    AND coalesce(r.lease_until < now(), true) ORDER BY r.created_at LIMIT {MOST_HINTS})
UNION ALL
(SELECT 'deliver.' || c.queue, o.conversation
 FROM vtoc_engine.outbox o JOIN vtoc_engine.conversations c ON c.id = o.conversation
 WHERE o.state IN ('due', 'unknown') AND o.due_at < now() - interval '250 milliseconds'
    AND coalesce(c.deliver_until < now(), true)
 GROUP BY c.queue, o.conversation LIMIT {MOST_HINTS})
"""
# An outbound past its deadline that nobody delivers any more (its terminal is gone).
_EXPIRE: Final = """
UPDATE vtoc_engine.outbox SET state = 'expired', error = 'older than its deadline'
WHERE state IN ('due', 'unknown') AND expires_at < now() - interval '1 minute'
"""
_SCHEDULES_DUE: Final = """
SELECT name, playbook, station, inputs, cron, timezone, conversation, next_at
FROM vtoc_engine.schedules WHERE is_active AND next_at <= now() ORDER BY next_at LIMIT 100
"""
_FIRE: Final = f"""
WITH head AS (
    UPDATE vtoc_engine.schedules SET last_at = next_at, next_at = $3, updated_at = now()
    WHERE name = $1 AND next_at = $2 RETURNING $4::uuid AS id
), {effects_sql(5)}
SELECT id FROM head
"""
_PUT_OFF: Final = "UPDATE vtoc_engine.schedules SET next_at = $3, updated_at = now() WHERE name = $1 AND next_at = $2"
# What was kept when the oldest unfinished run or message came stays as long: a run that is parked goes on with its
# pictures and closes the cards it has shown, however long it waited. Keys against doing things twice are kept a week at
# the least, whatever else is forgotten.
_SINCE: Final = """(SELECT least(now(),
    (SELECT min(r.created_at) FROM vtoc_engine.runs r WHERE r.state IN ('ready', 'waiting')),
    (SELECT min(i.received_at) FROM vtoc_engine.inbox i WHERE i.state = 'new'))
    - make_interval(days => greatest(7, $1::int)))"""
_RETENTION: Final = (
    "DELETE FROM vtoc_engine.dialogs WHERE expires_at < now() - interval '1 day'",
    "DELETE FROM vtoc_engine.buttons WHERE expires_at < now() - interval '1 day'",
    "DELETE FROM vtoc_engine.leases WHERE expires_at < now() - interval '1 day'",
    "DELETE FROM vtoc_engine.budgets WHERE updated_at < now() - interval '1 day'",
    """DELETE FROM vtoc_engine.runs WHERE state NOT IN ('ready', 'waiting')
        AND finished_at < now() - make_interval(days => greatest(7, $1::int))""",
    f"DELETE FROM vtoc_engine.outbox WHERE state IN ('sent', 'refused', 'expired') AND created_at < {_SINCE}",
    f"DELETE FROM vtoc_engine.inbox WHERE state <> 'new' AND received_at < {_SINCE}",
    f"DELETE FROM vtoc_engine.idempotency WHERE created_at < {_SINCE}",
    # The station's own table keeps its copy.
    f"""DELETE FROM vtoc_engine.agent_actions WHERE completed_at IS NOT NULL AND told = revision
        AND created_at < {_SINCE}""",
    # What nobody wrote in for so long; the threads of missions and channels stay.
    f"DELETE FROM vtoc_engine.threads WHERE (purpose IS NULL OR purpose LIKE 'alert:%') AND updated_at < {_SINCE}",
    "DELETE FROM vtoc_engine.thread_files WHERE thread_id IS NULL AND created_at < now() - interval '1 day'",
    f"DELETE FROM vtoc_engine.thread_files WHERE thread_id IS NOT NULL AND created_at < {_SINCE}",
    f"DELETE FROM vtoc_engine.remembered WHERE name LIKE '%/alert:%' AND created_at < {_SINCE}",
    f"DELETE FROM vtoc_engine.blobs WHERE created_at < {_SINCE}",
)


class DueSchedule(NamedTuple):
    """A schedule whose time has come."""

    name: str
    playbook: str
    station: str
    inputs: Any
    cron: str
    timezone: str
    conversation: str | None
    next_at: datetime


class Sweeps:
    """The sweeper's statements."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def hint_due(self) -> int:
        """Hint at every due, unfinished row with no live lease; how many rows there were."""
        rows = await self._store.fetch(_DUE)
        if rows:
            hints = [Hint(row["entrypoint"], row["payload"]) for row in rows]
            priorities, entrypoints, payloads = (
                [h.priority for h in hints],
                [h[0] for h in hints],
                [h[1] for h in hints],
            )
            await self._store.execute(SWEEP_HINTS, priorities, entrypoints, payloads)
        return len(rows)

    async def expire(self) -> int:
        """End outbounds that are past their deadlines."""
        return await self._store.execute(_EXPIRE, idempotent=True)

    async def due_schedules(self) -> Sequence[DueSchedule]:
        """Schedules whose time has come."""
        return [DueSchedule(*row.values()) for row in await self._store.fetch(_SCHEDULES_DUE)]

    async def fire(self, schedule: DueSchedule, next_at: datetime, run: Mapping[str, Any]) -> bool:
        """Insert the run and set the next time; False when another did it."""
        effects = Effects(runs=[dict(run)])
        arguments = effect_arguments([(run["id"], effects)])
        row = await self._store.fetchrow(_FIRE, schedule.name, schedule.next_at, next_at, run["id"], *arguments)
        return row is not None

    async def put_off(self, schedule: DueSchedule, next_at: datetime) -> None:
        """Set the next time without a run."""
        await self._store.execute(_PUT_OFF, schedule.name, schedule.next_at, next_at)

    async def forget(self, days: int) -> None:
        """Delete what is older than it is kept, except what an unfinished run or message may still need."""
        for statement in _RETENTION:
            await self._store.execute(statement, *([days] if "$1" in statement else []), timeout=60)
        for statement in (PRUNE_JOBS, PRUNE_LOG):
            await self._store.execute(statement, timeout=60)
