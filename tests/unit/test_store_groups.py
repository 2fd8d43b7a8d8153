"""Group commit, with a store that only remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.store.connection import Connection
from vtoc_bots.core.store.groups import GroupCommit
from vtoc_bots.core.store.retry import DatabaseUnavailable, TransactionConflict


class FakeStore:
    """Runs the work at once; knows whether it was said to be idempotent."""

    def __init__(self) -> None:
        self.idempotent: list[bool] = []

    async def run(self, work: Callable[[Connection], Awaitable[Any]], *, idempotent: bool = False) -> Any:
        self.idempotent.append(idempotent)
        return await work(Connection(None))


class Sink:
    """A flush that keeps its groups, and waits at the gate while that is shut."""

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.written: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.began = asyncio.Event()
        self.errors: list[Exception] = []

    async def flush(self, connection: Connection, items: list[Any]) -> Sequence[Any]:
        self.groups.append(items)
        self.began.set()
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        if "bad" in items:
            raise ValueError("bad item")
        self.written += items
        return [KeyError(item) if item == "refused" else f"done {item}" for item in items]


def grouped(sink: Sink, **options: Any) -> GroupCommit[Any, Any]:
    return GroupCommit(FakeStore(), sink.flush, name="test", **options)


async def held(sink: Sink, group: GroupCommit[Any, Any], items: Sequence[Any]) -> list[asyncio.Task[Any]]:
    """Adds the items while a first flush, of ``first``, is under way."""
    sink.gate.clear()
    first = asyncio.create_task(group.add("first"))
    await sink.began.wait()
    tasks = [asyncio.create_task(group.add(item)) for item in items]
    await asyncio.sleep(0)
    assert group.waiting == len(items)
    return [first, *tasks]


async def test_an_idle_group_writes_the_first_item_at_once() -> None:
    sink = Sink()
    assert await grouped(sink).add(1) == "done 1"
    assert sink.groups == [[1]]


async def test_items_added_during_a_flush_share_the_next_and_each_gets_its_own_result() -> None:
    sink = Sink()
    group = grouped(sink)
    tasks = await held(sink, group, range(5))
    sink.gate.set()
    assert await asyncio.gather(*tasks) == ["done first", *(f"done {n}" for n in range(5))]
    assert sink.groups == [["first"], [0, 1, 2, 3, 4]]
    assert (group.stats.groups, group.stats.items, group.waiting) == (2, 6, 0)


async def test_a_group_is_never_larger_than_its_limit() -> None:
    sink = Sink()
    tasks = await held(sink, group := grouped(sink, max_size=2), range(5))
    sink.gate.set()
    await asyncio.gather(*tasks)
    assert sink.groups == [["first"], [0, 1], [2, 3], [4]]
    assert group.waiting == 0


async def test_a_bad_item_fails_alone() -> None:
    sink = Sink()
    group = grouped(sink)
    tasks = await held(sink, group, [1, 2, "bad", 4, 5, 6])
    sink.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == [
        "done first",
        "done 1",
        "done 2",
        "bad item",
        "done 4",
        "done 5",
        "done 6",
    ]
    assert sink.written == ["first", 1, 2, 4, 5, 6]
    assert group.stats.split == 3


async def test_a_result_that_is_an_error_is_raised_to_its_caller_alone() -> None:
    sink = Sink()
    tasks = await held(sink, grouped(sink), [1, "refused", 2])
    sink.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [str, str, KeyError, str]


async def test_a_lost_connection_fails_the_whole_group_once() -> None:
    sink = Sink()
    tasks = await held(sink, grouped(sink), [1, 2])
    sink.errors = [DatabaseUnavailable("gone"), DatabaseUnavailable("gone")]
    sink.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, DatabaseUnavailable) for result in results)
    assert sink.groups == [["first"], [1, 2]]


async def test_a_group_that_lost_a_deadlock_is_done_again() -> None:
    sink = Sink()
    sink.errors = [TransactionConflict("deadlock"), TransactionConflict("deadlock")]
    assert await grouped(sink).add(1) == "done 1"
    assert sink.groups == [[1], [1], [1]]


async def test_the_store_hears_whether_a_write_may_be_repeated() -> None:
    for idempotent in (True, False):
        store, sink = FakeStore(), Sink()
        await GroupCommit(store, sink.flush, name="test", idempotent=idempotent).add(1)
        assert store.idempotent == [idempotent]


async def test_a_full_queue_turns_items_away_and_counts_them() -> None:
    sink = Sink()
    tasks = await held(sink, group := grouped(sink, max_waiting=2), [1, 2])
    with pytest.raises(TransientError, match="2 writes are waiting"):
        await group.add(3)
    assert group.stats.refused == 1
    sink.gate.set()
    await asyncio.gather(*tasks)
    assert await group.add(4) == "done 4"


async def test_a_caller_that_gave_up_before_its_flush_wrote_nothing() -> None:
    sink = Sink()
    first, second, third = await held(sink, grouped(sink), ["second", "third"])
    second.cancel()
    sink.gate.set()
    assert await asyncio.gather(first, third) == ["done first", "done third"]
    assert sink.written == ["first", "third"]


async def test_a_caller_that_gave_up_during_its_flush_disturbs_nobody() -> None:
    sink = Sink()
    (first,) = await held(sink, group := grouped(sink), [])
    first.cancel()
    await asyncio.sleep(0)
    sink.gate.set()
    assert await group.add("next") == "done next"
    assert sink.written == ["first", "next"]


async def test_several_flushes_may_be_in_flight() -> None:
    sink = Sink()
    sink.gate.clear()
    group = grouped(sink, in_flight=2, max_size=1)
    tasks = [asyncio.create_task(group.add(item)) for item in (1, 2, 3)]
    # Once for the callers, once for the flights they began.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (sink.groups, group.waiting) == ([[1], [2]], 1)
    sink.gate.set()
    assert await asyncio.gather(*tasks) == ["done 1", "done 2", "done 3"]


async def test_a_flush_that_forgets_an_item_is_an_error_and_not_a_silence() -> None:
    async def forgetful(connection: Connection, items: list[int]) -> list[int]:
        return items[1:]

    with pytest.raises(RuntimeError, match="0 results for 1 items"):
        await GroupCommit(FakeStore(), forgetful, name="test").add(1)


@settings(deadline=None)
@given(
    items=st.lists(st.sampled_from(["good", "bad", "refused"]), max_size=40),
    max_size=st.integers(1, 9),
    in_flight=st.integers(1, 3),
)
def test_every_caller_gets_the_answer_of_its_own_item(items: list[str], max_size: int, in_flight: int) -> None:
    async def scenario() -> None:
        sink = Sink()
        group = grouped(sink, max_size=max_size, in_flight=in_flight)
        results = await asyncio.gather(*(group.add(item) for item in items), return_exceptions=True)
        wanted = {"good": str, "bad": ValueError, "refused": KeyError}
        assert [type(result) for result in results] == [wanted[item] for item in items]
        assert len(sink.written) == sum(item != "bad" for item in items)
        assert group.waiting == 0

    asyncio.run(scenario())
