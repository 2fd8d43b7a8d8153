"""The rows of threads that live here: who sees them, the order of their changes, and how long they stay."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.remembered import Remembered
from vtoc_bots.core.store.sweeps import Sweeps
from vtoc_bots.core.store.threads import ThreadItem, ThreadRows, Viewer

ADA, BOB, EVE = Viewer("toc-s1", "ada"), Viewer("toc-s1", "bob"), Viewer("toc-s2", "ada")
NAIVE = '{"id":"i1", "created_at":"2026-01-02T03:04:05.678901",  "n":1.0e2, "text":"\\u0000\\u2028 ü"}'


async def test_bodies_are_given_back_letter_by_letter(store: Store) -> None:
    rows = ThreadRows(store)
    await rows.put(ADA, "t1", "toc-s1", '{"id": "t1",  "title":null}')
    await rows.write("t1", [ThreadItem("i1", NAIVE)])
    assert (await rows.thread(ADA, "t1"))["body"] == '{"id": "t1",  "title":null}'
    assert (await rows.item("t1", "ada", "i1"))["body"] == NAIVE


async def test_what_a_viewer_may_not_see_does_not_exist(store: Store) -> None:
    rows = ThreadRows(store)
    await rows.put(ADA, "t1", "toc-s1", "{}")
    await rows.make("toc-s1", "toc-s1", "t2", "{}", "alert:x")
    await rows.write("t2", [ThreadItem("open", "{}"), ThreadItem("secret", "{}", "ada")])
    for viewer in (BOB, EVE):
        with pytest.raises(NotFound):
            await rows.thread(viewer, "t1")
        with pytest.raises(NotFound):
            await rows.put(viewer, "t1", "toc-s1", '{"mine": true}')
        with pytest.raises(NotFound):
            await rows.delete(viewer, "t1")
    assert [row["id"] for row in await rows.threads(BOB, None, 9, newest_first=True)] == ["t2"]
    assert await rows.threads(EVE, None, 9, newest_first=True) == []
    assert [row["id"] for row in await rows.items("t2", "bob", None, 9, newest_first=False)] == ["open"]
    assert len(await rows.items("t2", "ada", None, 9, newest_first=False)) == 2
    with pytest.raises(NotFound):
        await rows.item("t2", "bob", "secret")
    with pytest.raises(NotFound):
        await rows.delete(BOB, "t2")


async def test_there_is_one_thread_of_a_purpose_however_many_make_it(store: Store) -> None:
    rows = ThreadRows(store)
    made = await asyncio.gather(*(rows.make("toc-s1", "toc-s1", f"t{n}", "{}", "mission:M-1") for n in range(8)))
    assert len(set(made)) == 1
    assert await rows.make("toc-s1", "toc-s2", "other", "{}", "mission:M-1") == "other"
    with pytest.raises(NotFound):
        await rows.make("toc-s2", "toc-s2", made[0], "{}")


async def test_a_deleted_thread_takes_nothing_any_more(store: Store) -> None:
    rows = ThreadRows(store)
    await rows.put(ADA, "t1", "toc-s1", "{}")
    await rows.write("t1", [ThreadItem("i1", "{}")])
    await rows.delete(ADA, "t1")
    with pytest.raises(NotFound):
        await rows.write("t1", [ThreadItem("i2", "{}")])
    with pytest.raises(NotFound):
        await rows.make("toc-s1", "toc-s1", "t1", "{}")
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.thread_items") == 0


async def test_who_follows_the_changes_misses_none_of_many_at_once(store: Store) -> None:
    rows = ThreadRows(store)
    await rows.put(ADA, "t1", "toc-s1", "{}")
    seen: list[str] = []
    since, writing = 0, True

    async def write(number: int) -> None:
        await rows.write("t1", [ThreadItem(f"i{number}", "{}")])

    async def follow() -> None:
        nonlocal since
        while writing or await rows.changed({"t1": since}):
            for row in await rows.changed({"t1": since}):
                seen.append(row["id"])
                since = row["changed"]

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(number) for number in range(60)))
    writing = False
    await following
    assert sorted(seen) == sorted(f"i{number}" for number in range(60))


async def test_a_changed_item_keeps_its_place_and_counts_as_changed(store: Store) -> None:
    rows = ThreadRows(store)
    await rows.put(ADA, "t1", "toc-s1", "{}")
    await rows.write("t1", [ThreadItem("a", "1")])
    await rows.write("t1", [ThreadItem("b", "2")])
    count = await rows.write("t1", [ThreadItem("a", "3")])
    found = await rows.items("t1", "ada", None, 9, newest_first=False)
    assert [(row["id"], row["body"]) for row in found] == [("a", "3"), ("b", "2")]
    assert [(row["id"], row["changed"]) for row in await rows.changed({"t1": 2})] == [("a", count)]
    await rows.write("t1", [], gone=["b"])
    assert [row["id"] for row in await rows.items("t1", "ada", "a", 9, newest_first=True)] == []


async def test_the_first_value_under_a_name_is_remembered(store: Store) -> None:
    mine, other = Remembered(store, "chatkit", "org"), Remembered(store, "chatkit", "another")
    assert await mine.recall("a") is None
    found = await asyncio.gather(*(mine.recall("a", f"v{n}") for n in range(5)))
    assert len(set(found)) == 1
    assert await mine.recall("a", "late") == await mine.recall("a") == found[0]
    assert await other.recall("a") is None


async def test_what_nobody_wrote_in_for_long_is_forgotten_but_for_missions(store: Store) -> None:
    rows = ThreadRows(store)
    for name, purpose in (("old", None), ("alert", "alert:x"), ("mission", "mission:M-1"), ("channel", "channel")):
        await rows.make("toc-s1", "toc-s1", name, "{}", purpose)
        await rows.write(name, [ThreadItem("i", "{}")])
    await store.execute("UPDATE vtoc_engine.threads SET updated_at = now() - interval '31 days'")
    await rows.make("toc-s1", "toc-s1", "new", "{}")
    await rows.put_file(ADA, "f1", None, "{}", 3)
    await rows.put_file(ADA, "f2", "new", "{}", 3)
    await store.execute("UPDATE vtoc_engine.thread_files SET created_at = now() - interval '2 days'")
    await Sweeps(store).forget(30)
    left: Any = await store.fetch("SELECT id FROM vtoc_engine.threads ORDER BY id")
    assert [row["id"] for row in left] == ["channel", "mission", "new"]
    assert [row["id"] for row in await store.fetch("SELECT id FROM vtoc_engine.thread_files")] == ["f2"]
