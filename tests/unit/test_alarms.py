"""Alarms: they ring when it is time, not before, and are hints that may be forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from vtoc_bots.core.alarms import LONGEST_SECONDS, MARGIN_SECONDS, MOST, Alarms
from vtoc_bots.testing import VirtualClock


class Rung:
    """Alarms at work on a clock that the test moves, and what rang."""

    def __init__(self) -> None:
        self.clock, self.names = VirtualClock(), list[str]()
        self.alarms = Alarms(self.clock, self.names.append)

    async def after(self, seconds: float) -> list[str]:
        """What has rung once so much time has passed."""
        await settled()
        self.clock.advance(seconds)
        await settled()
        return self.names


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def rung() -> AsyncIterator[Rung]:
    made = Rung()
    running = asyncio.create_task(made.alarms.run())
    await settled()
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_alarm_rings_just_when_its_time_has_come(rung: Rung) -> None:
    rung.alarms.set("late", 30.0)
    rung.alarms.set("soon", 2.5)
    assert await rung.after(2.5) == []
    assert await rung.after(MARGIN_SECONDS) == ["soon"]
    assert await rung.after(30.0) == ["soon", "late"]
    assert rung.alarms.waiting == 0


async def test_there_are_only_so_many_and_what_is_far_away_has_none(rung: Rung) -> None:
    rung.alarms.set("far", LONGEST_SECONDS + 1)
    assert rung.alarms.waiting == 0
    for number in range(MOST + 5):
        rung.alarms.set(str(number), 1.0)
    assert rung.alarms.waiting == MOST
    assert len(await rung.after(2.0)) == MOST


async def test_no_alarm_rings_before_they_run_or_after_they_ended() -> None:
    rung = Rung()
    rung.alarms.set("early", 1.0)
    running = asyncio.create_task(rung.alarms.run())
    await settled()
    rung.alarms.set("cut off", 1.0)
    await settled()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await rung.after(5.0) == []
    rung.alarms.set("late", 1.0)
    assert await rung.after(5.0) == []
    assert rung.alarms.waiting == 0
