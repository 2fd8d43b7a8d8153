"""A centre with MCP servers: the small one of `tests.mcp_server` by stdio or HTTP, in config/mcp.yml."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.centre_kit import Centre, open_centre
from tests.platform_kit import until
from vtoc_bots.core.store.urls import DatabaseUrls

ROOT = Path(__file__).parents[1]
CALL = """
inputs:
  server: {type: string, default: small}
  tool: {type: string, required: true}
steps:
  - {id: one, uses: centre.count, with: {what: before}}
  - id: call
    needs: [one]
    uses: mcp.call
    with: {server: "${{ inputs.server }}", tool: "${{ inputs.tool }}", arguments: ARGUMENTS}
    timeout: 40s
reply: {card: {title: "Called", blocks: ["${{ steps.call.text }}"]}}
"""


def calls(arguments: str = "{}") -> str:
    """A playbook that calls the tool it is given with these arguments (YAML)."""
    return CALL.replace("ARGUMENTS", arguments)


def stdio(marks: Path, **more: Any) -> dict[str, Any]:
    """The small server's entry, as a program."""
    return {
        "command": sys.executable,
        "args": ["-m", "tests.mcp_server", "stdio"],
        "cwd": str(ROOT),
        "env": {"MARKS": str(marks), "SECRET_PLACE": "${A_SECRET}"},
        "tools": ["*"],
        **more,
    }


def write_config(folder: Path, servers: dict[str, Any]) -> None:
    """config/mcp.yml."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "mcp.yml").write_text(yaml.safe_dump({"servers": servers}))


@asynccontextmanager
async def open_mcp_centre(
    urls: DatabaseUrls, folder: Path, servers: dict[str, Any], playbooks: dict[str, str], **options: Any
) -> AsyncIterator[Centre]:
    """A running centre with these servers and playbooks."""
    write_config(folder, servers)
    environ = {"A_SECRET": "hidden-value", **options.pop("environ", {})}
    async with open_centre(urls, folder, playbooks, environ, **options) as centre:
        yield centre


def said(card: Any) -> str:
    """A card's words."""
    return f"{card.title} {' '.join(str(block) for block in card.blocks)}"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class HttpServer:
    """The small server as a process that listens; it can be killed and started again on the same port."""

    def __init__(self, marks: Path) -> None:
        self.port, self.marks = free_port(), marks
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def begin(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mcp_server", "http", str(self.port)],
            cwd=ROOT,
            env={**os.environ, "MARKS": str(self.marks)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def start(self) -> None:
        """Start, and wait until it listens."""
        self.begin()
        await self.listens()

    async def listens(self) -> None:
        """Wait until it does."""

        async def answers() -> bool:
            try:
                async with aiohttp.ClientSession() as session, session.get(self.url):
                    return True
            except aiohttp.ClientError:
                return False

        await until(answers, 40, lambda: "the small server does not listen")

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@asynccontextmanager
async def http_server(marks: Path) -> AsyncIterator[HttpServer]:
    """The small server over HTTP."""
    server = HttpServer(marks)
    await server.start()
    try:
        yield server
    finally:
        server.kill()
