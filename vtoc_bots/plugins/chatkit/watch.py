"""Watches threads for all streams of a process together: one look at the database, however many look on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from vtoc_bots import Clock, Refusal, ThreadRows, TransientError

logger = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.25
AWAY_SECONDS: Final = 2.0
MOST_WATCHERS: Final = 1000
MOST_OF_ONE: Final = 200
"""Of these, those of one caller, so that nobody has all of them."""
MOST_KEPT: Final = 200
"""Items that wait for one stream, about; the others wait in the database until it has taken these."""


class Seen(NamedTuple):
    """What a look found for one stream: items that changed, and whether more will come soon."""

    rows: list[Any]
    is_busy: bool


class Watcher:
    """One stream's view of a thread. With `run_id` it is busy as long as that run goes on, else as long as anything is
    done in the conversation."""

    def __init__(self, thread: str, conversation: str, since: int, whose: str, run_id: UUID | None) -> None:
        self.thread, self.conversation, self.since, self.run_id = thread, conversation, since, run_id
        self.whose = whose
        self._rows: list[Any] = []
        self._is_busy = True
        self._looked = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether it has enough to tell for now."""
        return len(self._rows) >= MOST_KEPT

    def tell(self, rows: list[Any], is_busy: bool) -> None:
        """Note what a look found; nothing new of a busy thread is not worth waking for."""
        news = [row for row in rows if row["changed"] > self.since]
        if news:
            self.since = news[-1]["changed"]
            self._rows += news
        self._is_busy = is_busy
        if news or not is_busy:
            self._looked.set()

    async def next(self) -> Seen:
        """What is new, once something is or nothing more will be."""
        await self._looked.wait()
        self._looked.clear()
        rows, self._rows = self._rows, []
        return Seen(rows, self._is_busy)


class ThreadWatch:
    """The streams of a process."""

    def __init__(self, rows: ThreadRows, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self.watchers: set[Watcher] = set()
        self._wanted = asyncio.Event()

    @asynccontextmanager
    async def watch(
        self, thread: str, conversation: str, since: int, whose: str, run_id: UUID | None = None
    ) -> AsyncIterator[Watcher]:
        """Watch a thread's changes since that count for the length of the block; `whose` names the caller.

        Raises Refusal when too many do.
        """
        if len(self.watchers) >= MOST_WATCHERS:
            raise Refusal(503, "too many streams are open here; try again soon", {"Retry-After": "10"})
        if sum(each.whose == whose for each in self.watchers) >= MOST_OF_ONE:
            raise Refusal(503, f"{MOST_OF_ONE} streams of yours are open here; end one first", {"Retry-After": "10"})
        watcher = Watcher(thread, conversation, since, whose, run_id)
        self.watchers.add(watcher)
        self._wanted.set()
        try:
            yield watcher
        finally:
            self.watchers.discard(watcher)

    async def run(self) -> None:
        """Look, while anybody watches, until cancelled."""
        while True:
            if not self.watchers:
                self._wanted.clear()
                await self._wanted.wait()
            pause = LOOK_SECONDS
            try:
                await self._look([watcher for watcher in self.watchers if not watcher.is_full])
            except TransientError as error:
                logger.info("threads_not_looked_at", error=str(error))
                pause = AWAY_SECONDS
            await self._clock.sleep(pause)

    async def _look(self, watchers: list[Watcher]) -> None:
        if not watchers:
            return
        # First whether anything is being done, then what came of it: what ends in between is seen by the second.
        runs = {watcher.run_id for watcher in watchers if watcher.run_id is not None}
        going = await self._rows.going(list(runs)) if runs else set()
        busy = await self._rows.busy(sorted({watcher.conversation for watcher in watchers}))
        since: dict[str, int] = {}
        for watcher in watchers:
            since[watcher.thread] = min(watcher.since, since.get(watcher.thread, watcher.since))
        changed: dict[str, list[Any]] = {}
        rows = await self._rows.changed(since)
        for row in rows:
            changed.setdefault(row["thread_id"], []).append(row)
        is_cut = len(rows) >= self._rows.MOST_CHANGED  # then nothing has ended before the rest was told
        for watcher in watchers:
            is_busy = is_cut or watcher.conversation in busy or (watcher.run_id is not None and watcher.run_id in going)
            watcher.tell(changed.get(watcher.thread, []), is_busy)
