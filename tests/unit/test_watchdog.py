"""The watchdog: a loop blocked for real is noticed, and the plugin that blocks it is named."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import structlog
from prometheus_client.parser import text_string_to_metric_families

from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.watchdog import Watchdog, place_of, plugin_of

SOURCE = """
import time

def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(100))

def through(call):
    call()
"""


def module(name: str) -> ModuleType:
    """A plugin's module, made up."""
    made = ModuleType(name)
    exec(compile(SOURCE, f"{name}.py", "exec"), made.__dict__)
    return made


class Lines:
    """The log lines, and a wait for the next one."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._arrived = threading.Event()

    def __call__(self, _: Any, __: str, event: Any) -> Any:
        self.lines.append(dict(event))
        self._arrived.set()
        raise structlog.DropEvent

    async def first(self) -> dict[str, Any]:
        assert await asyncio.to_thread(self._arrived.wait, 10)
        return self.lines[0]


async def blocked(work: Callable[[], Any], metrics: Metrics, threshold: float = 0.1) -> dict[str, Any]:
    """The log line of a loop that does `work` while it is watched."""
    lines = Lines()
    before = structlog.get_config()
    structlog.configure(processors=[lines])
    watchdog = Watchdog({"fake_plugin": "fake", "fake_plugin.inner": "inner"}, metrics, threshold)
    try:
        watchdog.start()
        await asyncio.sleep(0)
        work()
        return await lines.first()
    finally:
        watchdog.stop()
        structlog.configure(**before)


def blocks_counted(metrics: Metrics) -> dict[str, float]:
    return {
        sample.labels["plugin"]: sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == "vtoc_loop_blocked_total"
    }


def beats_counted(metrics: Metrics) -> float:
    found = metrics.registry.get_sample_value("vtoc_loop_lag_seconds_count")
    assert found is not None
    return found


async def test_a_plugin_that_blocks_the_loop_is_named_logged_and_counted() -> None:
    metrics = Metrics()
    line = await blocked(lambda: module("fake_plugin.decode").busy(0.3), metrics)
    assert (line["event"], line["plugin"], line["still_blocked"]) == ("loop_blocked", "fake", False)
    assert line["seconds"] > 0.15
    assert line["location"].startswith("fake_plugin.decode:")
    assert line["location"].endswith(" busy")
    assert blocks_counted(metrics) == {"fake": 1}


async def test_a_plugin_that_waits_in_a_library_is_named_all_the_same() -> None:
    line = await blocked(lambda: module("fake_plugin").through(lambda: time.sleep(0.3)), Metrics())
    assert line["plugin"] == "fake"
    assert line["location"].endswith(" through")


async def test_a_block_that_is_no_plugins_is_named_by_its_code() -> None:
    line = await blocked(lambda: module("some_library").busy(0.3), Metrics())
    assert line["plugin"] == "unknown"
    assert line["location"].startswith("some_library:")


async def test_a_loop_that_is_not_blocked_is_measured_and_not_named() -> None:
    metrics = Metrics()
    watchdog = Watchdog({}, metrics, 1.0)
    watchdog.start()
    while beats_counted(metrics) < 3:  # noqa: ASYNC110  nothing else tells of a beat
        await asyncio.sleep(0)
    watchdog.stop()
    assert blocks_counted(metrics) == {}


def test_the_innermost_plugins_frame_is_the_one_named() -> None:
    found = []
    plugins = {"fake_plugin": "fake", "fake_plugin.inner": "inner"}
    outer, inner = module("fake_plugin.a"), module("fake_plugin.inner.b")
    outer.through(lambda: inner.through(lambda: found.append(place_of(sys._getframe(), plugins))))
    assert found[0].plugin == "inner"
    assert found[0].location.startswith("fake_plugin.inner.b:")


def test_what_started_the_loop_is_not_what_blocks_it() -> None:
    found = []

    async def main() -> None:
        found.append(place_of(sys._getframe(), {"fake_plugin": "fake"}))

    module("fake_plugin").through(lambda: asyncio.run(main()))
    assert found[0].plugin == "unknown"


def test_a_thread_that_is_gone_is_nowhere() -> None:
    assert place_of(None, {}).plugin == "unknown"


def test_a_module_belongs_to_the_plugin_it_is_inside_of() -> None:
    plugins = {"vtoc_bots.plugins.ops": "ops", "vtoc_bots.plugins.ops.extra": "extra", "other": "other"}
    assert plugin_of("vtoc_bots.plugins.ops.cards", plugins) == "ops"
    assert plugin_of("vtoc_bots.plugins.ops.extra", plugins) == "extra"
    assert plugin_of("vtoc_bots.plugins.opsx", plugins) == "core"
    assert plugin_of("others", plugins) == "unknown"
