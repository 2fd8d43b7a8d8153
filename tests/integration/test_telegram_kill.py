"""Processes that receive from Telegram, killed between accepting an update and confirming it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import pytest_asyncio

from tests.platform_kit import until
from tests.telegram_kit import ADA, message
from tests.telegram_server import TOKEN, BotApiServer
from vtoc_bots import Level
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls


@pytest_asyncio.fixture
async def server() -> AsyncIterator[BotApiServer]:
    async with BotApiServer().open() as opened:
        opened.chat(ADA)
        yield opened
        assert opened.problems == []


def log_in(folder: Path) -> BinaryIO:
    """A new folder's log."""
    folder.mkdir()
    return (folder / "log").open("wb")


@asynccontextmanager
async def process(folder: Path, urls: DatabaseUrls, server: BotApiServer) -> AsyncIterator[asyncio.subprocess.Process]:
    """``vtoc-bots run`` on this database, ended however it can be."""
    log = log_in(folder)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DATABASE_URL": urls.main.text,
        "DATABASE_ADMIN_URL": urls.admin.text,
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_BASE_URL": server.address,
        "VTOC_LEASE_SECONDS": "2",
        "VTOC_SWEEP_SECONDS": "0.2",
        "VTOC_API_HOST": "127.0.0.1",
        "API_PORT": "0",
    }
    program = str(Path(sys.executable).with_name("vtoc-bots"))
    started = await asyncio.create_subprocess_exec(program, "run", env=environ, cwd=folder, stdout=log, stderr=log)
    log.close()
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def test_a_kill_between_accepting_and_confirming_loses_and_doubles_nothing(
    database_urls: DatabaseUrls, store: Store, tmp_path: Path, server: BotApiServer
) -> None:
    await Operators(store).own("ada", "telegram", "", str(ADA), Level.ADMIN)
    server.manners = lambda call: "hang" if call.method == "getUpdates" and "offset" in call.params else None
    update = await server.put({"message": message(1, ADA, "/whoami")})
    async with process(tmp_path / "first", database_urls, server) as first:

        async def answered() -> bool:
            return bool(server.texts(ADA))

        await until(answered, 40, lambda: (tmp_path / "first/log").read_text()[-3000:])
        assert update in server.updates, "it is not confirmed"
        first.kill()
        await first.wait()
    server.manners = lambda call: None
    await server.put({"message": message(2, ADA, "/runs")})
    async with process(tmp_path / "second", database_urls, server):

        async def both() -> bool:
            return len(server.texts(ADA)) == 2 and not server.updates

        await until(both, 40, lambda: f"{server.texts(ADA)} {(tmp_path / 'second/log').read_text()[-3000:]}")
    assert "Who you are" in server.texts(ADA)[0]
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.inbox") == 2
    logs = "".join((tmp_path / name / "log").read_text() for name in ("first", "second"))
    assert TOKEN not in logs, "a token is never logged"
