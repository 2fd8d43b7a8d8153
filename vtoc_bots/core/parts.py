"""The parts of a process: each runs for ever by itself; one that fails is begun again and the others run on."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import structlog

from vtoc_bots.core.errors import Fate, VtocError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.queue import Lane, Worker
from vtoc_bots.core.singletons import Singleton
from vtoc_bots.core.store.leases import LeaseRows
from vtoc_bots.core.store.pool import Store

logger = structlog.get_logger(__name__)

GRACE_SECONDS: Final = 10.0
CANCEL_SECONDS: Final = 1.0
FOR_A_PERSON_SECONDS: Final = 300.0
LONGEST_LEASE_SECONDS: Final = 12.0


class Parts:
    """What runs in one process. `failing` says what is wrong with a part, by its name."""

    def __init__(self, store: Store, holder: UUID, clock: Clock, metrics: Metrics, lease_seconds: float) -> None:
        self.failing: dict[str, str] = {}
        self.workers: list[Worker] = []
        self.leases = LeaseRows(store)
        self.store, self._holder, self._clock, self._metrics = store, holder, clock, metrics
        self._lease_seconds = lease_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    def forever(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a part until the process ends, again whenever it fails."""
        task = asyncio.create_task(self._supervised(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def singleton(self, name: str, work: Callable[[int], Awaitable[Any]]) -> Singleton:
        """Work that one process of the installation does at a time."""
        facts = {"host": socket.gethostname(), "pid": os.getpid()}
        seconds = min(LONGEST_LEASE_SECONDS, self._lease_seconds)
        return Singleton(
            self.leases, name, self._holder, self._clock, work, lease_seconds=seconds, detail=lambda: facts
        )

    def hold(self, name: str, work: Callable[[int], Awaitable[Any]]) -> None:
        """Do a singleton's work for ever, whenever it is ours."""
        self.forever(name, self.singleton(name, work).run)

    def take(self, lane: Lane) -> None:
        """Take these jobs, on a connection of their own."""
        # A dead worker's jobs are free as soon as its leases are: the sweep's hints would wait for them.
        worker = Worker(self.store.direct_connection, [lane], self._clock, self._metrics, self._lease_seconds)
        self.workers.append(worker)
        self.forever(f"queue.{lane.name}", worker.run)

    async def end(self) -> None:
        """Stop taking work, finish what is in hand, then stop the rest."""
        self._ending = True
        for worker in self.workers:
            worker.stop()
        queues = [task for task in self._tasks if task.get_name().startswith("queue.")]
        if queues:
            await asyncio.wait(queues, timeout=GRACE_SECONDS)
        while self._tasks:
            # Again until they end: Python 3.11's wait_for loses a cancellation that comes as its work is done.
            for task in list(self._tasks):
                task.cancel()
            _, still = await asyncio.wait(list(self._tasks), timeout=CANCEL_SECONDS)
            if still:
                logger.warning("parts_still_ending", parts=sorted(task.get_name() for task in still))

    async def _supervised(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a part for ever: when it breaks, say so, wait, begin again."""
        failures = 0
        while not self._ending:
            began = self._clock.monotonic()
            try:
                await work()
                if self._ending:
                    return
                self.failing[name] = "it ended by itself"
            except VtocError as error:
                # One trouble is one line: a platform's menus fail with its token.
                log = logger.debug if str(error) in self.failing.values() else logger.error
                self.failing[name] = str(error)
                log("part_failed", part=name, error=str(error))
                if error.fate is Fate.STOP:  # a person must act, so there is no hurry
                    await self._clock.sleep(FOR_A_PERSON_SECONDS)
            except Exception as error:
                self.failing[name] = f"{type(error).__name__}: {error}"
                logger.exception("part_failed", part=name)
            failures = 0 if self._clock.monotonic() - began > 60 else failures + 1
            await self._clock.sleep(min(30.0, 0.5 * 2.0 ** min(failures, 6)))
            self.failing.pop(name, None)
