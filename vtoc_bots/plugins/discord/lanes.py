"""Work of each channel in order, of different channels side by side, with a bound over all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

logger = structlog.get_logger(__name__)

MOST_WAITING: Final = 2_000

Work = Callable[[], Awaitable[None]]


class Lanes:
    """Runs what is added; what a lane's work raises is logged, and the lane goes on."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._lanes: dict[str, deque[Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self.waiting = 0
        """How much is added and not done."""

    def add(self, lane: str, work: Work) -> None:
        """Do this after what was added to the lane before. Ask for `room` first."""
        self.waiting += 1
        if self.waiting >= self._most:
            self._roomy.clear()
        queue = self._lanes.get(lane)
        if queue is not None:
            queue.append(work)
            return
        self._lanes[lane] = deque((work,))
        task = asyncio.create_task(self._run(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def room(self) -> None:
        """Wait until there is room for more."""
        await self._roomy.wait()

    async def close(self) -> None:
        """Stop; what is not done stays undone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._lanes.clear()

    async def _run(self, lane: str) -> None:
        queue = self._lanes[lane]
        while queue:
            try:
                await queue[0]()
            except Exception:
                logger.exception("discord_work_failed", lane=lane)
            queue.popleft()
            self.waiting -= 1
            if self.waiting < self._most:
                self._roomy.set()
        del self._lanes[lane]
