"""Brings databases to the newest schema. Imports Alembic, so it is loaded only where there is something to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.provision import ensure_provisioned, provision
from vtoc_bots.core.store.schema import schemas_by_database
from vtoc_bots.core.store.urls import DatabaseUrl, DatabaseUrls

MIGRATIONS = Path(__file__).parent / "migrations"


async def upgrade(urls: DatabaseUrls, revision: str = "head") -> None:
    """Migrate every schema of every database, each database under an advisory lock.

    What is missing of roles and schemas is made first by a login with CREATEROLE; another needs them made. Raises
    StartupError where a database can't be reached or its login may not do it.
    """
    for role, schemas in schemas_by_database(urls).items():
        await _upgrade_database(urls.admin_of(role), urls.engine(role), schemas, revision, ensure_provisioned)


async def provision_and_upgrade(urls: DatabaseUrls) -> None:
    """Make, or correct, the roles, logins, grants and schemas of every database, then migrate it.

    Raises StartupError where a database can't be reached or its login may not do it.
    """
    for role, schemas in schemas_by_database(urls).items():
        await _upgrade_database(urls.admin_of(role), urls.engine(role), schemas, "head", provision)


async def _upgrade_database(
    admin: DatabaseUrl,
    engine: DatabaseUrl,
    schemas: tuple[str, ...],
    revision: str,
    prepare: Callable[[Any, DatabaseUrl, DatabaseUrl, tuple[str, ...]], Awaitable[None]],
) -> None:
    async def connected() -> Any:
        return await connect(admin, "vtoc-bots db upgrade", timeout=30)

    try:
        raw = await connected()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartupError(f"database at {admin.address} can't be opened to migrate it: {error}") from error
    try:
        # One upgrade of a database at a time, in this process too: Alembic's context is one a process.
        await raw.execute("SELECT pg_advisory_lock(hashtextextended('vtoc-bots upgrade', 0))")
        await prepare(raw, admin, engine, schemas)
        await _migrate_schemas(connected, admin, schemas, revision)
    finally:
        await raw.close()


async def _migrate_schemas(
    connected: Callable[[], Awaitable[Any]], admin: DatabaseUrl, schemas: tuple[str, ...], revision: str
) -> None:
    alchemy = create_async_engine("postgresql+asyncpg://", async_creator=connected, poolclass=NullPool)
    try:
        async with alchemy.connect() as connection:
            for schema in schemas:
                await connection.run_sync(_migrate, schema, revision)
    except CommandError as error:
        raise StartupError(
            f"database at {admin.address}: it was migrated by a newer vtoc-bots ({error}). Install that version"
        ) from error
    except (asyncpg.InsufficientPrivilegeError, ProgrammingError) as error:
        if "permission denied" not in str(error):
            raise
        raise StartupError(
            f"database at {admin.address}: the login {admin.user!r} may not migrate it ({error.args[0]}). "
            f"Set DATABASE_ADMIN_URL to the owner of the schemas"
        ) from error
    finally:
        await alchemy.dispose()


def _migrate(connection: Connection, schema: str, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    command.upgrade(config, revision)


def alembic_config() -> Config:
    """Alembic's configuration, which is only where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
