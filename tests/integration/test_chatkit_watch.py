"""Streams of long threads: all is told once, in order, and what a slow client has not taken waits in the database."""

from __future__ import annotations

import asyncio

from tests.platform_kit import until
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.threads import ThreadItem, ThreadRows, Viewer
from vtoc_bots.plugins.chatkit.watch import ThreadWatch, Watcher

CONVERSATION = "chatkit:own:toc-s1:long"
WRITES, TOGETHER = 250, 3


async def taken(watcher: Watcher) -> list[str]:
    """All that a stream is told until it ends."""
    found = []
    while True:
        seen = await watcher.next()
        found += [row["id"] for row in seen.rows]
        if not seen.is_busy:
            return found


async def test_a_long_thread_is_told_whole_while_little_of_it_waits_in_memory(store: Store) -> None:
    rows = ThreadRows(store)
    await rows.put(Viewer("toc-s1", "ada"), "long", "toc-s1", "{}")
    written = []
    for number in range(WRITES):
        items = [ThreadItem(f"i{number:03}{letter}", "{}") for letter in "abc"[:TOGETHER]]
        await rows.write("long", items)
        written += [item.id for item in items]
    watch = ThreadWatch(rows, SystemClock())
    looking = asyncio.create_task(watch.run())
    try:
        async with (
            watch.watch("long", CONVERSATION, 0, "ada") as slow,
            watch.watch("long", CONVERSATION, 0, "bob") as quick,
        ):
            assert await asyncio.wait_for(taken(quick), 30) == written

            async def is_full() -> bool:
                return slow.is_full

            await until(is_full, 20, lambda: "nothing was told")
            assert len(slow._rows) < ThreadRows.MOST_CHANGED + TOGETHER
            assert await asyncio.wait_for(taken(slow), 30) == written
    finally:
        looking.cancel()
