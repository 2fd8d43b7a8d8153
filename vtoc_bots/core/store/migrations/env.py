"""Alembic's entry: migrates one schema, given by ``-x role=ops|intel|logistics|engine``, or by `upgrade` in-process."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from vtoc_bots.core.errors import ConfigError
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.schema import ENGINE_SCHEMA, VERSION_TABLE
from vtoc_bots.core.store.urls import ROLES, DatabaseUrls


def run(connection: Connection, schema: str) -> None:
    """Migrate one schema in one transaction, one migrator at a time in a database."""
    context.configure(
        connection=connection,
        version_table=VERSION_TABLE,
        version_table_schema=schema,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('vtoc-bots migrate', 0))"))
        # Not IF NOT EXISTS: that asks for the right to make schemas even where there is nothing to make.
        if connection.execute(text(f"SELECT to_regnamespace('{schema}')")).scalar() is None:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        context.run_migrations(schema=schema)


def chosen_schema() -> str:
    """The schema of ``-x role=…``."""
    role = context.get_x_argument(as_dictionary=True).get("role")
    if role not in (*ROLES, "engine"):
        raise ConfigError(f"alembic: say which schema with -x role=<role>: engine, {', '.join(ROLES)}")
    return ENGINE_SCHEMA if role == "engine" else str(role)


async def run_from_command_line(schema: str) -> None:
    """Migrate the schema in the database that the environment names."""
    urls = DatabaseUrls.from_environment(os.environ)
    if urls is None:
        raise ConfigError("alembic: DATABASE_URL is not set; the embedded database migrates itself at start")
    admin = urls.admin_of(schema)

    async def connected() -> Any:
        return await connect(admin, "alembic", timeout=30)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connected, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run, schema)
    await engine.dispose()


def main() -> None:
    """Called by Alembic."""
    if context.is_offline_mode():
        raise ConfigError("alembic: --sql is not offered; the migrations read the database")
    given = context.config.attributes
    if "connection" in given:
        run(given["connection"], given["schema"])
    else:
        asyncio.run(run_from_command_line(chosen_schema()))


main()
