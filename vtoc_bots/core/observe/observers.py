"""Telling plugins what happened, off the hot path: a full queue drops and counts, an error changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import Observer

logger = structlog.get_logger(__name__)

MOST_WAITING: Final = 1000
OBSERVE_SECONDS: Final = 5.0


class Observers:
    """Hands events to every observer, in order, one at a time."""

    def __init__(self, observers: Sequence[Observer], metrics: Metrics) -> None:
        self._observers, self._metrics = tuple(observers), metrics
        self._queue: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue(MOST_WAITING)

    def tell(self, event: str, **detail: Any) -> None:
        """Note an event for the observers; never waits."""
        if not self._observers:
            return
        try:
            self._queue.put_nowait((event, detail))
        except asyncio.QueueFull:
            self._metrics.queue_drops.labels("observers").inc()

    async def run(self) -> None:
        """Tell the observers, until cancelled."""
        while True:
            event, detail = await self._queue.get()
            for observer in self._observers:
                try:
                    await asyncio.wait_for(observer.observe(event, detail), OBSERVE_SECONDS)
                except Exception as error:
                    logger.warning(
                        "observer_failed", observer=observer.name, about=event, error=f"{type(error).__name__}: {error}"
                    )
