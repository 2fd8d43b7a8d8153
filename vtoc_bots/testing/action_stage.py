"""What an action is given in its tests: a context whose services are in memory, and a clock that can be stepped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from vtoc_bots.core.access import Level, Operator, Station
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.playbooks.actions import act
from vtoc_bots.core.ports import ActionSpec, Agents, Deputy, SourceState, Tools
from vtoc_bots.core.questions import Inquiry
from vtoc_bots.core.telemetry import TelemetryEvent
from vtoc_bots.testing.clock import VirtualClock
from vtoc_bots.testing.memory import MemoryBlobs

STATION = Station(
    UUID(int=1), "toc-s1", "TOC-S1", "Test station", "ops", latitude=48.35, longitude=11.78, radius_m=74_080.0
)
ADA = Operator(UUID(int=2), "Ada", {"*": Level.ADMIN})


class MemoryTelemetry:
    """Telemetry that a test wrote down; `events` in the order of their times."""

    def __init__(self, events: Iterable[TelemetryEvent] = (), now: datetime | None = None) -> None:
        self.events, self.now = list(events), now

    async def collect(
        self, station: Station, *, types: tuple[str, ...], window_seconds: float
    ) -> tuple[list[TelemetryEvent], datetime | None]:
        """Those of these types, none of which is too old."""
        return [event for event in self.events if not types or event.source_type in types], self.now

    async def latest(self, station: Station, *, types: tuple[str, ...] = ()) -> list[TelemetryEvent]:
        """The last of each source's entities."""
        events, _ = await self.collect(station, types=types, window_seconds=float("inf"))
        return list({(event.source, event.entity_namespace, event.entity_id): event for event in events}.values())

    async def sources(self, station: Station) -> list[SourceState]:
        """None."""
        return []


class MemoryServices:
    """The shared services, in memory. `session` gives what `sessions` makes."""

    def __init__(self, actions: Iterable[ActionSpec] = ()) -> None:
        self.telemetry, self.blobs = MemoryTelemetry(), MemoryBlobs()
        self.sessions: Callable[[Station], AbstractAsyncContextManager[Any]] | None = None
        self.tools: Tools | None = None
        """Tools of other services, where the test gives some."""
        self.agents: Agents | None = None
        """A remote AgentKit, where the test gives one."""
        self.deputy: Deputy | None = None
        """What an agent may do for the person who asked, where the test gives it."""
        self._actions = {spec.name: spec for spec in actions}

    def session(self, station: Station) -> Any:
        """A session, where the test gave a way to make one (`Store.session` of the fixture `store`)."""
        if self.sessions is None:
            raise NotFound("no database is given to this action; set context.services.sessions = store.session")
        return self.sessions(station)

    async def act(self, context: Any, name: str, inputs: Mapping[str, Any]) -> Any:
        """Call another of the given actions."""
        if name not in self._actions:
            raise NotFound(f"the action {name} is not given to this context")
        return await act(self._actions[name], context, inputs)


@dataclass
class ActionStage:
    """An ActionContext for tests: set what the action is to find, and read what it said."""

    step: str = "tested"
    run_id: UUID | None = field(default_factory=new_id)
    station: Station = STATION
    operator: Operator | None = ADA
    clock: VirtualClock = field(default_factory=VirtualClock)
    services: MemoryServices = field(default_factory=MemoryServices)
    told: list[tuple[str, int | None, int | None]] = field(default_factory=list)
    """Its progress: text, done, total."""
    inquiry: Inquiry = field(default_factory=Inquiry)
    """What was answered so far, for an action that asks people."""
    can_ask: bool = True
    prompt: str = ""
    """What a person wrote to begin this."""

    @property
    def idempotency_key(self) -> str:
        """``run:step``."""
        return f"{self.run_id}:{self.step}"

    @property
    def blobs(self) -> MemoryBlobs:
        """Where large results go."""
        return self.services.blobs

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Note it."""
        self.told.append((text, done, total))

    async def keep(self, memo: Mapping[str, Any]) -> None:
        """Keep it: `inquiry` has it from now on, as if the action were called again."""
        self.inquiry = Inquiry(self.inquiry.answers, dict(memo))
