"""Opening the database: the embedded one of a data folder or the one that is configured, with its schema checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from vtoc_bots.core.settings import Settings
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.schema import is_current, require_current
from vtoc_bots.core.store.urls import DatabaseUrls


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The store, for the length of the block.

    The embedded database is migrated here; another whose schema is old raises StartupError naming
    `vtoc-bots db upgrade`.
    """
    urls = configured_urls(settings)
    if urls is None:
        embedded = await Embedded.acquire(settings.data_dir)
        try:
            store = await _migrated(embedded)
            try:
                yield store
            finally:
                await store.close()
        finally:
            await embedded.close()
        return
    store = await Store.open(urls)
    try:
        await require_current(urls)
        yield store
    finally:
        await store.close()


def configured_urls(settings: Settings) -> DatabaseUrls | None:
    """The configured database, None for the embedded one."""
    environment: Mapping[str, str] = settings.variables
    return DatabaseUrls.from_environment(environment)


async def _migrated(embedded: Embedded) -> Store:
    """The embedded database's store, its schema brought up to date."""
    if not await is_current(embedded.urls):
        # Alembic and SQLAlchemy take half a second to import: only a start that migrates pays for them.
        from vtoc_bots.core.store.upgrade import upgrade

        await upgrade(embedded.urls)
    return await Store.open(lambda: embedded.urls)
