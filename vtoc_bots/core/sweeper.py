"""The one loop behind every hint: due rows, schedules, the audit's seals, what is kept no longer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from croniter import croniter

from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.playbooks.inputs import bind_inputs
from vtoc_bots.core.playbooks.library import Library
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.sweeps import DueSchedule, Sweeps

logger = structlog.get_logger(__name__)

FORGET_SECONDS: Final = 3600.0
UNREADABLE_AGAIN: Final = timedelta(hours=1)
LATE_SECONDS: Final = 15 * 60.0
"""A tick missed for longer (the centre was down) is not made up for."""


class Sweeper:
    """Runs while its process holds the sweeper's lease."""

    def __init__(
        self,
        sweeps: Sweeps,
        library: Library,
        seal: Callable[[], Awaitable[int]],
        clock: Clock,
        *,
        sweep_seconds: float,
        retention_days: int,
        also: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._sweeps, self._library, self._seal, self._clock = sweeps, library, seal, clock
        self._sweep_seconds, self._retention_days, self._also = sweep_seconds, retention_days, also
        self._forgot_at: float | None = None
        self.last_at: datetime | None = None

    async def run(self, epoch: int) -> None:
        """Sweep until cancelled."""
        logger.info("sweeper_started", epoch=epoch)
        while True:
            await self.sweep()
            await self._clock.sleep(self._sweep_seconds)

    async def sweep(self) -> None:
        """Everything once; what fails is logged and tried in the next sweep."""
        for part in (self._sweeps.hint_due, self._sweeps.expire, self._fire_schedules, self._seal, self._forget):
            try:
                await part()
            except Exception as error:
                logger.warning("sweep_failed", part=part.__name__, error=f"{type(error).__name__}: {error}")
                return
        self.last_at = self._clock.now()

    async def _forget(self) -> None:
        now = self._clock.monotonic()
        if self._forgot_at is not None and now - self._forgot_at < FORGET_SECONDS:
            return
        self._forgot_at = now
        await self._sweeps.forget(self._retention_days)
        if self._also is not None:
            await self._also()

    async def _fire_schedules(self) -> None:
        for schedule in await self._sweeps.due_schedules():
            now = self._clock.now()
            # Where even its next time can't be told, it is looked at again in an hour: somebody may correct it.
            following = now + UNREADABLE_AGAIN
            late = (now - schedule.next_at).total_seconds()
            try:
                following = next_tick(schedule.cron, schedule.timezone, now)
                if late > LATE_SECONDS:
                    raise VtocError(f"it is {late / 60:.0f} minutes late")
                run = self._run_of(schedule)
            except (VtocError, ValueError, KeyError) as error:  # croniter's and ZoneInfo's are of the last two
                logger.error("schedule_skipped", schedule=schedule.name, error=str(error))
                await self._sweeps.put_off(schedule, following)
                continue
            if await self._sweeps.fire(schedule, following, run):
                logger.info("schedule_fired", schedule=schedule.name, next_at=following.isoformat())

    def _run_of(self, schedule: DueSchedule) -> dict[str, object]:
        playbook = self._library.get(schedule.playbook)
        bound = bind_inputs(playbook, schedule.inputs)
        if bound.missing:
            raise VtocError(f"it needs {', '.join(field.name for field in bound.missing)}")
        return {
            "id": new_id(),
            "key": f"schedule:{schedule.name}:{schedule.next_at.isoformat()}",
            "playbook": playbook.id,
            "title": playbook.title,
            "role": playbook.role,
            "station": schedule.station,
            "source": playbook.source,
            "digest": playbook.digest,
            "inputs": bound.values,
            "conversation": schedule.conversation,
            "correlation_id": new_id(),
        }


def next_tick(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time of a cron expression after `after`, in that timezone; aware."""
    found: datetime = croniter(cron, after.astimezone(ZoneInfo(timezone))).get_next(datetime)
    return found
