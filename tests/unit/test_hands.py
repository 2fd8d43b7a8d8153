"""What a process takes up itself of what it wrote, and when it leaves that to jobs."""

from __future__ import annotations

import asyncio

from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.hands import MOST_UNBEGUN, Hands
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.queue import Hint, Lane, Work, Worker


async def never() -> None:
    await asyncio.Event().wait()


def a_worker(entrypoint: str, work: Work | None = None, concurrency: int = 8) -> Worker:
    """A worker whose queue never answers, taken to be connected."""

    async def nothing(payload: str) -> None:
        """Do nothing."""

    worker = Worker(never, [Lane(entrypoint, {entrypoint: work or nothing}, concurrency)], SystemClock())
    worker.connected[entrypoint] = True
    return worker


def test_a_process_that_does_only_some_kinds_of_work_leaves_everything_to_jobs() -> None:
    workers = [a_worker("handle"), a_worker("advance")]
    hands = Hands(workers)
    assert hands.free(1) == []
    workers.append(a_worker("deliver.room"))
    assert hands.free(1) == ["handle", "advance", "deliver.room"]


def test_a_lane_that_lost_its_connection_or_stops_takes_nothing_up() -> None:
    worker = a_worker("handle")
    assert worker.free(1) == ["handle"]
    worker.connected["handle"] = False
    assert worker.free(1) == []
    worker.connected["handle"] = True
    worker.stop()
    assert worker.free(1) == []


async def test_a_lane_that_is_half_busy_leaves_the_rest_to_jobs() -> None:
    gate, last = asyncio.Event(), asyncio.Event()

    async def work(payload: str) -> None:
        await gate.wait()
        if payload == "3":
            last.set()

    worker = a_worker("advance", work)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    assert worker.free(4) == ["advance"]
    assert worker.free(5) == []
    for number in range(4):
        assert worker.take(Hint("advance", str(number)))
    assert not worker.take(Hint("handle", "elsewhere"))
    await asyncio.sleep(0)
    assert worker.free(1) == []
    gate.set()
    await last.wait()
    assert worker.free(4) == ["advance"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not worker.take(Hint("advance", "too late"))


def test_only_the_latest_outbounds_made_here_are_remembered_and_each_begins_once() -> None:
    hands, first, last = Hands(), new_id(), new_id()
    hands.make([first])
    hands.make([*(new_id() for _ in range(MOST_UNBEGUN - 1)), last])
    assert len(hands.unbegun()) == MOST_UNBEGUN
    assert not hands.begin(first), "forgotten, so nothing is known of it"
    assert hands.begin(last)
    assert not hands.begin(last)
