"""From accepting a message to handing its answer to the platform, on an idle worker, beside the bare queue hops.

The worker and its floors take turns, one message each: a disk that flushes in 0.2 ms now and in 8 ms a minute later
makes any other comparison a comparison of minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from bench.world import BenchTransport, database, percentile, running
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.queue import ADVANCE, DELIVER, HANDLE, Hint, Lane, Worker, hint_insert
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls

TIMES: Final = 300
WARM_UP: Final = 20
LAST: Final = f"{DELIVER}.bench"
ROUTES: Final = {"two": (HANDLE, LAST), "three": (HANDLE, ADVANCE, LAST), "steps": (HANDLE, ADVANCE, LAST)}
"""The jobs that stand for a quick command and for a run; `steps` also writes three rows while it advances."""

_HINT: Final = hint_insert("SELECT $1::int, $2::text, $3::text")
_ROW: Final = "INSERT INTO vtoc_engine.buttons (token, value, expires_at) VALUES (gen_random_uuid()::text, '{}', now())"
Work = Callable[[int], Awaitable[None]]


async def run() -> list[str]:
    """Rows of a quick command and of a three-step run."""
    async with AsyncExitStack() as stack:
        _, ours = await stack.enter_async_context(database())
        durable = await stack.enter_async_context(_hops(is_durable=True))
        volatile = await stack.enter_async_context(_hops(is_durable=False))
        transport = BenchTransport()
        await stack.enter_async_context(running(ours, transport))
        taken = await _taken_in_turns(
            {
                "quick": lambda number: transport.ask("/ping", 2 * number),
                "two": durable["two"],
                "two, volatile": volatile["two"],
                "run": lambda number: transport.ask("/playbook bench_three", 2 * number + 1),
                "three": durable["three"],
                "three, volatile": volatile["three"],
                "steps": durable["steps"],
            }
        )
    floors = {
        "two": "two durable queue hops doing nothing; bar 1.5",
        "two, volatile": "with hops that a crash may lose",
    }
    rows = [_row("a quick command", taken["quick"], taken[name], what) for name, what in floors.items()]
    floors = {
        "steps": "three durable queue hops and three steps' rows, each committed, doing nothing; bar 1.5",
        "three": "the hops alone",
        "three, volatile": "with hops that a crash may lose",
    }
    return rows + [_row("a three-step run", taken["run"], taken[name], what) for name, what in floors.items()]


def _row(what: str, ours: list[float], floor: list[float], floor_is: str) -> str:
    mine, bare = ([percentile(values, share) * 1000 for share in (0.5, 0.99)] for values in (ours, floor))
    return (
        f"| accept → reply handed over, {what}, p50 and p99 | {mine[0]:.1f} and {mine[1]:.1f} ms | "
        f"{bare[0]:.1f} and {bare[1]:.1f} ms ({floor_is}) | {mine[0] / bare[0]:.2f} and {mine[1] / bare[1]:.2f} |"
    )


async def _taken_in_turns(works: dict[str, Work]) -> dict[str, list[float]]:
    """Seconds that each takes, time after time, one after the other."""
    taken: dict[str, list[float]] = defaultdict(list)
    for number in range(-WARM_UP, TIMES):
        for name, work in works.items():
            began = time.perf_counter()
            await work(number)
            if number >= 0:
                taken[name].append(time.perf_counter() - began)
            await asyncio.sleep(0.01)
    return taken


@asynccontextmanager
async def _hops(*, is_durable: bool) -> AsyncIterator[dict[str, Work]]:
    """The routes on a database of their own, through PgQueuer's table as it is by default, or unlogged as ours."""
    async with database() as (store, folder):
        if is_durable:
            await _make_durable(folder)
        ended: dict[str, asyncio.Event] = {}
        lanes = [Lane(name, {name: _hop(store, name, ended)}, 64) for name in ROUTES["three"]]
        workers = [Worker(store.direct_connection, [lane], SystemClock()) for lane in lanes]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        while not all(all(worker.connected.values()) for worker in workers):
            await asyncio.sleep(0.02)

        def going(route: str) -> Work:
            async def once(number: int) -> None:
                payload = f"{route}:{number}"
                ended[payload] = asyncio.Event()
                await store.execute(_HINT, *_hint(ROUTES[route][0], payload))
                await asyncio.wait_for(ended[payload].wait(), 30)

            return once

        yield {route: going(route) for route in ROUTES}
        for worker in workers:
            worker.stop()
        await asyncio.gather(*tasks)


async def _make_durable(folder: Path) -> None:
    embedded = await Embedded.acquire(folder)
    owner = await Store.open(DatabaseUrls.of(embedded.urls.admin.text))
    await owner.execute("ALTER TABLE vtoc_engine.pgqueuer SET LOGGED")
    await owner.close()
    await embedded.close()


def _hop(store: Store, entrypoint: str, ended: dict[str, asyncio.Event]) -> Callable[[str], Awaitable[None]]:
    """Queue the route's next job, or say that it has ended."""

    async def work(payload: str) -> None:
        name = payload.partition(":")[0]
        route = ROUTES[name]
        following = route.index(entrypoint) + 1
        if following == len(route):
            ended[payload].set()
            return
        sql = _HINT
        if name == "steps" and entrypoint == ADVANCE:
            await store.execute(_ROW)
            await store.execute(_ROW)
            # As a hand-written loop would: the last step's row with what follows from it.
            sql = f"WITH step AS ({_ROW}) {_HINT}"
        await store.execute(sql, *_hint(route[following], payload))

    return work


def _hint(entrypoint: str, payload: str) -> tuple[int, str, str]:
    return Hint(entrypoint, payload).priority, entrypoint, payload
