"""Clocks that tests step: one that stands still between steps, and the World's, which runs on and can be set ahead."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


class VirtualClock:
    """Time that passes only when a test says so. Begins at noon of the first of January 2026."""

    def __init__(self, at: datetime = NOON) -> None:
        self._at, self._seconds = at, 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self.slept: list[float] = []
        """What was asked for with `sleep`, in order, in seconds."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return self._at + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was stepped that far."""
        woken = asyncio.Event()
        self.slept.append(seconds)
        self._sleepers.append((self._seconds + seconds, woken))
        self._wake()
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Step by that many seconds; whoever slept that long wakes in the loop's next turn."""
        self._seconds += seconds
        self._wake()

    def _wake(self) -> None:
        for due, woken in self._sleepers:
            if due <= self._seconds:
                woken.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].is_set()]


class AheadClock:
    """Real time, ahead of the real clock by as much as it was advanced."""

    def __init__(self, ahead_seconds: float = 0.0) -> None:
        self.ahead_seconds = ahead_seconds
        self._stepped = asyncio.Event()

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead_seconds)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic() + self.ahead_seconds

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock: less if it is advanced meanwhile."""
        due = self.monotonic() + seconds
        while (left := due - self.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):  # wait_for forgets a cancellation that comes with the step
                    await self._stepped.wait()
            except TimeoutError:
                return

    def advance(self, seconds: float) -> None:
        """Step ahead; whoever slept that long wakes in the loop's next turn."""
        if seconds < 0:
            raise ValueError("a clock is never set back")
        self.ahead_seconds += seconds
        stepped, self._stepped = self._stepped, asyncio.Event()
        stepped.set()
