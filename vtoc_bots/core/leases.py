"""Keeping leases: renewing them all together, and stopping who lost one or was frozen past it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import structlog

from vtoc_bots.core.errors import LostLease
from vtoc_bots.core.ports import Clock

logger = structlog.get_logger(__name__)
T = TypeVar("T")


class Grip(Generic[T]):
    """One lease in hand."""

    def __init__(self, item: T, key: Hashable, clock: Clock, valid_until: float) -> None:
        self.item = item
        self.key = key
        self.valid_until = valid_until
        self.task = asyncio.current_task()
        self._clock = clock

    def check(self) -> None:
        """Raise LostLease when the lease may have passed to another.

        To be asked right before what others can see: a process that was frozen finds out here, by the clock alone.
        """
        if self._clock.monotonic() >= self.valid_until:
            raise LostLease(f"the lease on {self.key} ran out while this worker was busy or frozen")

    def lose(self) -> None:
        """End the lease and the task that holds it."""
        self.valid_until = 0.0
        if self.task is not None:
            self.task.cancel()


class LeaseKeeper(Generic[T]):
    """Renews every lease in hand with one statement each third of a lease."""

    def __init__(
        self,
        key: Callable[[T], Hashable],
        renew: Callable[[list[T]], Awaitable[Collection[Hashable]]],
        clock: Clock,
        lease_seconds: float,
    ) -> None:
        self._key = key
        self._renew = renew
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._grips: dict[Hashable, Grip[T]] = {}

    def __len__(self) -> int:
        return len(self._grips)

    def grips(self) -> tuple[Grip[T], ...]:
        """The leases in hand."""
        return tuple(self._grips.values())

    @contextmanager
    def keep(self, item: T, claimed_at: float) -> Iterator[Grip[T]]:
        """Keep the lease claimed at that monotonic time (before the claim was sent) until the block ends."""
        grip = Grip(item, self._key(item), self._clock, claimed_at + self._lease_seconds)
        self._grips[grip.key] = grip
        try:
            yield grip
        finally:
            if self._grips.get(grip.key) is grip:
                del self._grips[grip.key]

    async def run(self) -> None:
        """Renew until cancelled. Whoever could not be renewed in time is stopped."""
        while True:
            await self._clock.sleep(self._lease_seconds / 3)
            if self._grips:
                await self._renew_all()

    async def _renew_all(self) -> None:
        grips = list(self._grips.values())
        began = self._clock.monotonic()
        held: Collection[Hashable] | None = None
        try:
            held = await asyncio.wait_for(self._renew([grip.item for grip in grips]), self._lease_seconds / 3)
        except Exception as error:  # whatever it was, what counts is that the leases are not extended
            logger.warning("lease_renewal_failed", leases=len(grips), error=f"{type(error).__name__}: {error}")
        for grip in grips:
            if self._grips.get(grip.key) is not grip:
                continue
            if held is not None and grip.key in held:
                grip.valid_until = began + self._lease_seconds
            elif held is not None or self._clock.monotonic() >= grip.valid_until:
                logger.warning("lease_lost", lease=str(grip.key))
                grip.lose()
