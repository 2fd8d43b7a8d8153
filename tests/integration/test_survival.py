"""Workers killed, frozen and cut off from Postgres: nothing lost, nothing done twice that a person can see."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from tests.embedded_kit import data
from tests.platform_kit import Platform, Workers, know_operator, say, until
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.upgrade import upgrade
from vtoc_bots.core.store.urls import DatabaseUrls

__all__ = ["data"]  # a fixture

UNDONE = """
SELECT (SELECT count(*) FROM vtoc_engine.inbox WHERE state = 'new') AS messages,
    (SELECT count(*) FROM vtoc_engine.runs WHERE state IN ('ready', 'waiting')) AS runs,
    (SELECT count(*) FROM vtoc_engine.outbox WHERE state IN ('due', 'unknown') AND kind <> 'progress') AS outbounds,
    (SELECT count(*) FROM vtoc_engine.runs) AS started
"""


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[Platform]:
    async with Platform().open() as opened:
        yield opened


def environ_of(urls: DatabaseUrls) -> dict[str, str]:
    return {"DATABASE_URL": urls.main.text, "DATABASE_ADMIN_URL": urls.admin.text}


async def all_done(store: Store, workers: Workers, runs: int, seconds: float) -> None:
    left: dict[str, int] = {}

    async def done() -> bool:
        left.update(await undone(store))
        return left["started"] == runs and not (left["messages"] or left["runs"] or left["outbounds"])

    await until(done, seconds, lambda: f"not done: {left}\n{workers.logs()[-3000:]}")


async def undone(store: Store) -> dict[str, int]:
    row = await store.fetchrow(UNDONE, idempotent=True)
    assert row is not None
    return dict(row)


async def check_exactly_once(store: Store, platform: Platform, workers: Workers, runs: int, *, repeats: bool) -> None:
    """Every run finished, no step began after it had finished, each result shown once (or marked as a repeat)."""
    states = Counter(row["state"] for row in await store.fetch("SELECT state FROM vtoc_engine.runs"))
    assert states == {"succeeded": runs}
    finished = {
        (str(row["run_id"]), row["step"]): row["finished_at"].timestamp()
        for row in await store.fetch("SELECT run_id, step, finished_at FROM vtoc_engine.steps")
    }
    assert len(finished) == 3 * runs
    late = [(run, step, pid) for run, step, pid, at in workers.marks() if at > finished[(run, step)]]
    assert late == [], "a finished step was begun again"
    results = platform.results()
    assert len(results) == runs
    for key, sends in results.items():
        assert len({send["title"] for send in sends}) == 1
        assert all(send["repeat"] for send in sends[1:]) if repeats else len(sends) == 1, (key, sends)


@pytest.mark.parametrize(("runs", "kills", "looks_up"), [(200, 20, True), (40, 6, False)])
async def test_workers_killed_at_any_moment_lose_and_repeat_nothing(
    store: Store,
    database_urls: DatabaseUrls,
    platform: Platform,
    tmp_path: Path,
    runs: int,
    kills: int,
    looks_up: bool,
) -> None:
    dice = random.Random(7)
    workers = Workers(tmp_path, platform.port, environ_of(database_urls), looks_up=looks_up)
    await know_operator(store)
    try:
        pair = [await workers.start(), await workers.start()]
        await asyncio.gather(*(say(store, f"/playbook mark_three n={n}", f"room{n}") for n in range(runs)))
        for _ in range(kills):
            marks = len(workers.marks())

            async def moved(marks: int = marks) -> bool:
                left = await undone(store)
                return len(workers.marks()) > marks or not (left["messages"] or left["runs"] or left["outbounds"])

            # A kill counts only in the middle of work, not while both workers are still starting.
            await until(moved, 60, workers.logs)
            await asyncio.sleep(dice.random() * 0.2)
            victim = dice.randrange(2)
            pair[victim].kill()
            await pair[victim].wait()
            await store.execute("DELETE FROM vtoc_engine.pgqueuer WHERE random() < 0.3")
            pair[victim] = await workers.start()
        await all_done(store, workers, runs, 90)
        await check_exactly_once(store, platform, workers, runs, repeats=not looks_up)
    finally:
        await workers.close()


async def test_a_frozen_worker_that_thaws_writes_nothing(
    store: Store, database_urls: DatabaseUrls, platform: Platform, tmp_path: Path
) -> None:
    workers = Workers(tmp_path, platform.port, environ_of(database_urls))
    await know_operator(store)
    (tmp_path / "gate-two").touch()
    try:
        frozen = await workers.start()
        await say(store, "/playbook mark_three n=1", "room")

        async def at_step_two() -> bool:
            return any(step == "two" for _, step, _, _ in workers.marks())

        await until(at_step_two, 60, workers.logs)
        frozen.send_signal(signal.SIGSTOP)
        (tmp_path / "gate-two").unlink()
        other = await workers.start()
        await all_done(store, workers, 1, 60)
        before = await store.fetch("SELECT * FROM vtoc_engine.steps ORDER BY index")
        frozen.send_signal(signal.SIGCONT)

        async def noticed() -> bool:
            log = (tmp_path / "worker-0.log").read_text()
            return "run_lost" in log or "lease_lost" in log

        await until(noticed, 30, workers.logs)
        assert await store.fetch("SELECT * FROM vtoc_engine.steps ORDER BY index") == before
        assert [send["pid"] for sends in platform.results().values() for send in sends] == [other.pid]
    finally:
        await workers.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
async def test_postgres_restarted_under_load_loses_nothing(
    how: signal.Signals, platform: Platform, tmp_path: Path, data: Path
) -> None:
    embedded = await Embedded.acquire(data)
    store: Store | None = None
    workers = Workers(tmp_path, platform.port, {"KIT_DATA": str(data)})
    try:
        await upgrade(embedded.urls)
        store = await Store.open(lambda: embedded.urls)
        await know_operator(store)
        both = [await workers.start(), await workers.start()]
        runs = 60
        await asyncio.gather(*(say(store, f"/playbook mark_three n={n}", f"room{n}") for n in range(runs // 2)))

        async def under_way() -> bool:
            return len(workers.marks()) > 5

        await until(under_way, 60, workers.logs)
        started = await store.fetchval("SELECT pg_postmaster_start_time()")
        backend = await store.fetchval("SELECT pg_backend_pid()")
        os.kill(psutil.Process(backend).ppid(), how)
        late = [
            asyncio.create_task(say(store, f"/playbook mark_three n={n}", f"room{n}")) for n in range(runs // 2, runs)
        ]
        await asyncio.gather(*late)
        await all_done(store, workers, runs, 90)
        assert await store.fetchval("SELECT pg_postmaster_start_time()") > started
        assert [process.returncode for process in both] == [None, None]
        await check_exactly_once(store, platform, workers, runs, repeats=False)
    finally:
        await workers.close()
        if store is not None:
            await store.close()
        await embedded.close()
