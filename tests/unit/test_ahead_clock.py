"""The kit's clock that goes ahead: sleepers wake, and end when they are cancelled."""

from __future__ import annotations

import asyncio

import pytest

from vtoc_bots.testing.clock import AheadClock


async def test_a_sleeper_that_is_cancelled_just_as_the_clock_steps_ends() -> None:
    clock = AheadClock()
    sleeper = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.advance(1)
    await asyncio.sleep(0)  # the step is on its way to the sleeper
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(sleeper, 1)


async def test_a_sleeper_wakes_once_the_clock_was_advanced_that_far() -> None:
    clock = AheadClock()
    sleeper = asyncio.create_task(clock.sleep(3600))
    for _ in range(2):
        await asyncio.sleep(0)
        clock.advance(1800)
    await asyncio.wait_for(sleeper, 1)
