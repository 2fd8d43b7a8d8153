"""The Slack transport by itself, before the strict Slack and an inbox in memory, with a clock that stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.passing_clock import PassingClock
from tests.platform_kit import until
from tests.slack_server import BOT_TOKEN, SECRET, TEAM, FakeSlack
from vtoc_bots import Card, ConversationId, Outbound, OutboundKind, Receipt, VtocError, new_id
from vtoc_bots.core.ids import id_at
from vtoc_bots.plugins.slack.settings import SlackSettings
from vtoc_bots.plugins.slack.transport import SlackTransport
from vtoc_bots.testing import MemoryInbox, OpenedContext


class Alone:
    """A transport that runs without a centre."""

    def __init__(self, slack: FakeSlack, settings: dict[str, Any], link: str | None) -> None:
        self.slack, self.clock, self.inbox = slack, PassingClock(), MemoryInbox()
        self._number = 0
        opened = OpenedContext("slack", self.clock, Path(), links=link)
        self.blobs = opened.blobs
        known = {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_BASE_URL": f"{slack.address}/api/",
        }
        self.transport = SlackTransport(opened.context, SlackSettings.model_validate({**known, **settings}))

    def outbound(self, card: Card | str, channel: str = "C0HALL0001", **more: Any) -> Outbound:
        """An outbound of a card, or of a card with this title."""
        self._number += 1
        conversation = ConversationId("slack", TEAM, channel, more.pop("thread", None))
        known: dict[str, Any] = {
            "id": self.id(),
            "key": f"key:{self._number}",
            "conversation": conversation,
            "kind": OutboundKind.REPLY,
            "card": Card.of(card) if isinstance(card, str) else card,
            "correlation_id": new_id(),
        }
        return Outbound(**{**known, **more})

    def id(self, before_seconds: float = 0.0) -> UUID:
        """An id made so long ago, by the standing clock."""
        at = self.clock.now() - timedelta(seconds=before_seconds)
        return id_at(int(at.timestamp() * 1000), new_id().int)

    async def send(self, card: Card | str, channel: str = "C0HALL0001", **more: Any) -> Receipt:
        """Send a card."""
        return await self.transport.send(self.outbound(card, channel, **more))


@asynccontextmanager
async def open_alone(
    slack: FakeSlack | None = None, settings: dict[str, Any] | None = None, link: str | None = None
) -> AsyncIterator[Alone]:
    """A transport that runs, with a Slack that has a hall with Ada in it."""
    opening = nullcontext(slack) if slack is not None and slack.address else (slack or FakeSlack()).open()
    async with opening as platform:
        if "C0HALL0001" not in platform.channels:
            platform.channel("C0HALL0001", "hall", "U0ADA00001")
        alone = Alone(platform, settings or {}, link)
        running = asyncio.create_task(alone.transport.run(alone.inbox))

        await until(lambda: _is_open(alone, running), 10, lambda: "not connected")
        try:
            yield alone
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def _is_open(alone: Alone, running: asyncio.Task[None]) -> bool:
    if running.done():
        running.result()
    try:
        await alone.transport.probe()
    except VtocError:
        return False
    return True
