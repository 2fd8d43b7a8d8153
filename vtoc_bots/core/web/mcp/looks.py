"""Looks again and again at the resources and lists that clients watch, and tells them which changed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from vtoc_bots.core.errors import Forbidden, NotFound, UsageError, VtocError
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.web.mcp.caller import Caller
from vtoc_bots.core.web.problems import Refusal

logger = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 2.0
MOST_WATCHED: Final = 20
"""Resources that one client may watch."""
MOST_LOOKING: Final = 100
"""Clients of a process that may watch."""
MOST_OF_ONE: Final = 20
"""Of these, those of one caller."""
LISTS: Final = ("tools", "prompts", "resources")

Tell = Callable[[str], Awaitable[None]]
"""Takes the URI or the list that changed."""
Still = Callable[[], Awaitable[bool]]
"""Whether the client is still there, with a credential that holds."""


class Looks:
    """What one client watches."""

    def __init__(self, caller: Caller, still: Still, clock: Clock, tell: Tell) -> None:
        self._caller, self._still, self._clock, self._tell = caller, still, clock, tell
        self.owner = caller.principal.actor
        self._known: dict[str, str] = {}
        self.end: Callable[[], object] = lambda: None
        """Looks no more."""

    def renew(self, caller: Caller, still: Still) -> None:
        """Look by this credential from now on."""
        self._caller, self._still = caller, still

    async def add(self, subject: str) -> None:
        """Watch a resource by its URI, or one of LISTS. Raises what reading does, and UsageError past MOST_WATCHED."""
        if subject not in self._known and len(self._known) >= MOST_WATCHED:
            raise UsageError(f"{MOST_WATCHED} resources are watched already; let go of one first")
        self._known[subject] = self._listed(subject) if subject in LISTS else await self._caller.watch(subject)

    def drop(self, subject: str) -> None:
        """Watch it no more."""
        self._known.pop(subject, None)

    async def run(self) -> None:
        """Look, until the client has gone or its credential holds no more."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            if not await self._still():
                return
            for subject in tuple(self._known):
                try:
                    now = self._listed(subject) if subject in LISTS else await self._caller.glance(subject)
                except (Forbidden, NotFound):
                    self.drop(subject)
                    continue
                except VtocError as error:  # a service or the database is away: it is looked at again
                    logger.info("mcp_look_failed", subject=subject, error=str(error))
                    continue
                if self._known.get(subject, now) != now:
                    self._known[subject] = now
                    await self._tell(subject)

    def _listed(self, kind: str) -> str:
        caller = self._caller
        offers = caller.tools() if kind == "tools" else [*caller.resources(templates=False)]
        names = [each.name for each in caller.prompts()] if kind == "prompts" else [each.name for each in offers]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()


class Lookers:
    """The clients of a process that watch, each by a task of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[asyncio.Task[None], str] = {}
        """And whose each is."""

    def open(self, caller: Caller, still: Still, tell: Tell, ended: Callable[[], None]) -> Looks:
        """Begin to look for a client; `ended` is told when it is over.

        Raises Refusal past MOST_LOOKING, and past MOST_OF_ONE of the caller's.
        """
        if len(self._tasks) >= MOST_LOOKING:
            raise Refusal(503, "too many clients watch resources here; try again later")
        if list(self._tasks.values()).count(caller.principal.actor) >= MOST_OF_ONE:
            raise Refusal(429, f"{MOST_OF_ONE} clients of yours watch resources here already; end one first")
        looks = Looks(caller, still, self._clock, tell)
        task = asyncio.create_task(looks.run(), name="mcp_looks")
        self._tasks[task] = looks.owner
        looks.end = task.cancel

        def over(done: asyncio.Task[None]) -> None:
            self._tasks.pop(done, None)
            if not done.cancelled() and (error := done.exception()) is not None:
                logger.warning("mcp_looks_failed", exc_info=error)
            ended()

        task.add_done_callback(over)
        return looks

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """End them all after the block."""
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
