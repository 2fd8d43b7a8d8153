"""Workers frozen in a handler or a send, poisoned by what they do, robbed of every job: who is told what."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.kill_kit import KillWorkers
from tests.platform_kit import Platform, know_operator, say, until
from vtoc_bots.core.playbooks.runs import MAX_FAILURES
from vtoc_bots.core.router import MAX_ATTEMPTS
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[Platform]:
    async with Platform().open() as opened:
        yield opened


@pytest_asyncio.fixture
async def workers(
    store: Store, database_urls: DatabaseUrls, platform: Platform, tmp_path: Path
) -> AsyncIterator[KillWorkers]:
    environ = {"DATABASE_URL": database_urls.main.text, "DATABASE_ADMIN_URL": database_urls.admin.text}
    await know_operator(store)
    opened = KillWorkers(tmp_path, platform.port, environ)
    yield opened
    await opened.close()


async def becomes(workers: KillWorkers, store: Store, sql: str, wanted: Any, seconds: float = 60) -> None:
    """Wait until the query's value is the wanted one."""
    seen: list[Any] = []

    async def there() -> bool:
        seen[:] = [await store.fetchval(sql)]
        return bool(seen[0] == wanted)

    await until(there, seconds, lambda: f"{sql}: {seen}, not {wanted}\n{workers.logs()[-3000:]}")


async def happens(workers: KillWorkers, what: Any, seconds: float = 60) -> None:
    """Wait until it is true."""

    async def there() -> bool:
        return bool(what())

    await until(there, seconds, workers.logs)


async def test_a_worker_frozen_in_a_handler_answers_nothing_when_it_thaws(
    store: Store, platform: Platform, workers: KillWorkers
) -> None:
    (workers.folder / "gate-hold").touch()
    frozen = await workers.start()
    await say(store, "/hold", "room")
    await happens(workers, lambda: workers.noted("held"))
    frozen.send_signal(signal.SIGSTOP)
    (workers.folder / "gate-hold").unlink()
    other = await workers.start()
    await becomes(workers, store, "SELECT state FROM vtoc_engine.outbox", "sent")
    before = await store.fetch("SELECT key, state, card FROM vtoc_engine.outbox")
    frozen.send_signal(signal.SIGCONT)
    log = workers.folder / "worker-0.log"
    await happens(workers, lambda: "conversation_lost" in log.read_text() or "lease_lost" in log.read_text())
    await say(store, "/whoami", "annex")
    await becomes(workers, store, "SELECT count(*) FROM vtoc_engine.outbox WHERE state = 'sent'", 2)
    assert workers.noted("held") == [str(frozen.pid), str(other.pid)]
    held = [sends for key, sends in platform.sent.items() if f"held by {other.pid}" in sends[0]["text"]]
    assert [len(sends) for sends in held] == [1]
    assert f"held by {frozen.pid}" not in str(platform.sent)
    assert (await store.fetch("SELECT key, state, card FROM vtoc_engine.outbox ORDER BY seq"))[:1] == before
    assert "Traceback" not in log.read_text()


async def test_a_worker_frozen_in_a_send_is_succeeded_by_one_that_looks_up(
    store: Store, platform: Platform, workers: KillWorkers
) -> None:
    reached: list[int] = []

    def stall(request: dict[str, Any]) -> str:
        reached.append(request["pid"])
        return "ok" if len(reached) > 1 else "shown and stalled"

    platform.manners = stall
    frozen = await workers.start()
    await say(store, "/whoami", "room")
    await happens(workers, lambda: reached)
    frozen.send_signal(signal.SIGSTOP)
    await workers.start()
    await becomes(workers, store, "SELECT state FROM vtoc_engine.outbox", "sent")
    before = await store.fetch("SELECT state, receipt, sent_at, tries FROM vtoc_engine.outbox")
    frozen.send_signal(signal.SIGCONT)
    log = workers.folder / "worker-0.log"
    await happens(workers, lambda: "lost" in log.read_text())
    assert await store.fetch("SELECT state, receipt, sent_at, tries FROM vtoc_engine.outbox") == before
    assert reached == [frozen.pid], "the other found it and did not send it"


@pytest.mark.parametrize("text", ["/die", "/playbook poison"])
async def test_what_kills_its_worker_each_time_is_given_up_and_told(
    store: Store, platform: Platform, workers: KillWorkers, text: str
) -> None:
    await say(store, text, "room")
    worker = await workers.start()
    assert await asyncio.wait_for(worker.wait(), 60) == 9
    # Most of its beginnings, without the waits between them.
    await store.execute("UPDATE vtoc_engine.inbox SET attempt = $1 WHERE state = 'new'", MAX_ATTEMPTS - 1)
    await store.execute("UPDATE vtoc_engine.runs SET failures = $1", MAX_FAILURES - 1)
    worker = await workers.start()
    assert await asyncio.wait_for(worker.wait(), 60) == 9, "it is tried a last time"
    await workers.start()
    await happens(workers, lambda: platform.sent)
    told = str(platform.sent)
    assert "Given up" in told or "is not tried again" in told
    assert len(workers.noted("died")) == 2
    assert len({step for _, step, _, _ in workers.marks()}) == len(workers.marks()), "the step before ran once"
    undone = (
        "SELECT (SELECT count(*) FROM vtoc_engine.inbox WHERE state = 'new')"
        " + (SELECT count(*) FROM vtoc_engine.runs WHERE state IN ('ready', 'waiting'))"
    )
    assert await store.fetchval(undone) == 0
    await say(store, "/whoami", "room")
    await happens(workers, lambda: len(platform.sent) == 2)


async def test_conversations_keep_their_order_on_two_workers_that_are_robbed_of_every_job(
    store: Store, platform: Platform, workers: KillWorkers
) -> None:
    both = [await workers.start(), await workers.start()]
    rooms, each = 8, 6
    asked: dict[str, list[str]] = defaultdict(list)
    for number in range(each):
        for room in range(rooms):
            name = f"room{room}"
            text = f"/nonsense{number}" if number % 2 else "/whoami"
            asked[f"kit:bot:{name}"].append(f"message:{await say(store, text, name)}:reply")
        await store.execute("DELETE FROM vtoc_engine.pgqueuer")
    seen = "SELECT count(*) FROM vtoc_engine.outbox WHERE state = 'sent'"

    async def robbed() -> bool:
        await store.execute("DELETE FROM vtoc_engine.pgqueuer WHERE random() < 0.5")
        return bool(await store.fetchval(seen) == rooms * each)

    await until(robbed, 90, workers.logs)
    answered: dict[str, list[str]] = defaultdict(list)
    for key, sends in platform.sent.items():
        assert len(sends) == 1
        answered[sends[0]["conversation"]].append(key)
    assert answered == asked
    assert [process.returncode for process in both] == [None, None]


async def test_schedules_fire_once_a_tick_on_two_workers_also_after_a_night_without_any(
    store: Store, workers: KillWorkers
) -> None:
    insert = (
        "INSERT INTO vtoc_engine.schedules (name, playbook, station, cron, timezone, next_at)"
        " VALUES ($1, $2, 'toc-s1', $3, $4, now() - make_interval(secs => $5))"
    )
    await store.execute(insert, "unreadable", "quick", "every now and then", "UTC", 2.0)
    await store.execute(insert, "nowhere", "quick", "* * * * *", "Atlantis/Port", 2.0)
    await store.execute(insert, "gone", "no_such_playbook", "* * * * *", "UTC", 2.0)
    await store.execute(insert, "missed", "quick", "0 3 * * *", "Europe/Berlin", 60.0)
    await store.execute(insert, "long ago", "quick", "0 3 1 1 *", "UTC", 12 * 3600.0)
    # A tick a second, for as long as the test looks.
    await store.execute(insert, "often", "quick", "* * * * * *", "UTC", 0.0)
    await workers.start()
    await workers.start()
    often = "SELECT count(*) >= 4 FROM vtoc_engine.runs WHERE key LIKE 'schedule:often:%' AND state = 'succeeded'"
    await becomes(workers, store, often, True)
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.schedules WHERE name <> 'often' AND next_at < now()"
                                ) == 0  # fmt: skip
    rows = await store.fetch("SELECT key, state FROM vtoc_engine.runs WHERE key NOT LIKE 'schedule:often:%'")
    assert [row["key"].split(":")[1] for row in rows] == ["missed"]
    keys = [row["key"] for row in await store.fetch("SELECT key FROM vtoc_engine.runs")]
    begun = [run for run, _, _, _ in workers.marks()]
    assert len(keys) == len(set(keys))
    assert len(begun) == len(set(begun)), "each run's step once"
