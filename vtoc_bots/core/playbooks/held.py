"""Runs that wait for a person while an action holds something in this process's memory: taken up here once answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.run_views import RunViews

LOOK_SECONDS: Final = 0.5


class HeldRuns:
    """The held runs of one worker. If it ends, others take them up a few seconds after they are answered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[UUID, float] = {}

    def add(self, run_id: UUID, seconds: float) -> None:
        """Look after a run for so long."""
        self._until[run_id] = self._clock.monotonic() + seconds

    async def run(self, views: RunViews, advance: Callable[[str], Awaitable[None]]) -> None:
        """Go on with those that are answered, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            now = self._clock.monotonic()
            self._until = {run_id: until for run_id, until in self._until.items() if until > now}
            if not self._until:
                continue
            for run_id in await views.answered(list(self._until)):
                self._until.pop(run_id, None)
                await advance(str(run_id))
