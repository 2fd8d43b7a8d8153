"""Finds out whether code under test holds up the event loop, however busy the machine is."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from vtoc_bots.core.observe.watchdog import place_of

LIMIT_SECONDS: Final = 0.25
_TESTED: Final = "tested"
_LOOK_SECONDS: Final = 0.02
_LOOKS: Final = 10
"""In a row, without a beat of the loop between them: a process that was not given the processor is seen once."""


def starved_seconds(thread: int) -> float:
    """For how long a thread of this process (by its native id) has wanted a processor and had none, by Linux's
    ``schedstat``; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class LoopWatch:
    """Looks from a thread at what the loop is doing whenever it is late.

    While a thread waits for a processor nobody holds it up: neither the loop's, nor the one that looks, which may have
    the interpreter's lock then. That time does not count. `starved` tells it.
    """

    def __init__(self, module: str, starved: Callable[[int], float] = starved_seconds) -> None:
        self.blocked_at: set[str] = set()
        """Places of the module's code, ``module:line function``, that held the loop up."""
        self._plugins = {module: _TESTED}
        self._thread, self._native = threading.get_ident(), threading.get_native_id()
        self._starved = starved
        self._beat = self._now()
        self._ended = threading.Event()

    async def beat(self) -> None:
        """Note, for ever, that the loop turns."""
        while True:
            self._beat = self._now()
            await asyncio.sleep(_LOOK_SECONDS)

    def _now(self) -> tuple[float, float]:
        """The time, and for how long the loop's thread had no processor until then."""
        return time.monotonic(), self._starved(self._native)

    def look(self) -> None:
        """For the thread: look until the end."""
        me, looks, seen = threading.get_native_id(), 0, self._beat
        own = self._starved(me)
        while not self._ended.wait(_LOOK_SECONDS):
            beat = self._beat
            if beat != seen:
                looks, seen, own = 0, beat, self._starved(me)
                continue
            looks += 1
            (now, starved), (beat_at, starved_before) = self._now(), beat
            held = now - beat_at - (starved - starved_before) - (self._starved(me) - own)
            if looks < _LOOKS or held < LIMIT_SECONDS:
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
