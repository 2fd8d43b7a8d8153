"""Connections to one MCP server: a slow start is waited out by the probe, and nothing is left running by who leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.mcp_kit import ROOT
from tests.platform_kit import until
from vtoc_bots.core.clients.http import HttpCounts
from vtoc_bots.core.clients.mcp.config import ServerConfig, ServerEntry
from vtoc_bots.core.clients.mcp.pool import Pool
from vtoc_bots.core.clients.mcp.servers import McpServers
from vtoc_bots.core.clients.registry import Clients
from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.testing.action_stage import ActionStage
from vtoc_bots.testing.clock import VirtualClock

WAITS = """
import os, pathlib, runpy, sys, time
pathlib.Path(os.environ["STARTS"]).open("a").write(f"{os.getpid()}\\n")
while not pathlib.Path(os.environ["GATE"]).exists():
    time.sleep(0.02)
sys.argv = ["mcp_server", "stdio"]
runpy.run_module("tests.mcp_server", run_name="__main__")
"""
"""The small server, which greets nobody before its gate is open, and notes each start."""


def no_session() -> aiohttp.ClientSession:
    """None is needed for a program."""
    raise AssertionError("a program is reached without HTTP")


def config(folder: Path, **more: object) -> ServerConfig:
    """The server that waits at its gate."""
    entry = ServerEntry.model_validate(
        {"command": sys.executable, "args": ["-c", WAITS], "cwd": str(ROOT), "tools": ["*"], **more}
    )
    places = {"STARTS": "starts", "GATE": "gate", "MARKS": "marks"}
    return ServerConfig("small", entry, {name: str(folder / file) for name, file in places.items()})


@asynccontextmanager
async def open_pool(folder: Path) -> AsyncIterator[Pool]:
    pool = Pool(config(folder), no_session, VirtualClock(), HttpCounts())
    try:
        yield pool
    finally:
        (folder / "gate").touch()
        await pool.close()


def starts(folder: Path) -> list[int]:
    """The processes that were started."""
    path = folder / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


async def answers(pool: Pool) -> str | None:
    """What the probe says to who waits for a moment."""
    try:
        async with asyncio.timeout(0.3):
            return await pool.probe()
    except TimeoutError:
        return None


def said(pool: Pool) -> Callable[[], Awaitable[bool]]:
    async def is_well() -> bool:
        return await answers(pool) is not None

    return is_well


async def test_a_program_that_starts_slower_than_a_probe_waits_is_well_once_it_has_started(tmp_path: Path) -> None:
    async with open_pool(tmp_path) as pool:
        for _ in range(3):
            assert await answers(pool) is None
        (tmp_path / "gate").touch()
        await until(said(pool), 20, lambda: "the probe never got an answer")
        assert len(starts(tmp_path)) == 1


async def test_what_a_look_that_nobody_waited_for_came_to_is_told_to_the_next_who_asks(tmp_path: Path) -> None:
    async with open_pool(tmp_path) as pool:
        assert await answers(pool) is None

        async def has_started() -> bool:
            return bool(starts(tmp_path))

        await until(has_started, 20, lambda: "it was not started")
        os.kill(starts(tmp_path)[0], signal.SIGKILL)
        with pytest.raises(TransientError, match="did not greet us"):
            await pool.probe()
        assert len(starts(tmp_path)) == 1


async def test_a_step_that_is_cancelled_while_its_connection_is_tried_leaves_no_program_behind(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    async with open_pool(tmp_path) as pool:
        await pool.probe()
        (process,) = starts(tmp_path)
        os.kill(process, signal.SIGSTOP)  # alive, and answers nothing
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await pool.call(ActionStage(), "add", {"a": 1, "b": 2})

        async def is_gone() -> bool:
            return not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE

        await until(is_gone, 20, lambda: "the program runs on")


async def test_each_check_of_a_system_has_a_key_of_its_own_and_none_is_kept_waiting_for_people(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    checks = [{"tool": "mark", "arguments": {"text": text}} for text in ("power", "antenna")]
    asking = {"tool": "order", "arguments": {"what": "cars"}}
    server = config(tmp_path, protocol="legacy", diagnostics={"radar": [*checks, asking, asking]})
    clients = Clients(lambda name, probe, required: None)
    servers = McpServers([server], clients, no_session, VirtualClock(), Metrics())
    stage = ActionStage()
    try:
        power, antenna, *asked = await servers.diagnose(stage, "radar")
        assert power.said == f"marked power under {stage.idempotency_key}:0"
        assert antenna.said == f"marked antenna under {stage.idempotency_key}:1"
        assert [(each.ok, "it asks a question" in each.said) for each in asked] == [(False, True)] * 2
        (pool,) = servers._pools.values()
        assert pool.holds() == []
    finally:
        await clients.close()
