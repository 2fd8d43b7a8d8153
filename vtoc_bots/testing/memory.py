"""Core's side of a transport in memory: an inbox that keeps what it accepts, blobs, and what an opened one is given."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.messages import Message, MessageKind
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.transports import Accepted, Acknowledgement, Choices, OpenForm, TransportContext


class MemoryInbox:
    """An inbox that a test reads and scripts."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        """What was stored, each event once."""
        self.handed: list[Message] = []
        """Everything that was handed over, repeats and completions included."""
        self.unopened_forms: list[Message] = []
        self.failures: list[Exception] = []
        """Raised by the next calls, in order."""
        self.fails: Callable[[Message], Exception | None] = lambda message: None
        """What is raised for a message, None where it is accepted."""
        self.answers: list[Acknowledgement] = []
        """What the next calls return, in order; without any, that the message was accepted."""
        self.offers: tuple[tuple[str, str], ...] = ()
        self.open = asyncio.Event()
        """While it is not set, nothing is accepted: `accept` waits."""
        self.open.set()
        self._ids: dict[tuple[str, str, str], UUID] = {}

    async def accept(self, message: Message) -> Acknowledgement:
        """Keep it, as core would store it."""
        self.handed.append(message)
        if message.kind is MessageKind.CHOICES:
            return Choices(self.offers)
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        if (failure := self.fails(message)) is not None:
            raise failure
        key = (message.transport, message.account, message.event_id)
        if key in self._ids:
            return Accepted(None, duplicate=True)
        message_id = self._ids[key] = new_id()
        self.messages.append(message)
        if not self.answers:
            return Accepted(message_id)
        answer = self.answers.pop(0)
        return replace(answer, message_id=message_id) if isinstance(answer, OpenForm) else answer

    async def unopened(self, message: Message) -> Accepted:
        """Take note that a form could not be opened."""
        self.unopened_forms.append(message)
        return Accepted(new_id())


class MemoryBlobs:
    """Blobs in memory."""

    def __init__(self) -> None:
        self._bytes: dict[str, bytes] = {}

    async def put(self, data: bytes, content_type: str) -> str:
        """Keep them; their SHA-256."""
        name = hashlib.sha256(data).hexdigest()
        self._bytes[name] = data
        return name

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound."""
        if sha256 not in self._bytes:
            raise NotFound(f"no blob {sha256}")
        return self._bytes[sha256]


class OpenedContext:
    """What an opened transport is given in a contract suite, with what it did with it.

    `address` is where a web server of ours answers; `links` what addresses of stored files begin with, None for none.
    """

    def __init__(
        self,
        account: str,
        clock: Clock,
        data_dir: Path,
        address: str | None = None,
        *,
        links: str | None = "https://files.example",
    ) -> None:
        self.blobs, self._links = MemoryBlobs(), links
        self._remembered: dict[str, str] = {}
        self.notices: dict[str, Card] = {}
        """Cards that the transport sent as notices, by key."""
        self.held: list[str] = []
        """The leases that it asked for."""
        self.known = True
        """Whether those who send something are operators."""
        self.context = TransportContext(
            account=account,
            clock=clock,
            blobs=self.blobs,
            data_dir=data_dir,
            hold=self._hold,
            notice=self._notice,
            link=self._link,
            address=lambda: address,
            recall=self._recall,
            knows=self._knows,
        )

    async def _link(self, blob: str, name: str, content_type: str) -> str | None:
        return f"{self._links}/{blob[:12]}/{name}" if self._links else None

    async def _knows(self, message: Message) -> bool:
        return self.known

    async def _recall(self, name: str, value: str | None = None) -> str | None:
        return self._remembered.get(name) if value is None else self._remembered.setdefault(name, value)

    async def _hold(self, name: str, work: Callable[[int], Awaitable[None]]) -> None:
        self.held.append(name)
        await work(1)

    async def _notice(self, card: Card, key: str) -> None:
        self.notices.setdefault(key, card)
