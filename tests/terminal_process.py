"""A process with a terminal and a core whose outbox is a folder of files: what a kill leaves is there after it.

Run as ``python -m tests.terminal_process MODE FOLDER [hold|stall] [wait=SECONDS]``. ``hold``: nothing is delivered.
``stall``: core is never told what became of a sending.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

from tests.terminal_kit import MemoryBlobs, context_of, outbound
from vtoc_bots import (
    Button,
    Buttons,
    Card,
    Message,
    MessageKind,
    Outbound,
    OutboundKind,
    Plan,
    PlanStep,
    Progress,
    TerminalOptions,
    Transport,
)
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.transports import Accepted, Acknowledgement, Choices
from vtoc_bots.plugins.terminal import terminal_spec
from vtoc_bots.plugins.terminal.seat import TerminalSeat
from vtoc_bots.plugins.terminal.settings import TerminalSettings
from vtoc_bots.plugins.terminal.transport import TerminalTransport

APPROVAL = Card.of("Approval needed", Buttons(buttons=(Button(label="Approve", token="yes"),)))
WEB_SERVER = "http://127.0.0.1:8080"
CHOICES = (("/echo", "say it again"), ("/progress", "a run"))


@dataclass
class FolderCore:
    """Core with its outbox in a folder: ``N.json`` is due, ``N.sent`` was sent, ``N.unknown`` was begun."""

    outbox: Path
    flags: frozenset[str]
    _more: asyncio.Event

    async def accept(self, message: Message) -> Acknowledgement:
        if message.kind is MessageKind.CHOICES:
            return Choices(tuple(choice for choice in CHOICES if choice[0].startswith(message.text)))
        line = uuid4()
        for each in _follows(message, line):
            await asyncio.to_thread(self._store, each)
        self._more.set()
        return Accepted(line)

    def _store(self, each: Outbound) -> None:
        record = {
            "card": each.card.model_dump(mode="json"),
            "kind": each.kind.value,
            "key": each.key,
            "line": str(each.correlation_id),
            "revision": each.revision,
        }
        number = len(list(self.outbox.iterdir()))
        draft = self.outbox / "draft"
        draft.write_text(json.dumps(record))
        draft.rename(self.outbox / f"{number:06}.json")

    async def deliver(self, transport: Transport) -> None:
        while True:
            self._more.clear()
            for path in await asyncio.to_thread(lambda: sorted(self.outbox.glob("*.json"))):
                await self._send(path, transport)
            await self._more.wait()

    async def _send(self, path: Path, transport: Transport) -> None:
        record = json.loads(await asyncio.to_thread(path.read_text))
        each = outbound(
            Card.model_validate(record["card"]),
            UUID(record["line"]),
            OutboundKind(record["kind"]),
            key=record["key"],
            revision=record["revision"],
        )
        unknown = path.with_suffix(".unknown")
        found = None
        if await asyncio.to_thread(unknown.exists) and isinstance(transport, TerminalTransport):
            found = await transport.look_up(each)
        await asyncio.to_thread(unknown.touch)
        if found is None:
            await transport.send(each)
        if "stall" in self.flags:
            await asyncio.Event().wait()
        await asyncio.to_thread(path.rename, path.with_suffix(".sent"))


def _follows(message: Message, line: UUID) -> list[Outbound]:
    if message.text == "/order":
        return [outbound(APPROVAL, line, OutboundKind.APPROVAL)]
    if message.text == "/progress":
        plan = Plan(steps=(PlanStep(title="Merge tracks", state="running"),))
        card = Card.of("Merging", plan, Progress(text="step", done=1, total=2))
        return [outbound(card, line, OutboundKind.PROGRESS)]
    if message.text == "/silence":
        return []
    if message.kind is MessageKind.BUTTON:
        return [outbound(f"pressed {message.token}", line)]
    return [outbound(f"heard {message.text}", line)]


async def main(mode: str, folder: Path, flags: frozenset[str]) -> int:
    task = asyncio.current_task()
    assert task is not None
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    wait = next((float(flag[5:]) for flag in flags if flag.startswith("wait=")), 60.0)
    (folder / "outbox").mkdir(parents=True, exist_ok=True)
    seat = TerminalSeat.take(folder)
    assert mode in ("prompt", "piped")
    options = TerminalOptions("prompt" if mode == "prompt" else "piped", folder / "out", wait)
    spec = terminal_spec(options, seat, "TOC-S1", TerminalSettings())
    context = replace(context_of(seat.data_id, SystemClock(), MemoryBlobs(), folder), address=lambda: WEB_SERVER)
    transport = spec.open(context)
    assert isinstance(transport, TerminalTransport)
    core = FolderCore(folder / "outbox", flags, asyncio.Event())
    delivering = None if "hold" in flags else asyncio.create_task(core.deliver(transport))
    try:
        await transport.run(core)
    except asyncio.CancelledError:
        return transport.exit_code
    finally:
        if delivering is not None:
            delivering.cancel()
    return transport.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], Path(sys.argv[2]), frozenset(sys.argv[3:]))))
