"""The pytest plugin of the kit: a real Postgres for the session, a database for each test, and Worlds on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing.postgres import database_url, database_urls, postgres_urls, store
from vtoc_bots.testing.world import OpensWorld, World

__all__ = ["OpensWorld", "database_url", "database_urls", "open_world", "postgres_urls", "store", "world"]


@pytest_asyncio.fixture
async def open_world(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[OpensWorld]:
    """Opens the test's World; there is one database, so one World."""
    async with AsyncExitStack() as stack:

        async def opened(**options: object) -> World:
            return await stack.enter_async_context(World(database_urls, tmp_path / "world", **options))  # type: ignore[arg-type]  # World's own, whose types it checks

        yield opened


@pytest_asyncio.fixture
async def world(open_world: OpensWorld) -> World:
    """A World with what is installed, and nothing else. Override it to give it your plugin."""
    return await open_world()
