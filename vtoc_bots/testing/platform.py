"""What a stand-in for a chat platform must offer so that a contract suite can drive a transport through it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from vtoc_bots.core.messages import Sender
from vtoc_bots.core.transports import Transport, TransportContext


class Fault(StrEnum):
    """How a platform may treat a request to send."""

    REFUSED = "refused for good (400)"
    LIMITED = "limited, with the time to wait (429)"
    LIMITED_BARE = "limited, without a time to wait (429)"
    FAILING = "failing (500)"
    HANGING = "hanging: it takes the request and never answers"
    DROPPED = "dropping the connection after it took the message"
    UNREACHABLE = "unreachable: the connection is refused"


LIMITED_SECONDS = 7.0
"""What a platform asks to wait with `Fault.LIMITED`."""


@dataclass(slots=True)
class Event:
    """Something a person did, on its way to the transport.

    The stand-in sets `acknowledged` once the transport has told it that it has the event; it is None for events that
    this platform lets nobody acknowledge. `payload` is the stand-in's own.
    """

    who: Sender
    payload: Any = None
    acknowledged: asyncio.Event | None = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class ShownButton:
    """A button as the platform keeps it: `value` is what would come back when it is pressed."""

    label: str
    value: str


@dataclass(slots=True)
class Shown:
    """A message as people see it now. `ref` is the platform's own and no other message's.

    `room` is the one given to `says`; `only_for` the one user id that sees it; `files` bytes by name; `edits` how often
    it was edited.
    """

    ref: str
    room: str
    text: str
    buttons: tuple[ShownButton, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    only_for: str | None = None
    thread: str | None = None
    edits: int = 0


@dataclass(slots=True)
class ShownForm:
    """A form on a person's screen: labels by field name, what it says is wrong, and the stand-in's own `payload`."""

    who: Sender
    title: str
    labels: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    payload: Any = None


class FakePlatform(ABC):
    """A small strict stand-in for one chat platform, to which the real transport speaks.

    It refuses what the platform refuses. A transport's author subclasses this beside a `TransportContract`; the methods
    that are not abstract are needed where `caps` or their docstrings say so.
    """

    transport: str = ""
    """The transport's name; with it the transport is also tried in a whole centre."""
    variables: Mapping[str, str] = MappingProxyType({})
    """Variables that a whole centre is started with."""
    account: str = "default"
    """The account of the transport's spec."""
    people: Sequence[Sender] = (Sender("1001", "Ada"), Sender("1002", "Bob"))
    """Who uses it: two at the least where a platform has more than one user, with ids as the platform has them."""
    rooms: Sequence[str] = ("hall", "yard")
    """Where they talk and the bot hears everything: two at the least where a platform has more than one."""
    longest_text: int | None = None
    """Characters that one message of the platform may have; None: as many as one likes."""
    shows_alt: bool = True
    """Whether `Shown.text` has the words that stand for a picture; some platforms keep them out of sight."""
    credential: str | None = None
    """The variable that holds the credential; None where there is none to be wrong."""
    secret: str | None = None
    """The credential's value in the tests: it must be in no error's text."""
    cannot: frozenset[Fault] = frozenset()
    """Faults that make no sense on this platform (a local device has no connection to drop)."""
    patience_seconds: float = 3.0
    """How long, really, a hanging send is waited for before it is cancelled as core would do."""
    address: str | None = None
    """Set by the suite where the transport serves routes: where its web server answers."""

    @abstractmethod
    def open(self, context: TransportContext) -> Transport:
        """A new transport that speaks to this platform, as the plugin's spec would open it."""

    @property
    @abstractmethod
    def shown(self) -> Sequence[Shown]:
        """What can be seen on the platform now, oldest first."""

    @property
    def sends(self) -> int:
        """How many requests to send or edit a message have come in, whatever became of them.

        Needed unless `cannot` names every fault.
        """
        raise NotImplementedError

    @abstractmethod
    async def says(self, who: Sender, text: str, room: str = "hall", thread: str | None = None) -> Event:
        """Deliver a text that the bot may hear; returns without waiting for the transport."""

    @abstractmethod
    def fails(self, fault: Fault, times: int = 1) -> None:
        """Treat the next requests to send in this way."""

    async def recovers(self) -> None:
        """Behave as usual again: after `fails(UNREACHABLE)`, connections are taken once more."""
        return

    async def again(self, event: Event) -> Event:
        """Deliver the same event again, as a platform does that heard no acknowledgement. Only where it does that."""
        raise NotImplementedError

    async def start(self) -> None:
        """Begin to listen; called before a transport is opened."""
        return

    async def stop(self) -> None:
        """End everything."""
        return

    async def ready(self) -> None:
        """Return when the transport that was opened last is connected, so that what is said reaches it."""
        return

    async def presses(self, who: Sender, shown: Shown, label: str) -> Event:
        """Press a button of a shown message. Needed with `caps.buttons`."""
        raise NotImplementedError

    async def gives(self, who: Sender, command: str, arguments: Mapping[str, str], room: str = "hall") -> Event:
        """Give a native command. Needed with `caps.forms`; without it, native commands are not tested."""
        raise NotImplementedError

    async def completes(self, who: Sender, command: str, parameter: str, typed: str) -> Sequence[str]:
        """Type a value of a native command; the values that are offered. Only where the platform completes."""
        raise NotImplementedError

    @property
    def forms(self) -> Sequence[ShownForm]:
        """The forms that are open. Needed with `caps.forms`."""
        raise NotImplementedError

    async def submits(self, form: ShownForm, values: Mapping[str, str]) -> Event:
        """Fill an open form and send it. Needed with `caps.forms`."""
        raise NotImplementedError

    def fails_to_open(self) -> None:
        """Refuse the next form. Needed with `caps.forms`."""
        raise NotImplementedError

    async def forges(self, text: str) -> bool:
        """Deliver a text that does not come from the platform (no or a wrong signature); whether it was turned away.

        Only where events are signed.
        """
        raise NotImplementedError

    def refuses_credential(self) -> None:
        """From now on treat the credential as wrong. Needed with `credential`."""
        raise NotImplementedError

    async def drops(self) -> None:
        """Cut every connection that the transport receives by. Only where it holds one."""
        raise NotImplementedError

    def has(self, method: str) -> bool:
        """Whether this stand-in offers an optional method."""
        return getattr(type(self), method) is not getattr(FakePlatform, method)
