"""Which schema the program needs, and a look at which one a database has."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

import asyncpg

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.urls import ROLES, DatabaseUrl, DatabaseUrls

HEAD: Final = "0006"
"""The newest migration; a test compares it with Alembic's."""

VERSION_TABLE: Final = "schema_version"
ENGINE_SCHEMA: Final = "vtoc_engine"

# What a schema answers that was never migrated.
_MISSING: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
)


async def versions(urls: DatabaseUrls) -> Mapping[str, str | None]:
    """The migration each schema stands at, by schema; None where it has none. One query a database.

    Raises StartupError where a database can't be reached.
    """
    found: dict[str, str | None] = {}
    for role, schemas in schemas_by_database(urls).items():
        url = urls.engine(role)
        try:
            found.update(await _versions_in(url, schemas))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StartupError(f"database at {url.address} can't be opened: {error}") from error
    return MappingProxyType(found)


async def is_current(urls: DatabaseUrls) -> bool:
    """Whether every schema stands at HEAD."""
    return all(version == HEAD for version in (await versions(urls)).values())


async def require_current(urls: DatabaseUrls) -> None:
    """Raises StartupError where a schema is older, or newer, than this program needs."""
    found = await versions(urls)
    where = f"database at {urls.main.address}"
    newer = sorted(schema for schema, version in found.items() if version is not None and version > HEAD)
    if newer:
        raise StartupError(
            f"{where}: schema {', '.join(newer)} was migrated by a newer vtoc-bots. Install that version"
        )
    older = sorted(schema for schema, version in found.items() if version != HEAD)
    if older:
        raise StartupError(
            f"{where}: schema {', '.join(older)} is not migrated to {HEAD}. "
            f"Run `vtoc-bots db upgrade` with DATABASE_ADMIN_URL set to the login that owns the schemas"
        )


async def _versions_in(url: DatabaseUrl, schemas: tuple[str, ...]) -> dict[str, str | None]:
    try:
        raw = await connect(url, "vtoc-bots schema check")
    except asyncpg.InvalidAuthorizationSpecificationError:
        # The first migration makes the login.
        return dict.fromkeys(schemas)
    try:
        return await _read(raw, schemas)
    except _MISSING:
        # One schema is not there, so that the query for all of them failed: each by itself says which.
        found: dict[str, str | None] = dict.fromkeys(schemas)
        for schema in schemas:
            with suppress(*_MISSING):
                found.update(await _read(raw, (schema,)))
        return found
    finally:
        await raw.close()


async def _read(raw: Any, schemas: tuple[str, ...]) -> dict[str, str | None]:
    query = " UNION ALL ".join(
        f"SELECT '{schema}', (SELECT max(version_num) FROM {schema}.{VERSION_TABLE})" for schema in schemas
    )
    async with raw.transaction():
        return {row[0]: row[1] for row in await raw.fetch(query)}


def schemas_by_database(urls: DatabaseUrls) -> Mapping[str | None, tuple[str, ...]]:
    """The schemas of each database: None is the main one, a role one of its own."""
    main = (ENGINE_SCHEMA, *(role for role in ROLES if role not in urls.roles))
    return MappingProxyType({None: main, **{role: (role,) for role in ROLES if role in urls.roles}})
