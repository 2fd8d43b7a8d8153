"""Finds out whether code under test holds up the event loop, however busy the machine is."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from vtoc_bots.core.observe.watchdog import place_of

LIMIT_SECONDS: Final = 0.25
_TESTED: Final = "tested"
_LOOK_SECONDS: Final = 0.02
_LOOKS: Final = 10
"""In a row, without a beat of the loop between them: a process that was not given the processor is seen once."""


class LoopWatch:
    """Looks from a thread at what the loop is doing whenever it is late."""

    def __init__(self, module: str) -> None:
        self.blocked_at: set[str] = set()
        """Places of the module's code, ``module:line function``, that held the loop up."""
        self._plugins = {module: _TESTED}
        self._thread = threading.get_ident()
        self._beat_at = time.monotonic()
        self._ended = threading.Event()

    async def beat(self) -> None:
        """Note, for ever, that the loop turns."""
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """For the thread: look until the end."""
        looks, seen_at = 0, self._beat_at
        while not self._ended.wait(_LOOK_SECONDS):
            beat_at = self._beat_at
            looks = looks + 1 if beat_at == seen_at else 0
            seen_at = beat_at
            if looks < _LOOKS or time.monotonic() - beat_at < LIMIT_SECONDS:
                continue
            place = place_of(sys._current_frames().get(self._thread), self._plugins)
            if place.plugin == _TESTED:
                self.blocked_at.add(place.location)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()


@asynccontextmanager
async def unblocked(module: str) -> AsyncIterator[LoopWatch]:
    """Fail at the end of the block if code of the module (or inside it) held the loop up for a quarter of a second."""
    watch = LoopWatch(module)
    thread = threading.Thread(target=watch.look, name="vtoc-loop-watch", daemon=True)
    beating = asyncio.create_task(watch.beat())
    thread.start()
    try:
        yield watch
        # The last of it may have held the loop up to this very moment.
        await asyncio.sleep(0)
    finally:
        watch.end()
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await asyncio.to_thread(thread.join)
    assert not watch.blocked_at, f"the event loop was held up for over {LIMIT_SECONDS:g} s at {watch.blocked_at}"


def package_of(module: str) -> str:
    """The package that a module's plugin is: what stands before the last dot, if anything does."""
    return module.rpartition(".")[0] or module
