"""The Protocols that plugins implement and core asks for, and the specs by which plugins register them."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable
from uuid import UUID

from vtoc_bots.core.access import Ask, Decision, Operator, Station
from vtoc_bots.core.cards import Card
from vtoc_bots.core.errands import Earlier, Errand, Looked, Proposal
from vtoc_bots.core.questions import Inquiry
from vtoc_bots.core.telemetry import Rejected, TelemetryEvent

if TYPE_CHECKING:
    import aiohttp
    from pydantic import BaseModel

    from vtoc_bots.core.tools import Diagnosis, RemoteResult, ToolResult


class Clock(Protocol):
    """Time, injected so that tests decide it."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock."""
        ...


class Blobs(Protocol):
    """Bytes by their SHA-256, shared by all workers."""

    async def put(self, data: bytes, content_type: str) -> str:
        """Store and return the hexadecimal SHA-256. Storing twice is storing once."""
        ...

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound when retention has removed them."""
        ...


class Connector(Protocol):
    """One configured telemetry source."""

    def events(self) -> AsyncIterator[TelemetryEvent]:
        """Its events: without end when live, to the end of the capture when offline."""
        ...

    def stats(self) -> Mapping[str, Any]:
        """Counters: read, decoded, rejected by reason, dropped, reconnects, connected, last_event_at …"""
        ...


Verb = Literal["collect", "analyze", "broadcast"]


@dataclass(frozen=True, slots=True)
class SourceCall:
    """A playbook or a command calls a source, or a live one collects by itself."""

    verb: Verb
    station: Station | None = None
    """The station it is for; None where the source is read by itself."""
    prompt: str = ""
    """What a person wrote: the text that began the run or is the command, or what the step gives instead."""
    idempotency_key: str = ""


@runtime_checkable
class TakesCalls(Protocol):
    """An optional ability of connectors: playbooks and commands call them."""

    async def call(self, call: SourceCall) -> Any:
        """What it is asked for: of `collect` a list of TelemetryEvents, which are stored; of `analyze` and `broadcast`
        a text, a mapping of plain values or a Card; None where there is nothing to say."""
        ...


class Decoder(Protocol):
    """Pure decoding of one stream; does no I/O and reads no clock."""

    def feed(self, data: bytes, received_at: datetime | None) -> list[TelemetryEvent | Rejected]:
        """Decode what is whole; keep the rest for the next call. Never raises on bad input."""
        ...

    def finish(self) -> list[TelemetryEvent | Rejected]:
        """What was left at the end of the stream."""
        ...


DecoderFactory = Callable[..., Decoder]
"""``(format, head, name, position, source)``: see ConnectorSpec."""


@dataclass(frozen=True, slots=True)
class OpenContext:
    """What core gives a connector when it opens it."""

    slug: str
    clock: Clock
    data_dir: Path
    station_position: tuple[float, float] | None
    http: Callable[[], aiohttp.ClientSession]
    """The process's shared HTTP session."""
    decoder: Callable[..., Decoder]
    """``decoder(type, format, source=…, position=…)``: a decoder of any registered connector type."""
    mode: str | None = None
    """The entry's mode; online makes a file one that is rewritten live. None: a file is a recording."""


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """A type of telemetry feed.

    `settings` is a pydantic model of a source's entry in connectors.yml; `open` makes the connector.
    `decoder(format=…, head=…, name=…, position=…, source=…)` makes a decoder, detecting the format from the first bytes
    and the file's name when `format` is None; it raises UsageError when it can't. `position` is (latitude, longitude)
    in degrees. None where a type has no byte stream to replay.
    """

    type: str
    settings: builtins.type[BaseModel]
    open: Callable[[Any, OpenContext], Connector]
    decoder: DecoderFactory | None = None
    formats: tuple[str, ...] = ()
    description: str = ""


class ActionContext(Protocol):
    """What an action is given besides its inputs."""

    @property
    def run_id(self) -> UUID | None:
        """The run, None when a command calls the action."""
        ...

    @property
    def idempotency_key(self) -> str:
        """``run:step``: the same for every attempt of this step. Send it to services that take one."""
        ...

    @property
    def station(self) -> Station:
        """The station it runs for."""
        ...

    @property
    def operator(self) -> Operator | None:
        """Who asked; None for schedules."""
        ...

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def blobs(self) -> Blobs:
        """Where large results go."""
        ...

    @property
    def services(self) -> Services:
        """Telemetry and the other shared services."""
        ...

    @property
    def inquiry(self) -> Inquiry:
        """What a person answered in this step, and what the action remembers of it; see `PersonNeeded`."""
        ...

    @property
    def prompt(self) -> str:
        """What a person wrote to begin this: the message's text; empty where nobody wrote."""
        ...

    @property
    def can_ask(self) -> bool:
        """Whether there is somebody to be asked: a run that was started where people are."""
        ...

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Tell the asker how far it is; coalesced, may be dropped."""
        ...

    async def keep(self, memo: Mapping[str, Any]) -> None:
        """Store this (JSON), now: should the action be called again after a crash, it has it as ``inquiry.memo``."""
        ...


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """A Python function that playbook steps use.

    `inputs` and `output` are pydantic models made from the signature; `level` and `roles` apply where it is called
    directly.
    """

    name: str
    call: Callable[..., Awaitable[Any]]
    inputs: type[BaseModel]
    output: Any
    summary: str = ""
    level: str = "operator"
    sends: str | None = None
    """What it sends to whom outside, in words, for the dry-run plan; None when it only reads or computes."""
    lifespan: Callable[[Path], AbstractAsyncContextManager[None]] | None = None
    """Opened with the data folder before the first call in a process, and closed at its end: for pools and clients."""
    in_chat: bool = False
    """Whether it works for nobody but an operator who asked in a chat: other programs are not offered it."""
    probe: Callable[[Clock], Awaitable[str | None]] | None = None
    """What health says of what it needs, or VtocError with what is wrong with that; called within its lifespan."""


class Policy(Protocol):
    """An additional verdict on what somebody asks to do. Has one second; an error is a deny."""

    name: str

    async def verdict(self, operator: Operator, station: Station, ask: Ask) -> Decision | None:
        """A decision, or None to say nothing."""
        ...


class Observer(Protocol):
    """Told of what happened, off the hot path; its errors are logged and change nothing."""

    name: str

    async def observe(self, event: str, detail: Mapping[str, Any]) -> None:
        """`event` is ``message_accepted``, ``run_changed`` or ``reply_sent``."""
        ...


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is known of one source, for people and for readiness."""

    slug: str
    type: str
    mode: str
    station: str
    state: str
    """fresh, late, silent, waiting, finished or failed."""
    exercise: bool
    last_event_at: datetime | None
    detail: Mapping[str, Any] = field(default_factory=dict)


class Telemetry(Protocol):
    """What the sources reported."""

    async def collect(
        self, station: Station, *, types: tuple[str, ...], window_seconds: float
    ) -> tuple[list[TelemetryEvent], datetime | None]:
        """Events of the last `window_seconds` of the station's sources of these types, in event-time order, and what
        ``now`` is for them: the newest event's time for offline sources, the clock's for live ones."""
        ...

    async def latest(self, station: Station, *, types: tuple[str, ...] = ()) -> list[TelemetryEvent]:
        """The newest state of every entity."""
        ...

    async def call(self, station: Station, source: str, verb: Verb, *, prompt: str, idempotency_key: str) -> Any:
        """Call a source of the station; see `TakesCalls`. What was collected is stored by then.

        Raises NotFound for one that is not there, and ActionError for one that can't be called.
        """
        ...

    async def sources(self, station: Station) -> list[SourceState]:
        """The station's sources and how they are."""
        ...


class Tools(Protocol):
    """Tools of other services: those of the MCP servers in config/mcp.yml."""

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that have diagnostics."""
        ...

    async def call(self, ctx: ActionContext, server: str, tool: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool. Raises PersonNeeded, TransientError, NotFound, and ActionError with the tool's own words."""
        ...

    async def diagnose(self, ctx: ActionContext, system: str) -> list[Diagnosis]:
        """Call every tool that checks a system; what each found. Raises NotFound."""
        ...


class Agents(Protocol):
    """The remote AgentKit."""

    async def call(
        self, ctx: ActionContext, tool: str, given: Mapping[str, Any], within_seconds: float
    ) -> RemoteResult:
        """Have a tool called there, within that time. Raises Elsewhere while it is awaited, and ActionError."""
        ...


class Deputy(Protocol):
    """What an agent may do for the person who started its run: with that person's rights, as they are at each call."""

    async def errands(self, ctx: ActionContext) -> list[Errand]:
        """The person's commands that only look things up, and proposing what does more. Raises Forbidden."""
        ...

    async def run(self, ctx: ActionContext, name: str, given: str) -> Looked | Proposal:
        """Look something up, or prepare a proposal, which does nothing; `given` are the arguments as JSON text.

        Every call is audited, refused ones too. Raises Forbidden, NotFound, UsageError and what the command raises.
        """
        ...

    async def earlier(self, ctx: ActionContext, most: int) -> list[Earlier]:
        """What the person asked and was answered here in the last half hour, the newest last. Raises Forbidden."""
        ...


class Services(Protocol):
    """Shared services, given to handlers and actions."""

    @property
    def telemetry(self) -> Telemetry:
        """What the sources reported."""
        ...

    @property
    def blobs(self) -> Blobs:
        """Large results."""
        ...

    @property
    def tools(self) -> Tools:
        """Tools of MCP servers."""
        ...

    @property
    def agents(self) -> Agents:
        """The remote AgentKit."""
        ...

    @property
    def deputy(self) -> Deputy:
        """What an agent may do for a person."""
        ...

    def session(self, station: Station) -> Any:
        """An asynchronous context manager: a Session on the station's role schema, limited to its rows."""
        ...

    async def act(self, context: Any, name: str, inputs: Mapping[str, Any]) -> Any:
        """Call an action by name with plain values; returns its output model."""
        ...

    async def notice(self, station: Station, card: Card, key: str) -> None:
        """Send a card to the conversations where the station is told of things (``notices`` in stations.yml); once for
        each key."""
        ...

    async def alert(self, station: Station, card: Card, key: str) -> None:
        """Raise an alert, once for each key: it is told like a notice, and in its own thread of the station's ChatKit
        channel, and stands in ``/alerts`` until somebody acknowledges it."""
        ...

    async def forget(self, transport: str, workspace: str, user_id: str, notices: Sequence[str]) -> None:
        """Take out of what is kept for a while what an account said that was not said to us, and what the `notices` of
        these keys told of it. What a plugin has stored itself it deletes itself."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One look at a part's health."""

    name: str
    ok: bool
    required: bool
    detail: str = ""
    latency_seconds: float | None = None
    last_success_at: datetime | None = None
