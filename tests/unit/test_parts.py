"""The parts of a process: begun again when they fail, ended whatever they do with a cancellation."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from vtoc_bots.core import parts as parts_module
from vtoc_bots.core.errors import PluginError, StartupError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.parts import FOR_A_PERSON_SECONDS, Parts


class Clock:
    """Sleeps at once, and notes for how long it was asked to."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.asked = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.asked.set()
        await asyncio.sleep(0)


def parts_on(clock: Clock) -> Parts:
    store: Any = None  # nothing here takes jobs or leases
    return Parts(store, uuid4(), clock, Metrics(), 10)


async def test_a_part_that_fails_is_begun_again_later_each_time() -> None:
    clock, done = Clock(), asyncio.Event()
    parts = parts_on(clock)
    begun: list[None] = []

    async def work() -> None:
        begun.append(None)
        if len(begun) < 4:
            raise ZeroDivisionError
        done.set()
        await asyncio.Event().wait()

    parts.forever("shaky", work)
    await done.wait()
    assert clock.slept == [1.0, 2.0, 4.0]
    assert parts.failing == {}
    await parts.end()


@pytest.mark.parametrize(("error", "waits"), [(StartupError("no token"), True), (PluginError("odd"), False)])
async def test_what_a_person_must_mend_is_said_in_a_line_and_not_hurried(error: Exception, waits: bool) -> None:
    clock, failed = Clock(), asyncio.Event()
    parts = parts_on(clock)

    async def work() -> None:
        if failed.is_set():
            await asyncio.Event().wait()
        failed.set()
        raise error

    with capture_logs() as logs:
        parts.forever("transport.x", work)
        await asyncio.wait_for(clock.asked.wait(), 5)
    assert (clock.slept[0] == FOR_A_PERSON_SECONDS) is waits
    assert [(log["event"], log.get("exc_info")) for log in logs] == [("part_failed", None)]
    await parts.end()


async def test_a_part_that_loses_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "CANCEL_SECONDS", 0.01)
    parts = parts_on(Clock())
    lost: list[None] = []
    begun = asyncio.Event()

    async def work() -> None:
        while True:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if len(lost) == 2:
                    raise
                lost.append(None)

    parts.forever("stubborn", work)
    await begun.wait()
    with capture_logs() as logs:
        await asyncio.wait_for(parts.end(), 5)
    assert len(lost) == 2
    assert [log["parts"] for log in logs if log["event"] == "parts_still_ending"] == [["stubborn"], ["stubborn"]]
