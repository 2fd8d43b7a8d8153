"""What benchmarks run on: a durable embedded Postgres of their own, and a runtime without a network."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vtoc_bots import (
    Caps,
    Card,
    Context,
    ConversationId,
    Inbox,
    Message,
    Outbound,
    Receipt,
    Sender,
    TransportSpec,
    action,
    command,
    hookimpl,
)
from vtoc_bots.core.access import Level
from vtoc_bots.core.runtime import Duties, Runtime
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.upgrade import upgrade

ENVIRONMENT = {"VTOC_COMMANDS_PER_MINUTE": "1000000", "VTOC_LOG_LEVEL": "error"}
THREE_STEPS = """
id: bench_three
title: Three steps
private: false
steps:
  - {id: one, uses: bench.nothing}
  - {id: two, uses: bench.nothing, needs: [one]}
  - {id: three, uses: bench.nothing, needs: [two]}
"""


@asynccontextmanager
async def database() -> AsyncIterator[tuple[Store, Path]]:
    """A migrated store (every commit flushed to disk) and its data folder."""
    folder = Path(tempfile.mkdtemp(prefix="vtoc-bench-"))
    try:
        embedded = await Embedded.acquire(folder)
        try:
            await upgrade(embedded.urls)
            store = await Store.open(lambda: embedded.urls, max_connections=20)
            yield store, folder
            await store.close()
        finally:
            await embedded.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class BenchTransport:
    """Hands messages over from the bench and tells it what is sent."""

    caps = Caps(edit=True, looks_up_receipts=True)

    def __init__(self) -> None:
        self.inbox: asyncio.Future[Inbox] = asyncio.get_running_loop().create_future()
        self.waiting: dict[Any, asyncio.Future[None]] = {}

    async def run(self, inbox: Inbox) -> None:
        """Give the bench the inbox, then wait."""
        self.inbox.set_result(inbox)
        await asyncio.Event().wait()

    async def send(self, outbound: Outbound) -> Receipt:
        """Tell who waits for this message's answer."""
        waiter = self.waiting.get(outbound.message_id)
        if waiter is not None and not waiter.done() and outbound.kind in ("reply", "result"):
            waiter.set_result(None)
        return Receipt(outbound.key, datetime.now(UTC))

    async def ask(self, text: str, number: int, room: str = "room") -> None:
        """Send a text and wait until its answer is handed to the platform."""
        conversation = ConversationId("bench", "bot", room)
        message = Message("bench", "bot", f"{room}-{number}", conversation, Sender("u1", "bench"), text)
        accepted = await (await asyncio.wait_for(asyncio.shield(self.inbox), 30)).accept(message)
        answered = self.waiting.setdefault(accepted.message_id, asyncio.get_running_loop().create_future())
        await asyncio.wait_for(answered, 30)
        del self.waiting[accepted.message_id]


@action("bench.nothing")
async def nothing(ctx: Any) -> None:
    """Do nothing."""


@command("ping", level="observer")
async def ping(ctx: Context) -> Card:
    """Answer."""
    return Card.of("pong")


class BenchPlugin:
    """The bench's transport, command, action and playbook."""

    def __init__(self, transport: BenchTransport, playbook: Path) -> None:
        self.transport, self.playbook = transport, playbook

    @hookimpl
    def vtoc_transports(self, settings: Any) -> tuple[TransportSpec, ...]:
        """The bench as a platform."""
        return (TransportSpec("bench", lambda context: self.transport, account="bot"),)

    @hookimpl
    def vtoc_actions(self) -> tuple[Any, ...]:
        """The action that does nothing."""
        return (nothing,)

    @hookimpl
    def vtoc_commands(self) -> tuple[Any, ...]:
        """The command that answers."""
        return (ping,)

    @hookimpl
    def vtoc_playbooks(self) -> tuple[Path, ...]:
        """Three steps of nothing."""
        return (self.playbook,)


@asynccontextmanager
async def running(folder: Path, transport: BenchTransport, **duties: bool) -> AsyncIterator[Runtime]:
    """A runtime on the folder's database with the bench's plugin, ready."""
    playbook = folder / "bench_three.yml"
    playbook.write_text(THREE_STEPS)

    settings = load_settings(folder / "config", folder, environ=ENVIRONMENT)
    wanted = Duties(**{"web": False, "sources": False, **duties})
    runtime = Runtime(settings, wanted, plugins={"bench": BenchPlugin(transport, playbook)})
    task = asyncio.create_task(runtime.run())
    ready = asyncio.create_task(runtime.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    await runtime.operators.own("bench", "bench", "", "u1", Level.ADMIN)
    try:
        yield runtime
    finally:
        runtime.stop()
        await task


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of them do not pass."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
