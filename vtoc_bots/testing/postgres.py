"""A pytest plugin: one real Postgres a test session, and a migrated database of its own for each test that asks."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
import pytest_asyncio

from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.upgrade import upgrade
from vtoc_bots.core.store.urls import DatabaseUrls

_TEMPLATE: Final = "vtoc_template"


@pytest.fixture(scope="session")
def postgres_urls() -> Iterator[DatabaseUrls]:
    """The session's server, without fsync, in a temporary folder. Its databases belong to the other fixtures."""
    folder = Path(tempfile.mkdtemp(prefix="vtoc-"))
    # Where tests run as root, the server's user passes through.
    folder.chmod(0o755)
    with asyncio.Runner() as runner:
        embedded = runner.run(Embedded.acquire(folder / "data", durable=False))
        try:
            runner.run(_make_template(embedded.urls))
            yield embedded.urls
        finally:
            runner.run(embedded.close())
            shutil.rmtree(folder)


@pytest_asyncio.fixture
async def database_urls(postgres_urls: DatabaseUrls) -> AsyncIterator[DatabaseUrls]:
    """A migrated database of this test's own, dropped after it."""
    name = f"test_{uuid4().hex}"
    await _as_superuser(postgres_urls, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield in_database(postgres_urls, name)
    await _as_superuser(postgres_urls, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(database_urls: DatabaseUrls) -> str:
    """What DATABASE_URL would be: the engine's login to this test's database."""
    return database_urls.main.text


@pytest_asyncio.fixture
async def store(database_urls: DatabaseUrls) -> AsyncIterator[Store]:
    """An open store on this test's database."""
    opened = await Store.open(database_urls)
    yield opened
    await opened.close()


def in_database(urls: DatabaseUrls, name: str) -> DatabaseUrls:
    """The same server and logins with another database."""
    return replace(
        urls,
        main=replace(urls.main, database=name),
        direct=replace(urls.direct, database=name),
        admin=replace(urls.admin, database=name),
    )


async def _make_template(urls: DatabaseUrls) -> None:
    await _as_superuser(urls, f"CREATE DATABASE {_TEMPLATE}")
    await upgrade(in_database(urls, _TEMPLATE))


async def _as_superuser(urls: DatabaseUrls, statement: str) -> None:
    raw = await connect(urls.admin)
    try:
        await raw.execute(statement)
    finally:
        await raw.close()
