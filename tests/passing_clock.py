"""A clock for transports that are tried by themselves: whoever sleeps lets the time pass at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

BEGAN_SECONDS = 1000.0


class PassingClock:
    """Time that the test moves, and sleeping too. It begins now, so that signatures and ids fit a platform's time."""

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self.seconds = BEGAN_SECONDS
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The present."""
        return self._began + timedelta(seconds=self.seconds - BEGAN_SECONDS)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Let them have passed."""
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)
