"""A process of a World: a whole Runtime among the test's tasks, which can be killed as if it were a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from vtoc_bots.core.hookspecs import hookimpl
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.runtime import Duties, Runtime
from vtoc_bots.core.settings import Settings
from vtoc_bots.core.transports import TransportContext, TransportSpec
from vtoc_bots.testing.simulated import SimulatedPlatform, SimulatedTransport
from vtoc_bots.testing.timeline import Hands

START_SECONDS: Final = 30.0
_OWNER: ContextVar[Process | None] = ContextVar("vtoc_world_process", default=None)


class WorldPlugin:
    """The World's platforms and playbooks, as one process's plugin."""

    def __init__(self, process: Process, platforms: Mapping[str, SimulatedPlatform], playbooks: Path) -> None:
        self._process, self._platforms, self._playbooks = process, platforms, playbooks

    @hookimpl
    def vtoc_transports(self) -> list[TransportSpec]:
        """A link to each platform."""
        return [
            TransportSpec(name, self._opener(platform), account=platform.account)
            for name, platform in self._platforms.items()
        ]

    @hookimpl
    def vtoc_playbooks(self) -> list[Path]:
        """The World's playbooks."""
        return [self._playbooks]

    def _opener(self, platform: SimulatedPlatform) -> Callable[[TransportContext], SimulatedTransport]:
        def opened(context: TransportContext) -> SimulatedTransport:
            link = platform.open(context)
            self._process.links.append(link)
            return link

        return opened


class Process:
    """One of the World's processes."""

    def __init__(
        self,
        settings: Settings,
        duties: Duties,
        clock: Clock,
        platforms: Mapping[str, SimulatedPlatform],
        playbooks: Path,
        plugins: Mapping[str, Any],
    ) -> None:
        self.links: list[SimulatedTransport] = []
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        world = WorldPlugin(self, platforms, playbooks)
        self.runtime = Runtime(settings, duties, clock=clock, plugins={"world": world, **plugins})
        self._task: asyncio.Task[int] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Begin, and wait until it is ready. Raises what keeps it from starting."""
        token = _OWNER.set(self)
        try:
            self._task = asyncio.create_task(self.runtime.run())
        finally:
            _OWNER.reset(token)
        async with asyncio.timeout(START_SECONDS):
            while not (self.runtime.ready.is_set() and all(link.inbox is not None for link in self.links)):
                if self._task.done():
                    self._task.result()
                    raise AssertionError("the process ended by itself")
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End it as a signal would: what is in hand is finished."""
        if self._task is not None and self.is_alive:
            self.runtime.stop()
            await self._task

    async def kill(self) -> None:
        """End it as kill -9 would: its connections are gone, so nothing that its tasks do on their way out is seen."""
        for link in self.links:
            link.cut()
        if hasattr(self.runtime, "store"):
            self.runtime.store.sever()
        async with asyncio.timeout(START_SECONDS):
            while pending := {task for task in self.tasks if not task.done()}:
                for task in pending:
                    task.cancel()
                await asyncio.wait(pending, timeout=0.2)
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def hands(self) -> Hands:
        """What it holds at the moment."""
        runtime = self.runtime
        held = [grip.item for keeper in (runtime.handle_keeper, runtime.deliver_keeper) for grip in keeper.grips()]
        runs = [grip.item[0] for grip in runtime.runner.keeper.grips()]
        return Hands([each.token for each in held], runs, [runtime.holder])

    def follow(self, seconds: float) -> None:
        """Go along with a clock that was stepped."""
        runtime = self.runtime
        for keeper in (runtime.handle_keeper, runtime.deliver_keeper, runtime.runner.keeper):
            for grip in keeper.grips():
                grip.valid_until += seconds


def owning_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    """A task factory: whose process a task is, is remembered, so that it can be killed with it."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
    owner = _OWNER.get()
    if owner is not None:
        owner.tasks.add(task)
    return task
