"""Rings for what is to be tried again at a time, so that it need not wait for the sweep that would find it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from vtoc_bots.core.ports import Clock

MOST: Final = 1_000
LONGEST_SECONDS: Final = 60.0
"""Of what is further away a sweep's second is no part."""
MARGIN_SECONDS: Final = 0.005
"""For the database's clock, which says what is due, to be past it."""


class Alarms:
    """Calls `ring` with a name when its time has come. An alarm is a hint: what is forgotten here, for there are too
    many or the process ends, the sweep finds."""

    def __init__(self, clock: Clock, ring: Callable[[str], None]) -> None:
        self._clock, self._ring = clock, ring
        self._tasks: asyncio.TaskGroup | None = None
        self.waiting = 0
        """Alarms that are set."""

    def set(self, name: str, seconds: float) -> None:
        """Ring for this so many seconds from now, while `run` runs."""
        if self._tasks is not None and seconds <= LONGEST_SECONDS and self.waiting < MOST:
            self.waiting += 1
            self._tasks.create_task(self._later(name, seconds))

    async def run(self) -> None:
        """Ring until cancelled; no alarm outlives it."""
        self.waiting = 0
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await asyncio.Event().wait()
        finally:
            self._tasks = None

    async def _later(self, name: str, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds + MARGIN_SECONDS)
        finally:
            self.waiting -= 1
        self._ring(name)
