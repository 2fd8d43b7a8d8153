"""Watches runs for all streams of a process together: one look at the database, however many look on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.run_pages import RunPages, RunSeen
from vtoc_bots.core.web.problems import Refusal

LOOK_SECONDS: Final = 0.5
MOST_WATCHERS: Final = 1000
MOST_OF_ONE: Final = 200
"""Of these, those of one caller, so that nobody has all of them."""


class Watcher:
    """One stream's view of a run: its latest state, and whether that changed since it was taken."""

    def __init__(self, run_id: UUID, whose: str) -> None:
        self.run_id, self.whose = run_id, whose
        self._changed = asyncio.Event()
        self._latest: RunSeen | None = None

    def tell(self, run: RunSeen) -> None:
        """Note how the run is."""
        if run != self._latest:
            self._latest = run
            self._changed.set()

    async def next(self, seconds: float) -> RunSeen | None:
        """The run's state when it has changed, None where it did not within `seconds`."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return None
        self._changed.clear()
        return self._latest


class RunWatch:
    """The watchers of a process."""

    def __init__(self, pages: RunPages, clock: Clock) -> None:
        self._pages, self._clock = pages, clock
        self._watchers: set[Watcher] = set()
        self._wanted = asyncio.Event()

    @asynccontextmanager
    async def watch(self, run_id: UUID, whose: str) -> AsyncIterator[Watcher]:
        """Watch a run for the length of the block; `whose` names the caller. Raises Refusal (503) when too many do."""
        if len(self._watchers) >= MOST_WATCHERS:
            raise Refusal(503, "too many streams are open here; try again soon", {"Retry-After": "10"})
        if sum(each.whose == whose for each in self._watchers) >= MOST_OF_ONE:
            raise Refusal(503, f"{MOST_OF_ONE} streams of yours are open here; end one first", {"Retry-After": "10"})
        watcher = Watcher(run_id, whose)
        self._watchers.add(watcher)
        self._wanted.set()
        try:
            for run in await self._pages.watched([run_id]):
                watcher.tell(run)
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def run(self) -> None:
        """Look, while anybody watches, until cancelled."""
        while True:
            if not self._watchers:
                self._wanted.clear()
                await self._wanted.wait()
            await self._clock.sleep(LOOK_SECONDS)
            runs = {run.id: run for run in await self._pages.watched({watcher.run_id for watcher in self._watchers})}
            for watcher in self._watchers:
                if watcher.run_id in runs:
                    watcher.tell(runs[watcher.run_id])
