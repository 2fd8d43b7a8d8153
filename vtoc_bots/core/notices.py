"""Cards that nobody asked for: what a station is told, in the conversations its configuration names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from vtoc_bots.core.cards import Card
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.messages import ConversationId, OutboundKind
from vtoc_bots.core.outbox import add_outbound
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.store.pool import Connection, Store

CHATKIT: Final = "chatkit"
"""The transport whose channels are the stations' own: one a station, with threads for missions and alerts."""
_KNOWN: Final = """
INSERT INTO vtoc_engine.conversations (id, transport, queue)
SELECT c, split_part(c, ':', 1), split_part(c, ':', 1) FROM unnest($1::text[]) AS c ORDER BY c
ON CONFLICT (id) DO NOTHING
"""


class Notices:
    """Sends notices; `conversations` are those of each station, by slug, `accounts` those of the transports here."""

    def __init__(
        self, store: Store, conversations: Mapping[str, Sequence[str]], accounts: Mapping[str, str] | None = None
    ) -> None:
        self._store, self._conversations = store, conversations
        self.accounts = dict(accounts or {})

    def of(self, station: str) -> Sequence[str]:
        """The conversations where the station is told of things."""
        return self._conversations.get(station, ())

    @property
    def has_channels(self) -> bool:
        """Whether stations have channels here."""
        return CHATKIT in self.accounts

    def channel(self, name: str, thread: str | None = None) -> str | None:
        """The conversation of a ChatKit channel, which a station's slug names, or of a thread in it (`mission:M-3`);
        None where there is no ChatKit."""
        account = self.accounts.get(CHATKIT)
        return None if account is None else str(ConversationId(CHATKIT, account, name, thread))

    async def know(self) -> None:
        """Make these conversations known, so that replies can be delivered there before anybody spoke."""
        every = sorted({each for some in self._conversations.values() for each in some})
        await self.know_these(every)

    async def know_these(self, conversations: Sequence[str]) -> None:
        """Make conversations known, so that what a transaction writes for them is delivered."""
        if conversations:
            await self._store.execute(_KNOWN, list(conversations), idempotent=True)

    async def send_to(self, conversation: str, card: Card, key: str, correlation_id: UUID) -> None:
        """Send a card to one conversation; a second call with the same key does nothing."""
        await self.know_these([conversation])
        effects = Effects()
        add_outbound(
            effects,
            key=key,
            kind=OutboundKind.NOTICE,
            conversation=conversation,
            card=card,
            correlation_id=correlation_id,
        )
        await write_effects(self._store, correlation_id, effects)

    async def send(self, station: str, card: Card, key: str) -> None:
        """Send a card to all of them; a second call with the same key does nothing."""
        effects, head = Effects(), new_id()
        for conversation in self.of(station):
            add_outbound(
                effects,
                key=f"{key}:{conversation}",
                kind=OutboundKind.NOTICE,
                conversation=conversation,
                card=card,
                correlation_id=head,
            )
        await self.write(head, effects)

    async def write(self, head: UUID, effects: Effects) -> None:
        """Write effects that stand for themselves, in one transaction."""
        if not effects:
            return

        async def work(connection: Connection) -> None:
            await write_effects(connection, head, effects)

        await self._store.run(work, transaction=True, idempotent=True)
