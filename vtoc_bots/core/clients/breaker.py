"""Keeps away from a service that fails again and again, and lets one request at a time see whether it is back."""

from __future__ import annotations

from typing import Final

from vtoc_bots.core.ports import Clock

FAULTS: Final = 5
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 60.0


class Breaker:
    """Open after `FAULTS` faults in a row; each trial that fails doubles the pause before the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._faults = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._closed_at: float | None = None
        self._trying = False
        self.last_fault = ""

    @property
    def is_open(self) -> bool:
        """Whether requests are kept away, but for the trials."""
        return self._closed_at is not None

    def enter(self) -> float | None:
        """None when a request may go; else the seconds to wait before asking again.

        Whoever was let through must call `succeeded`, `failed` or `left`.
        """
        if self._closed_at is None:
            return None
        left = self._closed_at - self._clock.monotonic()
        if left > 0:
            return left
        if self._trying:
            return 1.0
        self._trying = True
        return None

    def succeeded(self) -> None:
        """The service answered as it should."""
        self._faults, self._pause = 0, FIRST_PAUSE_SECONDS
        self._closed_at, self._trying = None, False

    def failed(self, why: str) -> None:
        """The service did not answer, or with a fault of its own."""
        self.last_fault = why
        self._faults += 1
        if self._trying:
            self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)
        if self._trying or self._faults >= FAULTS:
            self._closed_at = self._clock.monotonic() + self._pause
        self._trying = False

    def left(self) -> None:
        """The request was given up for a reason that says nothing of the service."""
        self._trying = False
