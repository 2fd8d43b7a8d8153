"""The outbox's rows: what is to be sent, in which order, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.hands import Hands
from vtoc_bots.core.store.groups import GroupCommit
from vtoc_bots.core.store.pool import Connection, Store


class StoredOutbound(NamedTuple):
    """An outbound whose sending has begun.

    `was_unknown`: an earlier sending began and its end is not known. `copies`: how many did, this one included.
    """

    id: UUID
    key: str
    conversation: str
    kind: str
    card: Any
    reply_to: str | None
    private_to: str | None
    reply_context: Any
    revision: int
    receipt: Any
    message_id: UUID | None
    run_id: UUID | None
    tries: int
    was_unknown: bool
    expires_at: datetime
    correlation_id: UUID
    trace: str | None
    copies: int


class Ended(NamedTuple):
    """What became of a sending. `state`: sent, refused, due (again, after `delay` seconds) or unknown (likewise).

    `copies`: how many may be shown whose end is not known.
    """

    id: UUID
    conversation: str
    attempt: int
    revision: int
    state: str
    receipt: Any
    error: str | None
    delay: float
    fallback: Any = None
    """A plain card's JSON, to be sent instead of one that was refused."""
    copies: int = 0


UNSURE_PAUSES: Final = (1.0, 10.0, 100.0, 900.0)
"""Seconds before another copy of a card that may be shown already. A short failure costs a moment; a long one is
outlasted, until the card's deadline, with few copies."""
LOOKED_UP_PAUSES: Final = (1.0, 10.0, 60.0, 60.0)
"""The same where the platform is asked first, and no copy is shown. As many, for what comes behind."""
# What comes behind a card that has come to the last of its pauses does not wait along, nor for an edit.
# The state is 'unknown' from before the sending until its end is stored: a worker killed in between leaves the truth.
# What its writer handed over to its own process ($3) was unknown from the start; only as long as nobody else began it
# (their beginning is on disk before they send), that process knows better.
_NEXT: Final = f"""
WITH first AS (
    SELECT DISTINCT ON (o.conversation) o.id, o.state, o.due_at,
        o.state = 'unknown' AND o.attempt = 0 AND o.id = ANY($3) AS is_unbegun
    FROM unnest($1::text[], $2::int[]) AS w(conversation, attempt)
    JOIN vtoc_engine.conversations c ON c.id = w.conversation AND c.deliver_attempt = w.attempt
    JOIN vtoc_engine.outbox o ON o.conversation = c.id
    WHERE o.state IN ('due', 'unknown') AND NOT (o.kind = 'progress' AND (o.due_at > now()
        -- Progress that was never shown is not shown once the run has ended.
        OR (o.receipt IS NULL AND EXISTS (
            SELECT 1 FROM vtoc_engine.runs r WHERE r.id = o.run_id AND r.state NOT IN ('ready', 'waiting')))))
        AND NOT ((o.copies >= {len(UNSURE_PAUSES)} OR (o.revision > 0 AND o.receipt IS NOT NULL)) AND o.due_at > now())
    ORDER BY o.conversation, o.seq
)
UPDATE vtoc_engine.outbox o SET state = 'unknown', tries = o.tries + 1, attempt = o.attempt + 1,
    copies = o.copies + 1
FROM first CROSS JOIN (
    -- Lost in a crash, the row would still say unknown.
    SELECT CASE WHEN bool_and(f.is_unbegun) THEN set_config('synchronous_commit', 'off', true) END FROM first f
) AS unhurried
WHERE o.id = first.id AND first.due_at <= now() AND o.state IN ('due', 'unknown')
RETURNING o.id, o.key, o.conversation, o.kind, o.card, o.reply_to, o.private_to, o.reply_context, o.revision,
    o.receipt, o.message_id, o.run_id, o.tries, first.state = 'unknown', o.expires_at, o.correlation_id, o.trace,
    o.copies, o.attempt
"""

_END: Final = """
WITH want AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::jsonb[], $7::text[],
        $8::float8[], $9::jsonb[], $10::int[])
        AS w(id, conversation, attempt, revision, state, receipt, error, delay, fallback, copies)
), held AS (
    SELECT c.id FROM vtoc_engine.conversations c JOIN want w ON w.conversation = c.id AND w.attempt = c.deliver_attempt
    ORDER BY c.id FOR SHARE OF c
), ended AS (
UPDATE vtoc_engine.outbox o SET
    -- A card revised while it was being sent is due again, as an edit.
    state = CASE WHEN w.state = 'sent' AND o.revision <> w.revision THEN 'due' ELSE w.state END,
    receipt = coalesce(w.receipt, o.receipt),
    sent_revision = CASE WHEN w.state = 'sent' THEN w.revision ELSE o.sent_revision END,
    sent_at = CASE WHEN w.state = 'sent' THEN now() ELSE o.sent_at END,
    -- What certainly was not sent is no fault of its transport, however often; more tries pause no longer.
    tries = CASE w.state WHEN 'sent' THEN 0 WHEN 'due' THEN least(o.tries, 8) ELSE o.tries END,
    copies = w.copies,
    error = w.error,
    due_at = CASE
        WHEN w.state = 'sent' AND o.kind = 'progress' THEN now() + interval '1 second'
        ELSE now() + make_interval(secs => w.delay) END
FROM want w JOIN held ON held.id = w.conversation
WHERE o.id = w.id AND o.state = 'unknown'
RETURNING o.*, w.fallback
), instead AS (
    INSERT INTO vtoc_engine.outbox (id, key, transport, conversation, kind, card, reply_to, private_to, reply_context,
        message_id, run_id, expires_at, correlation_id, trace)
    SELECT gen_random_uuid(), e.key || ':plain', e.transport, e.conversation, 'notice', e.fallback, e.reply_to,
        e.private_to, e.reply_context, e.message_id, e.run_id, e.expires_at, e.correlation_id, e.trace
    FROM ended e WHERE e.fallback IS NOT NULL
    ON CONFLICT (key) DO NOTHING
)
SELECT id FROM ended
"""


class OutboxRows:
    """Statements on the outbox; concurrent calls share them."""

    def __init__(self, store: Store, hands: Hands | None = None) -> None:
        self._store, self._hands = store, hands or Hands()
        self._nexts = GroupCommit(store, self._flush_nexts, name="next_outbound")
        self._ends = GroupCommit(store, self._flush_ends, name="end_sending", idempotent=True)
        self.groups = (self._nexts, self._ends)

    async def next(self, conversation: str, attempt: int) -> StoredOutbound | None:
        """The held conversation's first unsent outbound if it is due, marked as being sent."""
        return await self._nexts.add((conversation, attempt))

    async def end(self, ended: Ended) -> bool:
        """Store what became of a sending; False when the conversation was lost to another worker."""
        return await self._ends.add(ended)

    async def _flush_nexts(self, connection: Connection, held: list[tuple[str, int]]) -> list[StoredOutbound | None]:
        rows = await connection.fetch(_NEXT, [h[0] for h in held], [h[1] for h in held], self._hands.unbegun())
        found = {row["conversation"]: self._begun(*row.values()) for row in rows}
        return [found.get(conversation) for conversation, _ in held]

    def _begun(self, *columns: Any) -> StoredOutbound:
        *values, attempt = columns
        row = StoredOutbound(*values)
        # Asked of every row: once begun here, nothing is known any more.
        is_first = self._hands.begin(row.id) and attempt == 1
        return row._replace(was_unknown=row.was_unknown and not is_first)

    async def _flush_ends(self, connection: Connection, ended: list[Ended]) -> list[bool]:
        rows = await connection.fetch(_END, *(list(column) for column in zip(*ended, strict=True)))
        done = {row["id"] for row in rows}
        return [e.id in done for e in ended]
