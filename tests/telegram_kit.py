"""People on Telegram, a transport on its own with an inbox in memory, and updates as Telegram writes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.passing_clock import PassingClock
from tests.telegram_server import BOT_ID, BOT_NAME, TOKEN, BotApiServer, Shown
from vtoc_bots import Card, ConversationId, Outbound, OutboundKind, Receipt
from vtoc_bots.plugins.telegram.settings import TelegramSettings
from vtoc_bots.plugins.telegram.transport import TelegramTransport
from vtoc_bots.testing import MemoryBlobs, MemoryInbox, OpenedContext

ADA, BOB, EVE = 4001, 4002, 4003
GROUP = -100200
NAMES = {ADA: "Ada", BOB: "Bob", EVE: "Eve"}
PNG = bytes.fromhex("89504e470d0a1a0a") + b"picture"


@dataclass
class Bench:
    """A transport on its own, before the strict server."""

    server: BotApiServer
    transport: TelegramTransport
    inbox: MemoryInbox
    clock: Any
    opened: OpenedContext

    @property
    def blobs(self) -> MemoryBlobs:
        """What is stored."""
        return self.opened.blobs

    async def send(self, card: Card, chat: int = ADA, **options: Any) -> Receipt:
        """Send a card; a second of the clock passes before it."""
        if isinstance(self.clock, PassingClock):
            self.clock.seconds += 3.0
        return await self.transport.send(outbound(card, chat, **options))

    def shown(self, chat: int = ADA) -> list[Shown]:
        """What stands in the chat."""
        return self.server.shown(chat)


def settings_of(server: BotApiServer, **more: str) -> TelegramSettings:
    """Settings for the strict server."""
    values = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_BASE_URL": server.address, **more}
    return TelegramSettings.model_validate(values)


def outbound(card: Card, chat: int = ADA, thread: int | None = None, **options: Any) -> Outbound:
    """A card on its way to a chat."""
    conversation = ConversationId("telegram", str(BOT_ID), str(chat), None if thread is None else str(thread))
    values = {"kind": OutboundKind.REPLY, "key": str(uuid4()), **options}
    return Outbound(id=uuid4(), conversation=conversation, card=card, correlation_id=uuid4(), **values)


@asynccontextmanager
async def open_bench(
    folder: Path, *, clock: Any = None, public_url: str | None = None, poll_seconds: float = 2, **more: str
) -> AsyncIterator[Bench]:
    """The strict server and a transport that is not run yet; what breaks the specification fails the test."""
    async with BotApiServer().open() as server:
        for chat in (ADA, BOB, EVE):
            server.chat(chat)
        server.chat(GROUP, "supergroup")
        bench = bench_on(server, folder, clock=clock, public_url=public_url, poll_seconds=poll_seconds, **more)
        yield bench
        assert server.problems == []


def bench_on(
    server: BotApiServer,
    folder: Path,
    *,
    clock: Any = None,
    public_url: str | None = None,
    poll_seconds: float = 2,
    **more: str,
) -> Bench:
    """A transport for a server."""
    clock = clock or PassingClock()
    links = None if public_url is None else f"{public_url}/files"
    opened = OpenedContext(str(BOT_ID), clock, folder, links=links)
    transport = TelegramTransport(opened.context, settings_of(server, **more), public_url, poll_seconds=poll_seconds)
    return Bench(server, transport, MemoryInbox(), clock, opened)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[asyncio.Task[None]]:
    """The transport receives for the length of the block."""
    task = asyncio.create_task(bench.transport.run(bench.inbox))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def user(user_id: int, **more: Any) -> dict[str, Any]:
    """A person as Telegram describes one."""
    name = NAMES.get(user_id, f"Person{user_id}")
    return {"id": user_id, "is_bot": False, "first_name": name, "username": name.lower(), "language_code": "en", **more}


def chat_of(chat_id: int, **more: Any) -> dict[str, Any]:
    """A chat as Telegram describes one."""
    if chat_id > 0:
        return {"id": chat_id, "first_name": NAMES.get(chat_id, "?"), "type": "private", **more}
    return {"id": chat_id, "title": "Harbour watch", "type": "supergroup", **more}


def message(number: int, sender: int, text: str | None, chat: int | None = None, **more: Any) -> dict[str, Any]:
    """A message as Telegram describes one."""
    made: dict[str, Any] = {
        "message_id": number,
        "from": user(sender),
        "chat": chat_of(sender if chat is None else chat),
        "date": 1_796_000_000,
    }
    if text is not None:
        made["text"] = text
        if text.startswith("/"):
            made["entities"] = [{"offset": 0, "length": len(text.split()[0]), "type": "bot_command"}]
    return {**made, **more}


def own(text: str = "asked") -> dict[str, Any]:
    """A message of the bot's, as one that somebody replies to."""
    me = {"id": BOT_ID, "is_bot": True, "first_name": "vtoc", "username": BOT_NAME}
    return {"message_id": 7, "from": me, "chat": chat_of(GROUP), "date": 1_796_000_000, "text": text}


def press(sender: int, token: str, on: dict[str, Any]) -> dict[str, Any]:
    """A press of a button on a message."""
    return {
        "id": str(uuid4().int)[:19],
        "from": user(sender),
        "message": on,
        "chat_instance": "-3141592653589",
        "data": token,
    }
