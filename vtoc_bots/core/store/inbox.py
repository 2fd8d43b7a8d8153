"""The inbox's rows: stored once, handled in order, finished with everything their handling writes."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.hands import Hands
from vtoc_bots.core.queue import HANDLE, Hint, hint_insert
from vtoc_bots.core.store.conversations import UNHURRIED
from vtoc_bots.core.store.effects import HANDED_SQL, Effects, Outcome, effect_arguments, effects_sql, outcomes
from vtoc_bots.core.store.groups import GroupCommit
from vtoc_bots.core.store.pool import Connection, Store


class NewMessage(NamedTuple):
    """A message to be stored. `body` is its JSON object, `queue` the job queue of its conversation's replies."""

    id: UUID
    transport: str
    account: str
    event_id: str
    conversation: str
    queue: str
    body: Any
    correlation_id: UUID
    trace: str | None


class StoredMessage(NamedTuple):
    """A message to be handled, and how often that was begun."""

    id: UUID
    conversation: str
    body: Any
    attempt: int
    correlation_id: UUID
    trace: str | None


class Finished(NamedTuple):
    """A handled message with everything that its handling writes. `attempt` is the conversation's."""

    id: UUID
    conversation: str
    attempt: int
    state: str
    error: str | None
    effects: Effects


_STORE: Final = """
WITH items AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[],
        $8::uuid[], $9::text[]) WITH ORDINALITY
        AS i(id, transport, account, event_id, conversation, queue, body, correlation_id, trace, ord)
), known AS (
    INSERT INTO vtoc_engine.conversations (id, transport, queue)
    SELECT DISTINCT ON (i.conversation) i.conversation, i.transport, i.queue FROM items i ORDER BY i.conversation
    ON CONFLICT (id) DO NOTHING
), stored AS (
    INSERT INTO vtoc_engine.inbox (id, transport, account, event_id, conversation, body, correlation_id, trace)
    SELECT i.id, i.transport, i.account, i.event_id, i.conversation, i.body, i.correlation_id, i.trace
    FROM items i ORDER BY i.ord
    ON CONFLICT (transport, account, event_id) DO NOTHING
    RETURNING id, conversation
)"""
_HINTED: Final = hint_insert("SELECT DISTINCT 20, 'handle', conversation FROM stored")
_ACCEPT: Final = f"{_STORE}, hinted AS ({_HINTED}) SELECT id FROM stored"
_ACCEPT_HANDED: Final = f"{_STORE} SELECT id FROM stored"
_OURS: Final = "SELECT id FROM vtoc_engine.inbox WHERE id = ANY($1)"

_NEXT: Final = f"""
UPDATE vtoc_engine.inbox i SET attempt = i.attempt + 1
FROM unnest($1::text[], $2::int[]) AS w(conversation, attempt)
JOIN vtoc_engine.conversations c ON c.id = w.conversation AND c.handle_attempt = w.attempt,
LATERAL (
    SELECT n.id, n.due_at FROM vtoc_engine.inbox n
    WHERE n.conversation = w.conversation AND n.state = 'new' ORDER BY n.seq LIMIT 1
) first
CROSS JOIN {UNHURRIED}
WHERE i.id = first.id AND first.due_at <= now() AND i.state = 'new'
RETURNING i.id, i.conversation, i.body, i.attempt, i.correlation_id, i.trace
"""

_DONE: Final = """
WITH want AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[])
        AS w(id, conversation, attempt, state, error)
), held AS (
    SELECT c.id FROM vtoc_engine.conversations c JOIN want w ON w.conversation = c.id AND w.attempt = c.handle_attempt
    ORDER BY c.id FOR SHARE OF c
), head AS (
    UPDATE vtoc_engine.inbox i SET state = w.state, error = w.error, done_at = now()
    FROM want w JOIN held ON held.id = w.conversation
    WHERE i.id = w.id AND i.state = 'new'
    RETURNING i.id
)"""
_FINISH: Final = f"{_DONE}, {effects_sql(6)} SELECT id FROM head"
_FINISH_HANDED: Final = f"{_DONE}, {effects_sql(6, '$13::text[]')} {HANDED_SQL}"

_POSTPONE: Final = """
UPDATE vtoc_engine.inbox i SET due_at = now() + make_interval(secs => $4), error = $5
FROM vtoc_engine.conversations c
WHERE i.id = $1 AND c.id = $2 AND c.handle_attempt = $3 AND i.state = 'new'
"""


class InboxRows:
    """Statements on the inbox; concurrent calls share them."""

    def __init__(self, store: Store, hands: Hands | None = None) -> None:
        self._store, self._hands = store, hands or Hands()
        self._accepts = GroupCommit(store, self._flush_accepts, name="accept", idempotent=True)
        self._nexts = GroupCommit(store, self._flush_nexts, name="next_message")
        self._finishes = GroupCommit(store, self._flush_finishes, name="finish_message")
        self.groups = (self._accepts, self._nexts, self._finishes)

    async def accept(self, message: NewMessage) -> bool:
        """Store it and hint at it; False when its event was stored before."""
        is_new, handed = await self._accepts.add(message)
        self._hands.take(handed)
        return is_new

    async def next(self, conversation: str, attempt: int) -> StoredMessage | None:
        """The held conversation's first undone message if it is due, counted as begun."""
        return await self._nexts.add((conversation, attempt))

    async def finish(self, finished: Finished) -> bool:
        """Write its end and effects; False when the conversation was lost to another worker, or it was done before."""
        done, handed = await self._finishes.add(finished)
        self._hands.take(handed)
        return done

    async def postpone(self, message: StoredMessage, attempt: int, seconds: float, error: str) -> None:
        """Try again in so many seconds; the conversation's later messages wait for it."""
        await self._store.execute(_POSTPONE, message.id, message.conversation, attempt, seconds, error)

    async def _flush_accepts(self, connection: Connection, messages: list[NewMessage]) -> list[Outcome]:
        is_handed = bool(self._hands.free(len(messages)))
        sql = _ACCEPT_HANDED if is_handed else _ACCEPT
        rows = await connection.fetch(sql, *(list(column) for column in zip(*messages, strict=True)))
        stored = {row["id"] for row in rows}
        known = [m.id for m in messages if m.id not in stored]
        if known:  # duplicates, or tried again after a commit whose answer was lost: stored they were then, and by us
            stored |= {row["id"] for row in await connection.fetch(_OURS, known)}
        return [
            Outcome(m.id in stored, (Hint(HANDLE, m.conversation),) if is_handed and m.id in stored else ())
            for m in messages
        ]

    async def _flush_nexts(self, connection: Connection, held: list[tuple[str, int]]) -> list[StoredMessage | None]:
        rows = await connection.fetch(_NEXT, [h[0] for h in held], [h[1] for h in held])
        found = {row["conversation"]: StoredMessage(*row.values()) for row in rows}
        return [found.get(conversation) for conversation, _ in held]

    async def _flush_finishes(self, connection: Connection, finished: list[Finished]) -> list[Outcome]:
        columns = [list(column) for column in zip(*(f[:5] for f in finished), strict=True)]
        effects = effect_arguments((f.id, f.effects) for f in finished)
        ids = [f.id for f in finished]
        if free := self._hands.free(len(finished)):
            self._hands.make(row["id"] for f in finished for row in f.effects.outbox)
            rows = await connection.fetch(_FINISH_HANDED, *columns, *effects, free)
            return await outcomes(connection, ids, rows, free)
        done = {row["id"] for row in await connection.fetch(_FINISH, *columns, *effects)}
        return [Outcome(message_id in done) for message_id in ids]
