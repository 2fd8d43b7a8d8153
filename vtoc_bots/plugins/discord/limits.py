"""What Discord's rate limit headers allow, so that a request that would be refused is not made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vtoc_bots import Clock, RateLimited

MOST_BUCKETS: Final = 2048


class Limits:
    """The limits of one bot in this process, by route and by what the route is about (channel, webhook)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._everything_until = 0.0

    def check(self, key: str) -> None:
        """Raises RateLimited while nothing more may be sent under that key."""
        now = self._clock.monotonic()
        wait = max(self._everything_until, self._until.get(key, 0.0)) - now
        if wait > 0:
            raise RateLimited(f"discord: {wait:.1f} s are left of its rate limit", wait)
        self._until.pop(key, None)

    def learn(self, key: str, headers: Mapping[str, str]) -> None:
        """Note what an answer says is left."""
        if headers.get("X-RateLimit-Remaining") != "0":
            return
        try:
            seconds = float(headers.get("X-RateLimit-Reset-After", "0"))
        except ValueError:
            return
        self._note(key, seconds)

    def refused(self, key: str, seconds: float, *, everything: bool) -> None:
        """Note a refusal."""
        if everything:
            self._everything_until = self._clock.monotonic() + seconds
        else:
            self._note(key, seconds)

    def _note(self, key: str, seconds: float) -> None:
        now = self._clock.monotonic()
        if len(self._until) >= MOST_BUCKETS:
            self._until = {each: until for each, until in self._until.items() if until > now}
        if len(self._until) < MOST_BUCKETS:  # else Discord will say it again
            self._until[key] = now + seconds
