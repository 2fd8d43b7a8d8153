"""Who is told of a job that is queued: the lanes whose work it is, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import orjson
import pytest_asyncio

from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.queue import Lane, Worker, hint_insert
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls


@pytest_asyncio.fixture
async def notices(database_urls: DatabaseUrls) -> AsyncIterator[asyncio.Queue[list[str]]]:
    """The entrypoints of each notice."""
    heard: asyncio.Queue[list[str]] = asyncio.Queue()
    raw = await connect(database_urls.main)
    await raw.add_listener("ch_pgqueuer", lambda *told: heard.put_nowait(orjson.loads(told[3])["entrypoints"]))
    yield heard
    await raw.close()


async def hint(store: Store, *entrypoints: str) -> None:
    await store.execute(hint_insert("SELECT 20, e, 'x' FROM unnest($1::text[]) e"), entrypoints)


async def test_a_notice_names_the_entrypoints_of_the_jobs_that_were_queued(
    store: Store, notices: asyncio.Queue[list[str]]
) -> None:
    await hint(store, "handle", "deliver.room", "handle")
    assert sorted(await asyncio.wait_for(notices.get(), 10)) == ["deliver.room", "handle"]


async def test_a_job_that_ends_and_none_that_is_queued_are_no_news(
    store: Store, notices: asyncio.Queue[list[str]]
) -> None:
    await hint(store)
    await hint(store, "handle")
    await store.execute("DELETE FROM vtoc_engine.pgqueuer")
    await hint(store, "advance")
    assert [await asyncio.wait_for(notices.get(), 10) for _ in range(2)] == [["handle"], ["advance"]]


async def test_a_lane_looks_for_no_work_of_others(database_urls: DatabaseUrls, store: Store) -> None:
    """Each look is four statements, in every lane of every process."""
    looks, worked = 0, asyncio.Event()

    async def work(payload: str) -> None:
        worked.set()

    async def connected() -> asyncpg.Connection:
        raw = await connect(database_urls.main)

        def count(query: asyncpg.connection.LoggedQuery) -> None:
            nonlocal looks
            looks += "FOR UPDATE" in query.query

        raw.add_query_logger(count)
        return raw

    worker = Worker(connected, [Lane("advance", {"advance": work}, 8)], SystemClock())
    running = asyncio.create_task(worker.run())
    await hint(store, "advance")
    await asyncio.wait_for(worked.wait(), 30)
    before = looks
    for _ in range(50):
        await hint(store, "handle")
    worked.clear()
    await hint(store, "advance")
    await asyncio.wait_for(worked.wait(), 30)
    worker.stop()
    await running
    assert before > 0
    assert looks - before < 8, "it looked at every notice"
