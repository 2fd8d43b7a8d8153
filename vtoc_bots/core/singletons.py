"""Work that one process at a time does, wherever it runs: held by a named lease, stopped when that can't be renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import structlog

from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.leases import LeaseRows

logger = structlog.get_logger(__name__)

LEASE_SECONDS = 12.0
RENEW_SECONDS = 5.0


class Singleton:
    """Runs `work(epoch)` while this process holds the lease `name`; tries again for ever.

    `lease_seconds` is how long a dead holder keeps others waiting; it renews at five twelfths of it.
    """

    def __init__(
        self,
        leases: LeaseRows,
        name: str,
        holder: UUID,
        clock: Clock,
        work: Callable[[int], Awaitable[None]],
        *,
        lease_seconds: float = LEASE_SECONDS,
        detail: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.name = name
        self.epoch: int | None = None
        self._leases, self._holder, self._clock, self._work = leases, holder, clock, work
        self._lease_seconds, self._detail = lease_seconds, detail
        self._renew_seconds = lease_seconds * RENEW_SECONDS / LEASE_SECONDS

    async def run(self) -> None:
        """Until cancelled, or until the work ends by itself."""
        while True:
            began = self._clock.monotonic()
            epoch = await self._take()
            if epoch is None:
                await self._clock.sleep(self._renew_seconds)
                continue
            if await self._hold(epoch, began):
                return

    async def _hold(self, epoch: int, began: float) -> bool:
        """Work while renewing; True when the work ended by itself."""
        self.epoch = epoch
        work = asyncio.ensure_future(self._work(epoch))
        valid_until = began + self._lease_seconds
        try:
            while not work.done():
                pause = asyncio.ensure_future(self._clock.sleep(self._renew_seconds))
                try:
                    await asyncio.wait({work, pause}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    pause.cancel()
                if work.done():
                    break
                began = self._clock.monotonic()
                taken = await self._take()
                if taken == epoch:
                    valid_until = began + self._lease_seconds
                elif taken is not None or self._clock.monotonic() + self._renew_seconds >= valid_until:
                    logger.warning("singleton_lost", lease=self.name)
                    return False
            await work
            return True
        finally:
            self.epoch = None
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await self._release()

    async def _take(self) -> int | None:
        taking = self._leases.take(self.name, self._holder, self._lease_seconds, self._detail())
        try:
            # A database that hangs must not keep the holder at work past its lease.
            return await asyncio.wait_for(taking, self._renew_seconds)
        except Exception as error:  # not taken is not held, whatever the reason
            logger.warning("lease_not_taken", lease=self.name, error=f"{type(error).__name__}: {error}")
            return None

    async def _release(self) -> None:
        try:
            await asyncio.wait_for(self._leases.release(self.name, self._holder), 2)
        except Exception as error:  # it expires by itself
            logger.info("lease_not_released", lease=self.name, error=f"{type(error).__name__}: {error}")
