"""Our client with the reference servers of MCP, each through a kill and a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.centre_kit import Centre
from tests.mcp_kit import calls, free_port, open_mcp_centre, said
from tests.node_kit import node_environment, npm_folder, python_program
from tests.platform_kit import until
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.store.urls import DatabaseUrls

EVERYTHING = "@modelcontextprotocol/server-everything@2026"
LONG = "/playbook long server=all tool=trigger-long-running-operation"
PLAYBOOKS = {
    "sum": calls("{a: 19, b: 23}"),
    "image": calls("{}").replace("${{ steps.call.text }}", "${{ steps.call.files[0].content_type }}"),
    "long": calls("{duration: 1, steps: 4}"),
    "ask": calls("{}"),
    "time": calls("{timezone: Europe/Paris}"),
}


def program(command: Path, *arguments: str, **more: Any) -> dict[str, Any]:
    """A server's entry."""
    return {"command": str(command), "args": list(arguments), "tools": ["*"], "connect_seconds": 60, **more}


def killed(name: str) -> None:
    """Kill every program of that name below this process, as a crash does."""
    found = [each for each in psutil.Process().children(recursive=True) if name in " ".join(each.cmdline())]
    assert found
    for each in found:
        each.kill()


@asynccontextmanager
async def everything_over_http(programs: Path) -> AsyncIterator[tuple[str, Any]]:
    """Its address, and a function that kills it and starts it again."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    running: list[asyncio.subprocess.Process] = []

    async def start() -> None:
        environment = {**node_environment(programs), "PORT": str(port)}
        command = (str(programs / "mcp-server-everything"), "streamableHttp")
        quiet = asyncio.subprocess.DEVNULL
        running.append(await asyncio.create_subprocess_exec(*command, env=environment, stdout=quiet, stderr=quiet))

        async def listens() -> bool:
            try:
                async with aiohttp.ClientSession() as session, session.get(url):
                    return True
            except aiohttp.ClientError:
                return False

        await until(listens, 60, lambda: "server-everything does not listen")

    async def again() -> None:
        await end()
        await start()

    async def end() -> None:
        for process in running:
            process.kill()
            await process.wait()
        running.clear()

    await start()
    try:
        yield url, again
    finally:
        await end()


async def used(centre: Centre) -> None:
    """What a playbook does with server-everything."""
    assert "42" in said(await centre.ask("ada", "/playbook sum server=all tool=get-sum"))
    assert "image/png" in said(await centre.ask("ada", "/playbook image server=all tool=get-tiny-image"))


async def answered(centre: Centre) -> str:
    """What comes of a tool that asks for a form of many fields."""
    message = await centre.say("ada", "/playbook ask server=all tool=trigger-elicitation-request")
    await centre.wait_for("SELECT state FROM vtoc_engine.runs WHERE playbook = 'ask'", "waiting", 40)
    run = short_id((await centre.row("SELECT id FROM vtoc_engine.runs WHERE playbook = 'ask'"))["id"])
    assert "Noted" in said(await centre.ask("ada", f'/answer {run} name="Ada L" check=yes integer=7'))
    return said(await centre.answer(message, 40))


async def test_server_everything_as_a_program(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    programs = npm_folder(EVERYTHING)
    path = node_environment(programs)["PATH"]
    servers = {"all": program(programs / "mcp-server-everything", "stdio", env={"PATH": path})}
    async with open_mcp_centre(database_urls, tmp_path, servers, PLAYBOOKS) as centre:
        await centre.person("ada")
        await used(centre)
        assert "completed" in said(
            await centre.ask("ada", "/playbook long server=all tool=trigger-long-running-operation")
        )
        assert "Ada L" in await answered(centre)
        killed("server-everything")
        await used(centre)


async def test_server_everything_over_http(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    programs = npm_folder(EVERYTHING)
    async with everything_over_http(programs) as (url, again):
        servers = {"all": {"url": url, "tools": ["*"]}}
        async with open_mcp_centre(database_urls, tmp_path, servers, PLAYBOOKS) as centre:
            await centre.person("ada")
            await used(centre)
            assert "completed" in said(await centre.ask("ada", LONG))
            assert "Ada L" in await answered(centre)
            await again()
            await used(centre)


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_mcp_server_time(database_urls: DatabaseUrls, tmp_path: Path, protocol: str) -> None:
    servers = {"clock": program(python_program("mcp-server-time"), protocol=protocol)}
    async with open_mcp_centre(database_urls, tmp_path, servers, PLAYBOOKS) as centre:
        await centre.person("ada")
        assert "Europe/Paris" in said(await centre.ask("ada", "/playbook time server=clock tool=get_current_time"))
        killed("mcp-server-time")
        assert "Europe/Paris" in said(await centre.ask("ada", "/playbook time server=clock tool=get_current_time"))
