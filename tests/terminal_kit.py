"""A core for terminals to talk to: an inbox that keeps what it accepts, a deliverer that sends what a script says."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

from vtoc_bots import Card, Clock, ConversationId, Message, MessageKind, NotFound, Outbound, OutboundKind, Transport
from vtoc_bots.core.transports import Accepted, Acknowledgement, Choices, TransportContext
from vtoc_bots.plugins.terminal.exchange import LineState
from vtoc_bots.plugins.terminal.files import FileSaver
from vtoc_bots.plugins.terminal.piped import PipedFrontEnd
from vtoc_bots.plugins.terminal.seat import TerminalSeat
from vtoc_bots.plugins.terminal.transport import TerminalTransport
from vtoc_bots.testing import VirtualClock

PATIENCE_SECONDS = 20.0
PICTURE = b"\x89PNG\r\n\x1a\n"
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def is_safe(text: str) -> bool:
    """Whether a terminal shows every character of the text and acts upon none but line ends."""
    return all(char == "\n" or _is_shown(char) for char in text)


def _is_shown(char: str) -> bool:
    acted_upon = unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
    return not acted_upon and unicodedata.bidirectional(char) not in _TURNING


class MemoryBlobs:
    """Blobs in memory."""

    def __init__(self, **blobs: bytes) -> None:
        self.blobs = blobs

    async def put(self, data: bytes, content_type: str) -> str:
        raise AssertionError("a terminal stores nothing")

    async def get(self, sha256: str) -> bytes:
        if sha256 not in self.blobs:
            raise NotFound(f"no blob {sha256}")
        return self.blobs[sha256]


@dataclass
class FakeCore:
    """An Inbox. `script` says what follows of a message: outbounds, in order. `failures` are raised first."""

    script: Callable[[Message, UUID], Iterable[Outbound]]
    failures: list[Exception] = field(default_factory=list)
    offers: tuple[tuple[str, str], ...] = ()
    messages: list[Message] = field(default_factory=list)
    due: asyncio.Queue[Outbound] = field(default_factory=asyncio.Queue)

    async def accept(self, message: Message) -> Acknowledgement:
        if message.kind is MessageKind.CHOICES:
            return Choices(self.offers)
        if self.failures:
            raise self.failures.pop(0)
        if message.event_id in {known.event_id for known in self.messages}:
            return Accepted(None, duplicate=True)
        self.messages.append(message)
        message_id = uuid4()
        for outbound in self.script(message, message_id):
            self.due.put_nowait(outbound)
        return Accepted(message_id)

    async def deliver(self, transport: Transport) -> None:
        """Send what is due, in order, as core's deliverer does: no progress and no edits where they can't be shown."""
        while True:
            outbound = await self.due.get()
            if transport.caps.edit or (outbound.kind is not OutboundKind.PROGRESS and outbound.revision == 0):
                await transport.send(outbound)


def outbound(
    card: Card | str,
    line: UUID | None = None,
    kind: OutboundKind = OutboundKind.REPLY,
    *,
    key: str | None = None,
    revision: int = 0,
    may_be_repeat: bool = False,
) -> Outbound:
    """An outbound that came of a line, as core makes them: only replies name the message itself."""
    return Outbound(
        id=uuid4(),
        key=key or f"{kind}:{uuid4()}",
        conversation=ConversationId("terminal", "data", "1"),
        kind=kind,
        card=Card.of(card) if isinstance(card, str) else card,
        correlation_id=line or uuid4(),
        revision=revision,
        may_be_repeat=may_be_repeat,
        message_id=line if kind is OutboundKind.REPLY else None,
    )


def echo(message: Message, line: UUID) -> Iterable[Outbound]:
    """A script: every line is answered with its own text."""
    return [outbound(f"heard {message.text}", line)]


def context_in(folder: Path, clock: VirtualClock, **blobs: bytes) -> TransportContext:
    """What core gives a terminal whose data folder that is."""
    return context_of("data", clock, MemoryBlobs(**blobs), folder)


def context_of(account: str, clock: Clock, blobs: MemoryBlobs, folder: Path) -> TransportContext:
    """A context for a terminal, which asks for no lease, notice or link."""

    async def hold(name: str, work: Callable[[int], Awaitable[None]]) -> None:
        raise AssertionError(f"a terminal asked for the lease {name}")

    async def notice(card: Card, key: str) -> None:
        raise AssertionError(f"a terminal gave the notice {key}")

    async def link(blob: str, name: str, content_type: str) -> str | None:
        raise AssertionError(f"a terminal asked for a link to {name}")

    return TransportContext(account, clock, blobs, folder, hold, notice, link)


class Typed:
    """Lines that a test types, as a piped terminal reads them."""

    def __init__(self, *lines: str, end: bool = True) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.type(*lines)
        if end:
            self.end()

    def type(self, *lines: str) -> None:
        for line in lines:
            self._queue.put_nowait(line)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._queue.get()) is not None:
            yield line


class PipedTerminal:
    """A piped terminal in a data folder, its core and its clock."""

    def __init__(self, folder: Path, core: FakeCore, lines: Typed, *, wait_seconds: float = 60, **blobs: bytes) -> None:
        self.core, self.clock = core, VirtualClock()
        self.out, self.err = StringIO(), StringIO()
        self.seat = TerminalSeat.take(folder)
        self.front_end = PipedFrontEnd(aiter(lines), self.out, self.err, wait_seconds=wait_seconds, clock=self.clock)
        self.context = context_in(folder, self.clock, **blobs)
        self.transport = TerminalTransport(
            self.context, self.seat, self.front_end, FileSaver(self.context.blobs.get, folder / "out")
        )

    async def run(self) -> int:
        """Run to the end, with core delivering; its exit code."""
        delivering = asyncio.create_task(self.core.deliver(self.transport))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.transport.run(self.core)
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
            self.seat.release()
        return self.transport.exit_code

    @property
    def states(self) -> list[LineState]:
        """How far the lines are that were handed over and not answered."""
        exchange = self.transport._exchange
        return [line.state for line in exchange.lines] if exchange is not None else []

    @property
    def printed(self) -> list[str]:
        """What stands between the empty lines of the output."""
        return self.out.getvalue().rstrip("\n").split("\n\n")


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks and threads work until the condition holds; a test's own time-out ends a vain wait."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  threads and files take part, which set no event
            await asyncio.sleep(0.001)
