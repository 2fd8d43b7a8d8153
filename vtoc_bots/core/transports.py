"""The Protocol of a transport, what core gives it, and how it is told to acknowledge what it hands over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable
from uuid import UUID

from vtoc_bots.core.access import Station
from vtoc_bots.core.cards import Card
from vtoc_bots.core.forms import Form
from vtoc_bots.core.messages import Message, Outbound, Receipt
from vtoc_bots.core.ports import Blobs, Clock

if TYPE_CHECKING:
    from aiohttp.web import RouteDef

    from vtoc_bots.core.commands import CommandSpec


@dataclass(frozen=True, slots=True)
class Caps:
    """What a transport can do; core degrades by these."""

    edit: bool = False
    threads: bool = False
    forms: bool = False
    """Whether it opens forms (modals); `accept` answers OpenForm only then."""
    form_errors: bool = False
    """Whether an open form can show what is wrong in it; else a wrong form is answered with a card."""
    dialog: bool = False
    """Whether missing values may be asked for one after the other, each answered by the next plain message."""
    private: bool = False
    buttons: bool = False
    files: bool = False
    text_limit: int = 4000
    looks_up_receipts: bool = False
    """Whether a send that ended unknown can be looked up instead of repeated."""
    defers: bool = False
    """Whether an acknowledgement must say how the answer will come; `accept` tells it in Accepted only then."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Stored (or known already); acknowledge and forget."""

    message_id: UUID | None
    duplicate: bool = False
    private: bool = False
    """Whether the answer is for the sender alone, as far as can be told beforehand. Only with `Caps.defers`."""
    replaces: bool = False
    """Whether the answer replaces the card whose button was pressed. Only with `Caps.defers`."""


@dataclass(frozen=True, slots=True)
class OpenForm:
    """Stored; acknowledge by opening this form. Where the platform refuses it, call `Inbox.unopened`."""

    form: Form
    message_id: UUID


@dataclass(frozen=True, slots=True)
class Choices:
    """Autocomplete answers, (value, label); nothing was stored."""

    choices: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Invalid:
    """A form's own errors by field name; nothing was stored."""

    errors: Mapping[str, str]


Acknowledgement = Accepted | OpenForm | Choices | Invalid


class Inbox(Protocol):
    """Where a transport hands messages over."""

    async def accept(self, message: Message) -> Acknowledgement:
        """Store the message durably, then say how to acknowledge it.

        Raises TransientError when it could not be stored: do not acknowledge then.
        """
        ...

    async def unopened(self, message: Message) -> Accepted:
        """Say that the form which `accept` asked for could not be opened: what is missing is asked for in a card."""
        ...


class Transport(Protocol):
    """Carries messages of one chat platform."""

    @property
    def caps(self) -> Caps:
        """What it can do."""
        ...

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled, handing every message to `inbox` before acknowledging it."""
        ...

    async def send(self, outbound: Outbound) -> Receipt:
        """Send or edit. Raises NotSent, Unknown, RateLimited or Refused."""
        ...


@runtime_checkable
class LooksUpReceipts(Protocol):
    """A transport that can tell whether an outbound of unknown fate was sent."""

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """Its receipt, or None when the platform does not have it.

        Raises Refused where the platform can't tell: it is sent again then, marked as a possible repeat.
        """
        ...


@runtime_checkable
class PublishesCommands(Protocol):
    """A transport that publishes the commands in the platform's own menus."""

    async def publish(self, commands: Sequence[CommandSpec]) -> None:
        """Publish these. Called at start in one process of the installation; again later when it raises NotSent."""
        ...


@runtime_checkable
class ServesRoutes(Protocol):
    """A transport that receives by HTTP."""

    def routes(self) -> Sequence[RouteDef]:
        """What the process's web server gets, before it starts; a request before `run` has begun is answered 503."""
        ...


@runtime_checkable
class ReportsHealth(Protocol):
    """A transport that can tell how it is."""

    async def probe(self) -> str:
        """How it is, in words, after an active round trip and with the age of its last event.

        Raises VtocError saying what is wrong and what to do.
        """
        ...


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """How this process uses its terminal: a ``prompt`` for a person, or ``piped`` lines that are answered in turn.

    Pictures go to `out_dir`; piped, every line must be answered `wait_seconds` after the last one was read.
    """

    mode: Literal["prompt", "piped"]
    out_dir: Path
    wait_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, by a credential of the API: `actor` names them for ever, `vouched` is for `Message`."""

    actor: str
    name: str
    station: Station
    vouched: Mapping[str, Any]


async def forgetful(name: str, value: str | None = None) -> str | None:
    """A `recall` that remembers nothing."""
    return value


async def nobody(prefix: str) -> Sequence[str]:
    """A `holders` where nobody holds anything."""
    return ()


async def threadless(station: str, code: str) -> str | None:
    """A `mission_thread` where no mission has one."""
    return None


async def everybody(message: Message) -> bool:
    """A `knows` that knows everybody."""
    return True


@dataclass(frozen=True, slots=True)
class TransportContext:
    """What core gives a transport when it opens it."""

    account: str
    clock: Clock
    blobs: Blobs
    data_dir: Path
    hold: Callable[[str, Callable[[int], Awaitable[None]]], Awaitable[None]]
    """``await hold(name, work)`` runs ``work(epoch)`` while this process alone holds the transport's lease `name`,
    until cancelled or until the work ends; the work is cancelled when the lease is lost."""
    notice: Callable[[Card, str], Awaitable[None]]
    """``await notice(card, key)`` sends a card to the conversations where this process's station is told of such
    things (``notices`` in stations.yml); once for each key."""
    link: Callable[[str, str, str], Awaitable[str | None]]
    """``await link(blob, name, content_type)``: a signed address of a stored file for a day, None where none can be
    given. It may take some seconds, for the file may be put where people can reach it: ask for what needs one."""
    holders: Callable[[str], Awaitable[Sequence[str]]] = nobody
    """``await holders(prefix)``: the names of this transport's leases that begin so and are held now, anywhere in the
    installation. Raises TransientError where nobody can say now."""
    address: Callable[[], str | None] = lambda: None
    """Where this process's web server answers, once it does."""
    recall: Callable[..., Awaitable[str | None]] = forgetful
    """``await recall(name)``: what this account remembers under a name, in every process and for ever;
    ``await recall(name, value)``: the same, and that value where nothing stood there before."""
    caller: Callable[[Mapping[str, str]], Awaitable[Caller]] | None = None
    """``await caller(headers)``: who sends a request, as the API knows them. Raises Refusal for a bad credential or
    another's station. None where a transport is tested by itself."""
    threads: Any = None
    """Conversations that live here, a `ThreadRows`; None where a transport is tested by itself."""
    knows: Callable[[Message], Awaitable[bool]] = everybody
    """``await knows(message)``: whether its sender is an operator. Raises TransientError where nobody can say now."""
    mission_thread: Callable[[str, str], Awaitable[str | None]] = threadless
    """``await mission_thread(station, code)``: the ChatKit thread that a mission's row names, whoever made it; None
    where it names none. Raises TransientError where the station's database is away."""


@dataclass(frozen=True, slots=True)
class TransportSpec:
    """A transport that a plugin offers. `queue` names its delivery queue, by default its own name.

    `imports` names the module that `open` needs, where that is slow to import: core imports it in a thread before it
    calls `open`, so that the event loop goes on meanwhile.
    """

    name: str
    open: Callable[[TransportContext], Transport]
    account: str = "default"
    queue: str | None = None
    imports: str | None = None
