"""When to try a broken source again."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays that double from `first_seconds` to `last_seconds`, and start over after `healthy_seconds` connected.

    Each delay is spread by up to a fifth either way (`uniform` draws it), so that many readers of one server do not
    come back together; it never exceeds `last_seconds`. Times are readings of any one monotonic clock, in seconds.
    """

    def __init__(
        self,
        first_seconds: float = 5.0,
        last_seconds: float = 120.0,
        healthy_seconds: float = 300.0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first, self._last, self._healthy = first_seconds, last_seconds, healthy_seconds
        self._uniform = uniform
        self._failures = 0
        self._connected_at: float | None = None

    def connected(self, at: float) -> None:
        """The source answered at this time."""
        if self._connected_at is None:
            self._connected_at = at

    def failed(self, at: float) -> float:
        """The source is gone at this time; returns the seconds to wait before the next try."""
        if self._connected_at is not None and at - self._connected_at >= self._healthy:
            self._failures = 0
        self._connected_at = None
        delay = min(self._last, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return min(self._last, delay * self._uniform(0.8, 1.2))
