"""MCP by `vtoc-bots mcp` on stdin and stdout, and `/mcp` of a process that is told to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mcp import Client, StdioServerParameters

from tests.mcp_kit import ROOT, free_port
from tests.platform_kit import until
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls


def environment(urls: DatabaseUrls, **more: str) -> dict[str, str]:
    """A process's variables."""
    return {
        **os.environ,
        "DATABASE_URL": urls.main.text,
        "DATABASE_ADMIN_URL": urls.admin.text,
        "STATION_CALLSIGN": "TOC-S1",
        **more,
    }


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_stdin_and_stdout_speak_mcp_as_the_user_of_the_data_folder(
    database_urls: DatabaseUrls, store: Store, tmp_path: Path, mode: str
) -> None:
    folders = ["--config", str(tmp_path / "config"), "--data", str(tmp_path / "data")]
    command = [sys.executable, "-m", "vtoc_bots", "mcp", *folders]
    parameters = StdioServerParameters(
        command=command[0], args=command[1:], env=environment(database_urls), cwd=str(ROOT)
    )
    async with Client(parameters, mode=mode, cache=None) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert {"op_airtrack_merge", "list_runs", "list_tracks"} <= tools
        done = await client.call_tool("op_airtrack_merge", {"area": "everywhere"})
        assert not done.is_error, done.content
        assert done.structured_content is not None
        assert done.structured_content["state"] == "succeeded"
        tracks = await client.call_tool("list_tracks", {})
        assert tracks.structured_content is not None
        assert tracks.structured_content["tracks"] == []
    row = await store.fetchrow("SELECT actor FROM vtoc_engine.audit WHERE event = 'mcp.call' LIMIT 1")
    assert row is not None
    assert row["actor"].startswith("operator:")
    assert (tmp_path / "data" / "log").exists()


@asynccontextmanager
async def running(urls: DatabaseUrls, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`vtoc-bots run`, and its address."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vtoc_bots", "run"),
        *("--config", str(folder / "config"), "--data", str(folder / "data")),
        cwd=ROOT,
        env=environment(urls, API_PORT=str(port), VTOC_API_HOST="127.0.0.1"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{address}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    await until(ready, 40, lambda: "the process does not listen")
    try:
        yield process, address
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def token(urls: DatabaseUrls, folder: Path) -> str:
    """A token made by the command line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vtoc_bots", "token", "create", "mcp"),
        *("--config", str(folder / "config"), "--data", str(folder / "data")),
        cwd=ROOT,
        env=environment(urls),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return next(word for word in out.decode().split() if word.startswith("vtoc_"))


async def test_sigterm_ends_open_streams(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    made = await token(database_urls, tmp_path)
    headers = {
        "Authorization": f"Bearer {made}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    hello: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    async with running(database_urls, tmp_path) as (process, address), aiohttp.ClientSession() as session:
        async with session.post(f"{address}/mcp", data=json.dumps(hello), headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            of_session = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
        stream = await session.get(f"{address}/mcp", headers={**headers, **of_session})
        assert stream.status == 200
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(stream.read(), 20)
        assert await asyncio.wait_for(process.wait(), 20) == 0
