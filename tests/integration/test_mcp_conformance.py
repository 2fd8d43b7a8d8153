"""The official conformance suite of MCP against our HTTP server, and our sessions with the suite's own tools."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.api_kit import Api, open_api
from tests.mcp_conformance.fixture import make_fixture
from tests.node_kit import node_environment, npm_folder
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.mcp.sessions import open_sessions

SUITE = "@modelcontextprotocol/conformance@0"
BASELINES = Path(__file__).parents[1] / "mcp_conformance"
_DROPPED = {"transfer-encoding", "content-length", "connection", "date", "server"}


@asynccontextmanager
async def with_credential(api: Api) -> AsyncIterator[str]:
    """An address where the suite, which knows no credentials, is served with one."""

    async def passed_on(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
        headers["Authorization"] = f"Bearer {api.tokens['operator']}"
        target = f"{api.centre.runtime.address}/mcp"
        async with api.session.request(
            request.method, target, headers=headers, data=await request.read(), timeout=aiohttp.ClientTimeout(60)
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _DROPPED:
                    response.headers[name] = value
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    app = web.Application()
    app.router.add_route("*", "/mcp", passed_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "localhost", 0).start()
        yield f"http://localhost:{runner.addresses[0][1]}/mcp"
    finally:
        await runner.cleanup()


async def verdict(url: str, baseline: Path, folder: Path) -> tuple[int | None, str]:
    """The suite's exit code and what it says, with these failures expected."""
    programs = npm_folder(SUITE)
    process = await asyncio.create_subprocess_exec(
        *(str(programs / "conformance"), "server", "--url", url, "--suite", "all"),
        *("--expected-failures", str(baseline), "--output-dir", str(folder)),
        env=node_environment(programs),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 240)
    return process.returncode, re.sub(r"\x1b\[[0-9;]*m", "", out.decode())


async def test_our_server_fails_only_what_it_does_not_offer(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    npm_folder(SUITE)
    async with open_api(database_urls, tmp_path) as api, with_credential(api) as url:
        code, said = await verdict(url, BASELINES / "server.yml", tmp_path / "results")
    assert code == 0, said[-4000:]


async def test_our_sessions_and_bridge_carry_all_that_a_server_may_offer(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    npm_folder(SUITE)
    async with (
        open_api(database_urls, tmp_path) as api,
        with_credential(api) as url,
        open_sessions(make_fixture()) as serving,
    ):
        api.centre.runtime.api.mcp.serving = serving
        code, said = await verdict(url, BASELINES / "sessions.yml", tmp_path / "results")
    assert code == 0, said[-4000:]
