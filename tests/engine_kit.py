"""A transport whose every answer a test writes beforehand, and what is needed to deliver by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vtoc_bots import Caps, Inbox, Outbound, Receipt
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.leases import LeaseKeeper
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.outbox import Deliverer
from vtoc_bots.core.store.conversations import ConversationLeases, Held
from vtoc_bots.core.store.outbox import OutboxRows
from vtoc_bots.core.store.pool import Store

ROOM = "test:bot:room"


class ScriptedTransport:
    """Answers each call with the next of its answers: an error is raised, None is a success."""

    def __init__(self, *answers: Exception | None, edit: bool = True) -> None:
        self.caps = Caps(edit=edit)
        self.answers = list(answers)
        self.sent: list[Outbound] = []

    async def run(self, inbox: Inbox) -> None:
        """Nothing is received."""

    async def send(self, outbound: Outbound) -> Receipt:
        """Remember it, then answer."""
        self.sent.append(outbound)
        self._answer()
        return receipt_of(outbound)

    def _answer(self) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


class ScriptedLookingTransport(ScriptedTransport):
    """Also looks up: what is in `shown`, after the next answer."""

    def __init__(self, *answers: Exception | None, shown: Mapping[str, Receipt] | None = None) -> None:
        super().__init__(*answers)
        self.shown = dict(shown or {})
        self.looks = 0

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """What is shown under the key."""
        self.looks += 1
        self._answer()
        return self.shown.get(outbound.key)


def receipt_of(outbound: Outbound) -> Receipt:
    """What the platform answers to a send."""
    return Receipt(f"ref of {outbound.key}", datetime(2026, 1, 1, tzinfo=UTC))


class Post:
    """A room with its outbox and its deliverer."""

    def __init__(self, store: Store, transport: ScriptedTransport) -> None:
        self.store, self.transport, clock = store, transport, SystemClock()
        self.leases = ConversationLeases(store, "deliver", 15)
        keeper: LeaseKeeper[Held] = LeaseKeeper(lambda held: held.conversation, self.leases.renew, clock, 15)
        self.again: list[tuple[str, float]] = []
        """What is to be tried again, and in how many seconds."""

        def again(room: str, seconds: float) -> None:
            self.again.append((room, seconds))

        rows, self._metrics = OutboxRows(store), Metrics()
        self._deliverer = Deliverer(transport, rows, self.leases, keeper, clock, self._metrics, again=again)

    async def put(self, key: str, kind: str = "reply", title: str = "hello") -> None:
        """A card to be sent."""
        await self.store.execute(
            "INSERT INTO vtoc_engine.conversations (id, transport, queue) VALUES ($1, 'test', 'test')"
            " ON CONFLICT DO NOTHING",
            ROOM,
        )
        await self.store.execute(
            "INSERT INTO vtoc_engine.outbox (id, key, transport, conversation, kind, card, expires_at, correlation_id)"
            " VALUES ($1, $2, 'test', $3, $4, $5, now() + interval '1 day', $1)",
            new_id(),
            key,
            ROOM,
            kind,
            {"title": title, "blocks": []},
        )

    async def revise(self, key: str, title: str) -> None:
        """Replace the card, as an approval's end does."""
        await self.store.execute(
            "UPDATE vtoc_engine.outbox SET card = $2, revision = revision + 1,"
            " state = CASE WHEN state = 'sent' THEN 'due' ELSE state END WHERE key = $1",
            key,
            {"title": title, "blocks": []},
        )

    async def deliver(self) -> None:
        """Deliver now, whatever time was set."""
        await self.store.execute("UPDATE vtoc_engine.outbox SET due_at = now() WHERE state IN ('due', 'unknown')")
        await self._deliverer.deliver(ROOM)

    async def deliver_until_killed(self) -> None:
        """What a worker killed in the middle of a sending leaves: it has begun, and nobody holds the room."""
        held = await self.leases.claim(ROOM)
        assert held is not None
        assert await OutboxRows(self.store).next(ROOM, held.attempt) is not None
        assert await self.leases.let_go(held) is None

    def metric(self, state: str) -> float | None:
        """How many sendings ended in a state."""
        return self._metrics.registry.get_sample_value("vtoc_outbox_total", {"queue": "test", "state": state})

    async def states(self) -> dict[str, Any]:
        """State by key."""
        rows = await self.store.fetch("SELECT key, state FROM vtoc_engine.outbox ORDER BY seq")
        return {row["key"]: row["state"] for row in rows}
