"""Group commit: concurrent writes of one kind share one statement and one commit, each waiting for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import structlog

from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.store.connection import Connection
from vtoc_bots.core.store.retry import TransactionConflict, backoff

logger = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_CONFLICT_TRIES: Final = 5


class Runs(Protocol):
    """What a group needs of the Store."""

    async def run(self, work: Callable[[Connection], Awaitable[Any]], *, idempotent: bool = False) -> Any:
        """Do `work` on one connection."""
        ...


@dataclass(slots=True)
class GroupStats:
    """Counts since the start."""

    groups: int = 0
    """Statements run."""
    items: int = 0
    """Items written."""
    split: int = 0
    """Groups that failed and were done again in halves, to find the item at fault."""
    refused: int = 0
    """Items turned away because the queue was full."""


class _Waiting(NamedTuple):
    item: Any
    done: asyncio.Future[Any]


class GroupCommit(Generic[T, R]):
    """Gathers the items that are added while a flush is under way and writes them with the next one.

    `flush(connection, items)` writes them in one statement and returns a result an item, in their order; a result that
    is an exception is raised to that item's caller. An idle group flushes the first item at once.

    A group that fails is done again in halves, so that a bad item fails alone. A lost connection fails all of them with
    a TransientError, after being tried again where the group is `idempotent`. Items are written in the order they were
    added as long as there is one flush in flight.
    """

    def __init__(
        self,
        store: Runs,
        flush: Callable[[Connection, list[T]], Awaitable[Sequence[R | Exception]]],
        *,
        name: str,
        max_size: int = 256,
        max_waiting: int = 10_000,
        in_flight: int = 1,
        idempotent: bool = False,
    ) -> None:
        self.name = name
        self.stats = GroupStats()
        self._store = store
        self._flush = flush
        self._max_size = max_size
        self._max_waiting = max_waiting
        self._in_flight = in_flight
        self._idempotent = idempotent
        self._waiting: deque[_Waiting] = deque()
        self._flights: set[asyncio.Task[None]] = set()
        self._flying = 0

    @property
    def waiting(self) -> int:
        """Items not yet part of a flush."""
        return len(self._waiting)

    async def add(self, item: T) -> R:
        """Write the item; its result once that is committed.

        Raises TransientError when the queue is full or the connection was lost (the write may have happened then), and
        whatever the database says of this item. A caller cancelled before its flush began has written nothing.
        """
        if len(self._waiting) >= self._max_waiting:
            self.stats.refused += 1
            raise TransientError(f"{self.name}: {self._max_waiting} writes are waiting already; try again", 1.0)
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item, done))
        if self._flying < self._in_flight:
            self._flying += 1
            flight = asyncio.create_task(self._fly(), name=f"group:{self.name}")
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        return await done

    async def _fly(self) -> None:
        """Flush until nothing waits."""
        try:
            while group := self._next_group():
                await self._write(group)
        finally:
            # Here and not when the task is done, which is a moment later: an item added in between would wait for ever.
            self._flying -= 1

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        while self._waiting and len(group) < self._max_size:
            waiting = self._waiting.popleft()
            if not waiting.done.cancelled():
                group.append(waiting)
        return group

    async def _write(self, group: list[_Waiting]) -> None:
        """Flush a group and answer its callers; in halves where it fails as a whole."""
        self.stats.groups += 1
        try:
            results = await self._flushed([waiting.item for waiting in group])
        except TransientError as error:
            _fail(group, error)
        except Exception as error:
            if len(group) > 1:
                await self._write_halves(group, error)
            else:
                _fail(group, error)
        except BaseException:
            for waiting in group:
                waiting.done.cancel()
            raise
        else:
            self.stats.items += len(group)
            for waiting, result in zip(group, results, strict=True):
                _answer(waiting, result)

    async def _write_halves(self, group: list[_Waiting], error: Exception) -> None:
        self.stats.split += 1
        logger.warning("group_split", group=self.name, items=len(group), error=type(error).__name__)
        middle = len(group) // 2
        try:
            await self._write(group[:middle])
            await self._write(group[middle:])
        except BaseException:
            for waiting in group:
                waiting.done.cancel()
            raise

    async def _flushed(self, items: list[T]) -> Sequence[R | Exception]:
        waits = backoff()
        for _ in range(_CONFLICT_TRIES - 1):
            try:
                return await self._flushed_once(items)
            except TransactionConflict:
                # One statement that lost a deadlock was rolled back whole.
                await asyncio.sleep(next(waits))
        return await self._flushed_once(items)

    async def _flushed_once(self, items: list[T]) -> Sequence[R | Exception]:
        async def work(connection: Connection) -> Sequence[R | Exception]:
            return await self._flush(connection, items)

        results: Sequence[R | Exception] = await self._store.run(work, idempotent=self._idempotent)
        if len(results) != len(items):
            raise RuntimeError(f"{self.name}: flush returned {len(results)} results for {len(items)} items")
        return results


def _answer(waiting: _Waiting, result: Any) -> None:
    if waiting.done.done():
        return
    if isinstance(result, Exception):
        waiting.done.set_exception(result)
    else:
        waiting.done.set_result(result)


def _fail(group: list[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(error)
