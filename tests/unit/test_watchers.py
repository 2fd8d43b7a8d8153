"""How many streams look on at once: bounded in all, and by caller, for runs and for threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, cast

import pytest

from vtoc_bots import Refusal, new_id
from vtoc_bots.core.store.run_pages import RunPages, RunSeen
from vtoc_bots.core.web import run_watch
from vtoc_bots.core.web.run_watch import RunWatch
from vtoc_bots.plugins.chatkit import watch as thread_watch
from vtoc_bots.plugins.chatkit.watch import ThreadWatch
from vtoc_bots.testing import VirtualClock

Watch = Callable[[str], AbstractAsyncContextManager[Any]]


class NoPages:
    """No run is there."""

    async def watched(self, run_ids: Any) -> list[RunSeen]:
        """None."""
        return []


def of_runs() -> Watch:
    watch = RunWatch(cast("RunPages", NoPages()), VirtualClock())
    return lambda whose: watch.watch(new_id(), whose)


def of_threads() -> Watch:
    watch = ThreadWatch(cast("Any", None), VirtualClock())
    return lambda whose: watch.watch("thread", "chatkit:own:a", 0, whose)


@pytest.mark.parametrize(("module", "made"), [(run_watch, of_runs), (thread_watch, of_threads)])
async def test_one_caller_can_not_have_all_streams(module: Any, made: Callable[[], Watch]) -> None:
    watch = made()
    async with AsyncExitStack() as others:
        async with AsyncExitStack() as mine:
            for _ in range(module.MOST_OF_ONE):
                await mine.enter_async_context(watch("ada"))
            with pytest.raises(Refusal, match="streams of yours") as caught:
                await mine.enter_async_context(watch("ada"))
            assert caught.value.status == 503
            await others.enter_async_context(watch("bob"))
        for number in range(module.MOST_WATCHERS - 1):
            await others.enter_async_context(watch(f"caller {number}"))
        with pytest.raises(Refusal, match="too many streams"):
            await others.enter_async_context(watch("ada"))
    async with watch("ada"):
        pass
