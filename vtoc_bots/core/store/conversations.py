"""The two leases on a conversation: one worker handles its messages, one delivers its replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple
from uuid import UUID

from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.groups import GroupCommit
from vtoc_bots.core.store.pool import Connection, Store

Duty = Literal["handle", "deliver"]

# A lease need not survive a crash of the database: every write made under it is conditional on the row's own state too.
UNHURRIED: Final = "(SELECT set_config('synchronous_commit', 'off', true)) AS unhurried"
"""A FROM item with which a statement's commit does not wait for the disk."""


class Held(NamedTuple):
    """A conversation that this worker holds.

    `attempt` fences every write. `wakes` counts who came while it was held: the holder looks again before letting go.
    """

    conversation: str
    attempt: int
    token: UUID
    wakes: int
    station: str | None
    queue: str


class _Let(NamedTuple):
    """What became of letting go: `released`, or held on with the newer count of wakes; None when it was lost."""

    released: bool
    wakes: int


_CLAIM: Final = """
WITH locked AS (
    -- In the order of their names, so that two workers claiming the same ones never wait for each other.
    SELECT id FROM vtoc_engine.conversations WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE vtoc_engine.conversations c SET
    {duty}_attempt = CASE WHEN coalesce(c.{duty}_until < now(), true) THEN c.{duty}_attempt + 1
        ELSE c.{duty}_attempt END,
    {duty}_holder = CASE WHEN coalesce(c.{duty}_until < now(), true) THEN w.token ELSE c.{duty}_holder END,
    {duty}_wakes = c.{duty}_wakes + CASE WHEN coalesce(c.{duty}_until < now(), true) THEN w.claims - 1
        ELSE w.claims END,
    {duty}_until = CASE WHEN coalesce(c.{duty}_until < now(), true) THEN now() + make_interval(secs => $4)
        ELSE c.{duty}_until END
FROM unnest($1::text[], $2::uuid[], $3::int[]) AS w(id, token, claims)
JOIN locked ON locked.id = w.id
CROSS JOIN {unhurried}
WHERE c.id = w.id
RETURNING c.id, c.{duty}_attempt AS attempt, c.{duty}_holder AS holder, c.{duty}_wakes AS wakes, c.station, c.queue
"""

_LET_GO: Final = """
UPDATE vtoc_engine.conversations c SET
    {duty}_until = CASE WHEN c.{duty}_wakes = w.wakes THEN NULL ELSE c.{duty}_until END,
    {duty}_holder = CASE WHEN c.{duty}_wakes = w.wakes THEN NULL ELSE c.{duty}_holder END
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w(id, attempt, wakes)
CROSS JOIN {unhurried}
WHERE c.id = w.id AND c.{duty}_attempt = w.attempt AND c.{duty}_until IS NOT NULL
RETURNING c.id, c.{duty}_until IS NULL AS released, c.{duty}_wakes AS wakes
"""

_RENEW: Final = """
UPDATE vtoc_engine.conversations c SET {duty}_until = now() + make_interval(secs => $3)
FROM unnest($1::text[], $2::int[]) AS w(id, attempt)
WHERE c.id = w.id AND c.{duty}_attempt = w.attempt AND c.{duty}_until IS NOT NULL
RETURNING c.id
"""


class ConversationLeases:
    """Claims, renews and lets go of conversations for one duty; concurrent calls share statements."""

    def __init__(self, store: Store, duty: Duty, lease_seconds: float) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._claim_sql = _CLAIM.format(duty=duty, unhurried=UNHURRIED)
        self._let_go_sql = _LET_GO.format(duty=duty, unhurried=UNHURRIED)
        self._renew_sql = _RENEW.format(duty=duty)
        self._claims = GroupCommit(store, self._flush_claims, name=f"{duty}_claim")
        self._let_gos = GroupCommit(store, self._flush_let_gos, name=f"{duty}_release")
        self.groups = (self._claims, self._let_gos)

    async def claim(self, conversation: str) -> Held | None:
        """Hold the conversation, or None when another holds it (who is then told to look again)."""
        return await self._claims.add(conversation)

    async def let_go(self, held: Held) -> Held | None:
        """Release it; None when that is done or it was lost. A Held when somebody came meanwhile: look again first."""
        let = await self._let_gos.add(held)
        return None if let is None or let.released else held._replace(wakes=let.wakes)

    async def renew(self, held: Sequence[Held]) -> set[str]:
        """Extend these leases; returns the conversations still held."""
        rows = await self._store.fetch(
            self._renew_sql, [h.conversation for h in held], [h.attempt for h in held], self._lease_seconds
        )
        return {row["id"] for row in rows}

    async def _flush_claims(self, connection: Connection, conversations: list[str]) -> list[Held | None]:
        counts: dict[str, int] = {}
        for conversation in conversations:
            counts[conversation] = counts.get(conversation, 0) + 1
        tokens = {conversation: new_id() for conversation in counts}
        rows = await connection.fetch(
            self._claim_sql, list(counts), [tokens[c] for c in counts], list(counts.values()), self._lease_seconds
        )
        mine = {
            row["id"]: Held(row["id"], row["attempt"], row["holder"], row["wakes"], row["station"], row["queue"])
            for row in rows
            if row["holder"] == tokens[row["id"]]
        }
        # Of several claims for one conversation the first has it.
        return [mine.pop(conversation, None) for conversation in conversations]

    async def _flush_let_gos(self, connection: Connection, held: list[Held]) -> list[_Let | None]:
        rows = await connection.fetch(
            self._let_go_sql, [h.conversation for h in held], [h.attempt for h in held], [h.wakes for h in held]
        )
        lets = {row["id"]: _Let(row["released"], row["wakes"]) for row in rows}
        return [lets.get(h.conversation) for h in held]
