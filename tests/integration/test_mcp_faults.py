"""An MCP server, and a token endpoint, that hang, fail and forget: nothing is done twice, and words say why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.centre_kit import Centre
from tests.mcp_door import Door, open_door
from tests.mcp_kit import HttpServer, calls, open_mcp_centre, said
from vtoc_bots.core.store.urls import DatabaseUrls

PLAYBOOKS = {"mark": calls("{text: done}"), "add": calls("{a: 1, b: 1}")}
ADD, MARK = "/playbook add tool=add", "/playbook mark tool=mark"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """One server for all tests here: the faults are the door's, which is each test's own."""
    server = HttpServer(tmp_path_factory.mktemp("small") / "marks")
    server.begin()
    yield server
    server.kill()


@pytest_asyncio.fixture
async def server(process: HttpServer) -> HttpServer:
    """It, with nothing done yet."""
    await process.listens()
    process.marks.unlink(missing_ok=True)
    return process


@asynccontextmanager
async def centre_behind(
    server: HttpServer, urls: DatabaseUrls, folder: Path, secret: str = "a-client-secret", **more: Any
) -> AsyncIterator[tuple[Centre, Door]]:
    """A centre that reaches the server through a door, by client credentials."""
    async with open_door(server) as door:
        oauth = {"token_url": door.token_url, "client_id": "${CLIENT}", "client_secret": "${CLIENT_SECRET}"}
        servers = {"small": {"url": door.url, "tools": ["*"], "timeout_seconds": 2.0, "oauth": oauth, **more}}
        environ = {"CLIENT": "centre", "CLIENT_SECRET": secret}
        async with open_mcp_centre(urls, folder, servers, PLAYBOOKS, environ=environ) as centre:
            await centre.person("ada")
            yield centre, door


def marks(server: HttpServer) -> list[str]:
    """What was done."""
    return server.marks.read_text().splitlines() if server.marks.exists() else []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hang", "did not answer within 2 s. Look there whether it was done"),
        ("500", "had a fault (500): out of paper. Look there whether it was done"),
        ("garbage", "Look there whether it was done"),
        ("half", "Look there whether it was done"),
        ("late", "Look there whether it was done"),
    ],
)
@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_what_may_have_been_done_is_not_repeated_and_says_so(
    server: HttpServer, database_urls: DatabaseUrls, tmp_path: Path, fault: str, words: str, protocol: str
) -> None:
    async with centre_behind(server, database_urls, tmp_path, protocol=protocol) as (centre, door):
        assert '"sum": 2' in said(await centre.ask("ada", ADD))
        door.fault, door.calls = fault, 0
        assert words in said(await centre.ask("ada", MARK))
        assert door.calls == 1
        assert marks(server) == (["done"] if fault == "late" else [])
        door.fault = ""
        assert "marked done" in said(await centre.ask("ada", MARK))


@pytest.mark.parametrize("fault", ["hang", "500", "429", "half", "late"])
async def test_what_does_no_harm_is_tried_again(
    server: HttpServer, database_urls: DatabaseUrls, tmp_path: Path, fault: str
) -> None:
    async with centre_behind(server, database_urls, tmp_path) as (centre, door):
        door.fault = fault
        message = await centre.say("ada", ADD)
        await centre.wait_for("SELECT state FROM vtoc_engine.steps WHERE step = 'call'", "retrying")
        door.fault = ""
        assert '"sum": 2' in said(await centre.answer(message, 40))


async def test_asking_to_slow_down_is_obeyed_also_by_what_may_not_be_repeated(
    server: HttpServer, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    async with centre_behind(server, database_urls, tmp_path) as (centre, door):
        door.fault = "429"
        message = await centre.say("ada", MARK)
        await centre.wait_for("SELECT state FROM vtoc_engine.steps WHERE step = 'call'", "retrying")
        door.fault = ""
        assert "marked done" in said(await centre.answer(message, 40))
        assert marks(server) == ["done"]


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_a_token_that_expires_early_is_renewed_within_the_call(
    server: HttpServer, database_urls: DatabaseUrls, tmp_path: Path, protocol: str
) -> None:
    async with centre_behind(server, database_urls, tmp_path, protocol=protocol) as (centre, door):
        assert "marked done" in said(await centre.ask("ada", MARK))
        assert len(door.given) == 1
        door.expire()
        assert "marked done" in said(await centre.ask("ada", MARK))
        assert len(door.given) == 2
        assert marks(server) == ["done", "done"]


async def test_a_token_endpoint_that_refuses_or_fails_says_what_to_check(
    server: HttpServer, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    async with centre_behind(server, database_urls, tmp_path, secret="wrong") as (centre, door):
        words = said(await centre.ask("ada", ADD))
        assert "refused us (401)" in words
        assert "servers.small.oauth in config/mcp.yml" in words
        assert "wrong" not in words
        door.token_fault = "garbage"
        assert "no JSON" in said(await centre.ask("ada", ADD))
        door.token_fault = "500"
        message = await centre.say("ada", ADD)
        await centre.wait_for(
            "SELECT count(*) FROM vtoc_engine.steps WHERE step = 'call' AND state IN ('retrying', 'failed')", 3
        )
        await centre.answer(message, 60)
        assert door.calls == 0


async def test_a_token_endpoint_that_fails_once_costs_no_run(
    server: HttpServer, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    async with centre_behind(server, database_urls, tmp_path) as (centre, door):
        door.token_fault = "500 once"
        assert "marked done" in said(await centre.ask("ada", MARK))
        assert marks(server) == ["done"]
