"""The official conformance suite of MCP against our server, which offers what the suite calls by name besides."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.api_kit import Api
from tests.mcp_caller_kit import open_quiet_api
from tests.mcp_conformance.fixture import FIXTURES, TOOLS
from tests.node_kit import node_environment, npm_folder
from vtoc_bots.core.store.urls import DatabaseUrls

SUITE = "@modelcontextprotocol/conformance@0.1"
BASELINE = Path(__file__).parents[1] / "mcp_conformance" / "baseline.yml"
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


async def verdict(url: str, baseline: Path, folder: Path, *which: str) -> tuple[int | None, str]:
    """The suite's exit code and what it says, with these failures expected."""
    programs = npm_folder(SUITE)
    process = await asyncio.create_subprocess_exec(
        *(str(programs / "conformance"), "server", "--url", url, *(which or ("--suite", "all"))),
        *("--expected-failures", str(baseline), "--output-dir", str(folder)),
        env=node_environment(programs),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 240)
    return process.returncode, re.sub(r"\x1b\[[0-9;]*m", "", out.decode())


async def test_our_server_conforms_but_for_what_the_baseline_names(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    npm_folder(SUITE)
    async with open_quiet_api(database_urls, tmp_path) as api, with_credential(api) as url:
        api.centre.runtime.api.mcp.catalogue = FIXTURES
        code, said = await verdict(url, BASELINE, tmp_path / "results")
        (tmp_path / "stale.yml").write_text("server: [ping]")
        stale, why = await verdict(url, tmp_path / "stale.yml", tmp_path / "stale", "--scenario", "ping")
        audited = await api.centre.row(
            "SELECT count(DISTINCT subject) AS n FROM vtoc_engine.audit WHERE subject LIKE 'tool:test\\_%'"
        )
    assert code == 0, said[-4000:]
    assert (stale, "Stale baseline entries" in why) == (1, True), "an entry that passes fails the suite"
    assert "Total: " in said
    assert audited["n"] == len([name for name in TOOLS if name.startswith("test_")]), "each was decided and audited"
