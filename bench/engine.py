"""The engine's throughput: accepts a second, and runs of three steps a second, beside hand-written statements."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.world import THREE_STEPS, database, nothing, percentile
from vtoc_bots.core.access import Access
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.observers import Observers
from vtoc_bots.core.people import People
from vtoc_bots.core.playbooks.approvals import Approvals
from vtoc_bots.core.playbooks.library import Library
from vtoc_bots.core.playbooks.load import parse_source
from vtoc_bots.core.playbooks.progress import ProgressBoard
from vtoc_bots.core.playbooks.runs import Runner
from vtoc_bots.core.queue import ADVANCE, Lane, Worker
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.store.inbox import InboxRows, NewMessage
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.runs import RunRows
from vtoc_bots.core.store.stations import Stations

ACCEPTS = 20_000
AT_ONCE = 64
RUNS = 4_000
RUNS_AT_ONCE = 50
ROUNDS = 3


async def run() -> list[str]:
    """Rows of accepts and of runs, each the median of three rounds with its floor measured beside it."""
    async with database() as (store, folder):
        accepts = [await _accepts(store) for _ in range(ROUNDS)]
        runs = [await _runs(store, folder) for _ in range(ROUNDS)]
    rate, p99, bare = sorted(accepts)[1]
    ours, hand = sorted(runs)[1]
    return [
        f"| accepts a second, {AT_ONCE} at once, each on disk before its answer (p99 {p99 * 1000:.1f} ms; bars 10,000, "
        f"10 ms) | {rate:,.0f} | {bare:,.0f} (grouped bare inserts; bar 0.12) | {rate / bare:.2f} |",
        f"| runs of three no-op steps a second, {RUNS_AT_ONCE} at once | {ours:,.0f} | {hand:,.0f} (hand-written loop, "
        f"one commit a step; bar 1.3) | {ours / hand:.2f} |",
    ]


async def _accepts(store: Store) -> tuple[float, float, float]:
    rows = InboxRows(store)
    waits: list[float] = []
    mark = new_id().hex

    async def sender(worker: int) -> None:
        for number in range(ACCEPTS // AT_ONCE):
            message_id = new_id()
            began = time.perf_counter()
            await rows.accept(
                NewMessage(
                    message_id,
                    "bench",
                    "bot",
                    f"{mark}-{worker}-{number}",
                    f"bench:bot:{worker}",
                    "bench",
                    {"event_id": f"{worker}-{number}", "sender": ["u1", "bench", ""], "kind": "text", "text": "/ping"},
                    message_id,
                    None,
                )
            )
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(sender(worker) for worker in range(AT_ONCE)))
    rate = len(waits) / (time.perf_counter() - began)
    bare = await _bare_inserts(store)
    await store.execute("DELETE FROM vtoc_engine.inbox")
    await store.execute("DELETE FROM vtoc_engine.pgqueuer")
    return rate, percentile(waits, 0.99), bare


async def _bare_inserts(store: Store) -> float:
    """Rows a second of the same size in groups of as many, with nothing around them."""
    began = time.perf_counter()
    for start in range(0, ACCEPTS, AT_ONCE):
        tokens = [f"{start}-{number}-{began}" for number in range(AT_ONCE)]
        values = [
            {"event_id": token, "sender": ["u1", "bench", ""], "kind": "text", "text": "/ping"} for token in tokens
        ]
        await store.execute(
            "INSERT INTO vtoc_engine.buttons (token, value, expires_at)"
            " SELECT t, v, now() FROM unnest($1::text[], $2::jsonb[]) AS n(t, v)",
            tokens,
            values,
        )
    rate = ACCEPTS / (time.perf_counter() - began)
    await store.execute("DELETE FROM vtoc_engine.buttons")
    return rate


async def _runs(store: Store, folder: Any) -> tuple[float, float]:
    hand = await _hand_written(store)
    actions = {nothing.name: nothing}
    playbook = parse_source(THREE_STEPS, actions)
    settings = load_settings(folder / "config", folder, environ={})
    clock, metrics = SystemClock(), Metrics()
    stations = Stations(store)
    await stations.sync(settings.stations)
    people = People(Operators(store), stations, clock, {}, settings.station.slug)
    library = Library({playbook.id: playbook}, actions)
    approvals, board = Approvals(store, Access(), clock, Notices(store, {})), ProgressBoard(store, clock)
    services: Any = None
    runner = Runner(
        RunRows(store, 15), library, approvals, board, services, people, clock, metrics, Observers((), metrics), 15
    )
    await store.execute(
        "WITH made AS (INSERT INTO vtoc_engine.runs (id, key, playbook, title, station, source, digest, inputs,"
        " correlation_id) SELECT gen_random_uuid(), gen_random_uuid()::text, $1, 'Three', $2, $3, $4, '{}',"
        " gen_random_uuid() FROM generate_series(1, $5) RETURNING id)"
        " INSERT INTO vtoc_engine.pgqueuer (priority, entrypoint, payload, status)"
        " SELECT 10, 'advance', convert_to(id::text, 'UTF8'), 'queued' FROM made",
        playbook.id,
        settings.station.slug,
        playbook.source,
        playbook.digest,
        RUNS,
        timeout=60,
    )
    worker = Worker(store.direct_connection, [Lane("advance", {ADVANCE: runner.advance}, RUNS_AT_ONCE)], clock)
    began = time.perf_counter()
    working = asyncio.create_task(worker.run())
    while await store.fetchval("SELECT EXISTS (SELECT FROM vtoc_engine.runs WHERE state = 'ready')"):
        await asyncio.sleep(0.05)
    rate = RUNS / (time.perf_counter() - began)
    worker.stop()
    await working
    done = await store.fetchval("SELECT count(*) FROM vtoc_engine.steps WHERE state = 'done'")
    if done != 3 * RUNS:
        raise RuntimeError(f"{done} steps done of {3 * RUNS}")
    await store.execute("DELETE FROM vtoc_engine.runs", timeout=60)
    return rate, hand


async def _hand_written(store: Store) -> float:
    """Claim a run, write three steps, each its own commit, the last one with the run's end; nothing else."""
    await store.execute(
        "INSERT INTO vtoc_engine.runs (id, key, playbook, title, station, source, digest, inputs, correlation_id)"
        " SELECT gen_random_uuid(), gen_random_uuid()::text, 'p', 't', 's', '', '', '{}', gen_random_uuid()"
        " FROM generate_series(1, $1)",
        RUNS,
        timeout=60,
    )
    claim = (
        "UPDATE vtoc_engine.runs SET attempt = attempt + 1, due_at = now() WHERE id = (SELECT id FROM vtoc_engine.runs"
        " WHERE state = 'ready' AND attempt = 0 ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id"
    )
    step = (
        "INSERT INTO vtoc_engine.steps (run_id, step, index, state, attempt, output)"
        " VALUES ($1, $2, $3, 'done', 1, 'null')"
    )
    last = f"WITH s AS ({step}) UPDATE vtoc_engine.runs SET state = 'succeeded', finished_at = now() WHERE id = $1"

    async def worker() -> None:
        while (run_id := await store.fetchval(claim)) is not None:
            await store.execute(step, run_id, "one", 0)
            await store.execute(step, run_id, "two", 1)
            await store.execute(last, run_id, "three", 2)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(RUNS_AT_ONCE)))
    rate = RUNS / (time.perf_counter() - began)
    await store.execute("DELETE FROM vtoc_engine.runs", timeout=60)
    return rate
