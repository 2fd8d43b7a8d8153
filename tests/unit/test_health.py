"""Health: probes run together, each within its time, and what they said is shared for a moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.web.health import Health, is_ready

START = datetime(2026, 1, 1, tzinfo=UTC)


class StoppedClock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Part:
    """A part whose state a test decides."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail
        self.error: Exception | None = None
        self.looks = 0

    async def probe(self) -> str | None:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.detail


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def health(clock: StoppedClock) -> Health:
    return Health(clock, Metrics())


async def test_every_part_is_reported_with_its_detail_latency_and_last_success(
    health: Health, clock: StoppedClock
) -> None:
    async def slow() -> str:
        await clock.sleep(0.25)
        return "18.6, 3 connections"

    health.register("database", slow)
    (result,) = await health.check()
    assert (result.name, result.ok, result.required, result.detail) == ("database", True, True, "18.6, 3 connections")
    assert result.latency_seconds == 0.25
    assert result.last_success_at == START + timedelta(seconds=0.25)


async def test_a_part_that_fails_keeps_its_last_success_and_says_what_is_wrong(
    health: Health, clock: StoppedClock
) -> None:
    part = Part()
    health.register("telegram", part.probe)
    await health.check()
    clock.seconds = 10
    part.error = TransientError("telegram: no answer for 40 s")
    (result,) = await health.check()
    assert (result.ok, result.detail, result.last_success_at) == (False, "telegram: no answer for 40 s", START)


async def test_an_unexpected_error_shows_only_its_kind(health: Health) -> None:
    part = Part()
    part.error = OSError("postgresql://app:hunter22@db")
    health.register("database", part.probe)
    (result,) = await health.check()
    assert (result.ok, result.detail) == (False, "OSError")


async def test_an_unexpected_error_is_logged_when_it_begins_and_not_at_every_look(
    health: Health, clock: StoppedClock
) -> None:
    part = Part()
    part.error = OSError("no")
    health.register("database", part.probe)
    with capture_logs() as lines:
        for _ in range(3):
            await health.check()
            clock.seconds += 5
    assert [line["event"] for line in lines] == ["probe_raised", "probe_failed"]


async def test_only_required_parts_decide_readiness(health: Health) -> None:
    well, ill = Part(), Part()
    ill.error = TransientError("no")
    health.register("database", well.probe)
    health.register("source paris", ill.probe, required=False)
    assert is_ready(await health.check())
    health.register("queue", ill.probe)
    assert not is_ready(await health.check())


async def test_a_probe_that_hangs_fails_in_its_time_and_holds_up_no_other(health: Health) -> None:
    ended = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    health.register("stuck", hang, timeout_seconds=0.01)
    health.register("database", Part().probe)
    stuck, database = await health.check()
    assert (stuck.ok, stuck.detail) == (False, "no answer within 0.01 s")
    assert database.ok
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_probe_that_will_not_end_is_not_started_twice(health: Health, clock: StoppedClock) -> None:
    looks, release = [], asyncio.Event()

    async def stubborn() -> None:
        looks.append(1)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    health.register("stubborn", stubborn, timeout_seconds=0.01)
    await health.check()
    clock.seconds += 5
    (result,) = await health.check()
    assert (result.ok, result.detail, len(looks)) == (False, "the last look has not ended yet", 1)
    release.set()
    clock.seconds += 5
    await asyncio.sleep(0)
    assert (await health.check())[0].ok


async def test_however_many_ask_at_once_each_part_is_looked_at_once(health: Health, clock: StoppedClock) -> None:
    part = Part()
    health.register("database", part.probe)
    await asyncio.gather(*(health.check() for _ in range(50)))
    clock.seconds = 0.9
    await health.check()
    assert part.looks == 1
    clock.seconds = 1.1
    await health.check()
    assert part.looks == 2


async def test_one_who_stops_waiting_does_not_end_the_look_for_others(health: Health) -> None:
    release = asyncio.Event()

    async def slow() -> str:
        await release.wait()
        return "done"

    health.register("slow", slow, timeout_seconds=10)
    impatient, patient = asyncio.create_task(health.check()), asyncio.create_task(health.check())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    release.set()
    assert (await patient)[0].detail == "done"


async def test_a_part_is_forgotten_when_it_is_removed(health: Health) -> None:
    remove = health.register("database", Part().probe)
    await health.check()
    remove()
    remove()
    assert await health.check() == []


async def test_two_parts_of_one_name_are_refused(health: Health) -> None:
    health.register("database", Part().probe)
    with pytest.raises(ValueError, match="there is a probe named database already"):
        health.register("database", Part().probe)


async def test_a_change_is_logged_once_each_way(health: Health, clock: StoppedClock) -> None:
    part = Part()
    health.register("database", part.probe)
    with capture_logs() as lines:
        for error in (None, TransientError("gone"), TransientError("gone"), None, None):
            part.error = error
            clock.seconds += 5
            await health.check()
    assert [line["event"] for line in lines] == ["probe_failed", "probe_recovered"]


async def test_a_part_that_is_removed_while_it_is_looked_at_spoils_no_look(health: Health) -> None:
    began = asyncio.Event()

    async def hangs() -> str | None:
        began.set()
        await asyncio.Event().wait()
        return None

    health.register("well", Part("fine").probe)
    remove = health.register("leaving", hangs)
    asked = asyncio.create_task(health.check())
    await began.wait()
    remove()
    results = await asyncio.wait_for(asked, 5)
    assert [(result.name, result.ok) for result in results] == [("well", True), ("leaving", False)]
