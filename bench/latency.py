"""From accepting a message to handing its answer to the platform, on an idle worker, beside the bare queue hops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.world import BenchTransport, database, percentile, running
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.queue import Hint, Lane, Worker, hint_insert
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls

TIMES = 200


async def run() -> list[str]:
    """Rows of a quick command and of a three-step run."""
    async with database() as (store, folder):
        two = await _both(store, folder, ["handle", "deliver.bench"])
        three = await _both(store, folder, ["handle", "advance", "deliver.bench"])
        transport = BenchTransport()
        async with running(folder, transport):
            await transport.ask("/ping", -1)
            quick = await _timed(lambda number: transport.ask("/ping", number))
            long = await _timed(lambda number: transport.ask("/playbook bench_three", number + TIMES))
    return [_row("a quick command", quick, two, "two"), _row("a three-step run", long, three, "three")]


def _row(what: str, ours: list[float], floors: tuple[list[float], list[float]], hops: str) -> str:
    durable, bare = floors
    figures = [percentile(values, share) * 1000 for values in (ours, durable, bare) for share in (0.5, 0.99)]
    return (
        f"| accept → reply handed over, {what}, p50 and p99 | {figures[0]:.1f} and {figures[1]:.1f} ms | "
        f"{figures[2]:.1f} and {figures[3]:.1f} ms ({hops} durable queue hops doing nothing; bar 1.5; with hops that a "
        f"crash may lose, as ours: {figures[4]:.1f} and {figures[5]:.1f} ms) | "
        f"{figures[0] / figures[2]:.2f} and {figures[1] / figures[3]:.2f} |"
    )


async def _both(store: Store, folder: Path, entrypoints: list[str]) -> tuple[list[float], list[float]]:
    """The hops through PgQueuer's table as it is by default (written to disk), and as we have it (unlogged)."""
    embedded = await Embedded.acquire(folder)
    owner = await Store.open(DatabaseUrls.of(embedded.urls.admin.text))
    try:
        await owner.execute("ALTER TABLE vtoc_engine.pgqueuer SET LOGGED")
        durable = await _hops(store, entrypoints)
        await owner.execute("ALTER TABLE vtoc_engine.pgqueuer SET UNLOGGED")
        return durable, await _hops(store, entrypoints)
    finally:
        await owner.close()
        await embedded.close()


async def _timed(work: Callable[[int], Awaitable[None]]) -> list[float]:
    taken = []
    for number in range(TIMES):
        began = time.perf_counter()
        await work(number)
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(0.01)
    return taken


async def _hops(store: Store, entrypoints: list[str]) -> list[float]:
    """The same jobs through the same lanes, each only queueing the next."""
    ended: dict[str, asyncio.Event] = {}

    async def queue(hint: Hint) -> None:
        await store.execute(
            hint_insert("SELECT $1::int, $2::text, $3::text"), hint.priority, hint.entrypoint, hint.payload
        )

    def hop(position: int) -> Callable[[str], Awaitable[None]]:
        async def work(payload: str) -> None:
            if position + 1 < len(entrypoints):
                await queue(Hint(entrypoints[position + 1], payload))
            else:
                ended[payload].set()

        return work

    workers = [
        Worker(store.direct_connection, [Lane(name, {name: hop(position)}, 64)], SystemClock())
        for position, name in enumerate(entrypoints)
    ]
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    while not all(all(worker.connected.values()) for worker in workers):
        await asyncio.sleep(0.02)

    async def once(number: int) -> None:
        payload = str(number)
        ended[payload] = asyncio.Event()
        await queue(Hint(entrypoints[0], payload))
        await asyncio.wait_for(ended[payload].wait(), 30)

    await once(-1)
    taken = await _timed(once)
    for worker in workers:
        worker.stop()
    await asyncio.gather(*tasks)
    return taken
