"""What a transport's contract suite plays on: the transport between a stand-in platform and an inbox in memory."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import RateLimited
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.messages import Message, Outbound, OutboundKind, Receipt, Sender
from vtoc_bots.core.transports import ServesRoutes, Transport
from vtoc_bots.testing.clock import AheadClock
from vtoc_bots.testing.memory import MemoryInbox, OpenedContext
from vtoc_bots.testing.platform import Event, FakePlatform, Shown

PATIENCE_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
SEND_SECONDS: Final = 30.0
MOST_PAUSES: Final = 50
HASTE: Final = 10.0
"""How much faster the transport's clock goes while a test waits: pauses before it connects again pass by."""


class Stage:
    """The transport at work. Waiting makes its clock run faster; nothing here sleeps for a time."""

    def __init__(self, platform: FakePlatform, folder: Path) -> None:
        self.platform, self._folder = platform, folder
        self.inbox, self.clock = MemoryInbox(), AheadClock()
        self.running: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._opened: OpenedContext | None = None
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """The transport that was opened last."""
        assert self._transport is not None, "the stage is empty"
        return self._transport

    @property
    def opened(self) -> OpenedContext:
        """What it was given."""
        assert self._opened is not None, "the stage is empty"
        return self._opened

    @property
    def who(self) -> Sender:
        """The person who does things where it does not matter who."""
        return self.platform.people[0]

    async def open(self) -> None:
        """Open the transport and run it, served by a web server where it has routes."""
        address = self._listen()
        self._opened = OpenedContext(self.platform.account, self.clock, self._folder, address)
        self._transport = self.platform.open(self._opened.context)
        await self._serve(self._transport)
        self.running = asyncio.create_task(self._transport.run(self.inbox))
        ready = asyncio.create_task(self.platform.ready())
        await asyncio.wait({ready, self.running}, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            self._look_whether_it_runs()
            raise AssertionError(f"the transport was not ready within {PATIENCE_SECONDS:g} s")
        await ready

    async def close(self) -> None:
        """Cancel the transport, and wait for its end."""
        task, self.running = self.running, None
        if task is not None:
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=STOP_SECONDS)
            assert done, f"run() did not end within {STOP_SECONDS:g} s after it was cancelled"
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def _listen(self) -> str:
        """The web server's address, before there are routes: a transport that is opened may want to know it."""
        self._port = free_port()
        self.platform.address = f"http://127.0.0.1:{self._port}"
        return self.platform.address

    async def _serve(self, transport: Transport) -> None:
        if not isinstance(transport, ServesRoutes):
            return
        app = web.Application(client_max_size=2**24)
        app.add_routes(transport.routes())
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds; fails with `what` after ten seconds, or with why the transport ended."""
        began = time.monotonic()
        while not condition():
            self._look_whether_it_runs()
            assert time.monotonic() - began < PATIENCE_SECONDS, f"not within {PATIENCE_SECONDS:g} s: {what}"
            await asyncio.sleep(0.005)
            self.clock.advance(0.005 * HASTE)

    async def a_moment(self) -> None:
        """Let everything happen that is about to, before it is said that something does not."""
        for _ in range(20):
            await asyncio.sleep(0.005)

    def _look_whether_it_runs(self) -> None:
        if self.running is not None and self.running.done():
            self.running.result()
            raise AssertionError("run() ended by itself")

    async def said(self, text: str, who: Sender | None = None, room: str | None = None, **more: Any) -> Message:
        """Somebody says something; the message that was handed over."""
        return await self.heard(await self.platform.says(who or self.who, text, room or self.platform.rooms[0], **more))

    async def heard(self, event: Event) -> Message:
        """The message that came of an event: the next one to be stored."""
        count = len(self.inbox.messages)
        await self.until(lambda: len(self.inbox.messages) > count, f"nothing was accepted of {event.payload!r}")
        return self.inbox.messages[count]

    async def send(self, message: Message, card: Card, **more: Any) -> tuple[Receipt, list[Shown]]:
        """Answer a message with a card, as core does; the receipt and what people see of it."""
        before = {shown.ref for shown in self.platform.shown}
        receipt = await self.delivered(answer(message, card, **more))
        return receipt, [shown for shown in self.platform.shown if shown.ref not in before]

    async def delivered(self, outbound: Outbound) -> Receipt:
        """Send an outbound; where the transport asks to wait, wait, and go on behind what was shown, as core does."""
        for _ in range(MOST_PAUSES):
            try:
                return await asyncio.wait_for(self.transport.send(outbound), SEND_SECONDS)
            except RateLimited as limit:
                self.clock.advance(limit.after_seconds)
                if isinstance(limit.receipt, Receipt):
                    outbound = replace(outbound, edits=limit.receipt)
        raise AssertionError(f"it was still limited after {MOST_PAUSES} tries")


def answer(message: Message, card: Card, **more: Any) -> Outbound:
    """The outbound of an answer to a message, as core makes it."""
    message_id = new_id()
    fields: dict[str, Any] = {
        "id": new_id(),
        "key": f"message:{message_id}:reply",
        "conversation": message.conversation,
        "kind": OutboundKind.REPLY,
        "card": card,
        "correlation_id": message_id,
        "reply_to": message.message_ref,
        "reply_context": message.reply_context,
        "message_id": message_id,
        "private_to": message.sender.user_id if card.private else None,
    }
    return Outbound(**{**fields, **more})


def text_of(shown: Sequence[Shown]) -> str:
    """Everything that can be read in these messages, their files included."""
    files = [data.decode("utf-8", "replace") for each in shown for data in each.files.values()]
    return "\n".join([*(each.text for each in shown), *files])


def missing(words: Sequence[str], text: str) -> list[str]:
    """Those of the words that the text lacks."""
    return [word for word in words if word not in text]


def in_order(words: Sequence[str], text: str) -> bool:
    """Whether the words stand in the text one after the other."""
    places = [text.find(word) for word in words]
    return -1 not in places and places == sorted(places)


@asynccontextmanager
async def staged(platform: FakePlatform, folder: Path) -> AsyncIterator[Stage]:
    """A stage with its transport at work, for the length of the block."""
    await platform.start()
    stage = Stage(platform, folder)
    try:
        await stage.open()
        yield stage
    finally:
        try:
            await stage.close()
        finally:
            await platform.stop()


def values_of(message: Message) -> Mapping[str, Any]:
    """The values that a form or native command brought, those that were left empty aside."""
    return {name: value for name, value in message.arguments.items() if value not in (None, "")}


def free_port() -> int:
    """A port of the loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
