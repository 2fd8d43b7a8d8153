"""Opens an installation's databases: those the settings name, or the data folder's own."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.schema import is_current, require_current
from vtoc_bots.core.store.urls import DatabaseUrls


@asynccontextmanager
async def open_store(
    urls: DatabaseUrls | None, data: Path, *, durable: bool = True, **options: Any
) -> AsyncIterator[Store]:
    """The store of an installation, its schema looked at; `options` are Store's.

    With no `urls`, the data folder's embedded server is used, and migrated where its schema is older. Elsewhere an old
    schema raises StartupError, which names the command that migrates.
    """
    if urls is not None:
        store = await Store.open(urls, **options)
        async with _closing(store):
            await require_current(store)
            yield store
        return
    embedded = await Embedded.acquire(data, durable=durable)
    try:
        store = Store(lambda: embedded.urls, **options)
        async with _closing(store):
            await _migrate(store)
            yield store
    finally:
        await embedded.close()


async def _migrate(store: Store) -> None:
    """Bring an embedded database to the newest schema; one query where it is there already."""
    try:
        if await is_current(store):
            return
    except asyncpg.InvalidAuthorizationSpecificationError:
        # The engine's login is made by the first migration.
        pass
    # Alembic and SQLAlchemy take longer to import than a second start may last.
    upgrade = importlib.import_module("vtoc_bots.core.store.upgrade").upgrade
    await upgrade(store.urls)
    await require_current(store)


@asynccontextmanager
async def _closing(store: Store) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await store.close()
