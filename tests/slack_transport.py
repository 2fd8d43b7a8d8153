"""The Slack transport by itself: a clock that stands, blobs in memory, an inbox that records, no database."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.platform_kit import until
from tests.slack_server import BOT_TOKEN, SECRET, TEAM, FakeSlack
from vtoc_bots import (
    Accepted,
    Acknowledgement,
    Card,
    ConversationId,
    Message,
    NotFound,
    Outbound,
    OutboundKind,
    Receipt,
    TransportContext,
    VtocError,
    new_id,
)
from vtoc_bots.core.ids import id_at
from vtoc_bots.plugins.slack.settings import SlackSettings
from vtoc_bots.plugins.slack.transport import SlackTransport


class StandingClock:
    """Time that the test moves; it begins now, so that signatures and ids fit the platform's time."""

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self.passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The present."""
        return self._began + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        """Seconds that have passed."""
        return self.passed

    async def sleep(self, seconds: float) -> None:
        """Let them have passed."""
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)


class Shelf:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, data: bytes, content_type: str) -> str:
        """Keep it."""
        name = hashlib.sha256(data).hexdigest()
        self.kept[name] = data
        return name

    async def get(self, sha256: str) -> bytes:
        """Give it."""
        if sha256 not in self.kept:
            raise NotFound("gone")
        return self.kept[sha256]


class Recorder:
    """An inbox that takes everything; `answer` says how it is acknowledged."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.unopened_messages: list[Message] = []
        self.answer: Callable[[Message], Awaitable[Acknowledgement]] | None = None

    async def accept(self, message: Message) -> Acknowledgement:
        """Take it."""
        self.messages.append(message)
        return await self.answer(message) if self.answer else Accepted(new_id())

    async def unopened(self, message: Message) -> Accepted:
        """Take it."""
        self.unopened_messages.append(message)
        return Accepted(new_id())


class Alone:
    """A transport that runs without a centre."""

    def __init__(self, slack: FakeSlack, settings: dict[str, Any], link: str | None) -> None:
        self.slack, self.clock, self.shelf, self.inbox = slack, StandingClock(), Shelf(), Recorder()
        self.notices: list[Card] = []
        self._number = 0

        async def hold(name: str, work: Callable[[int], Awaitable[None]]) -> None:
            await work(1)

        async def notice(card: Card, key: str) -> None:
            self.notices.append(card)

        context = TransportContext(
            account="slack",
            clock=self.clock,
            blobs=self.shelf,
            data_dir=Path(),
            hold=hold,
            notice=notice,
            link=lambda blob, name, content_type: f"{link}/{name}" if link else None,
        )
        known = {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_BASE_URL": f"{slack.address}/api/",
        }
        self.transport = SlackTransport(context, SlackSettings.model_validate({**known, **settings}))

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
