"""Which schema the program needs, and a look at which one a database has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import asyncpg

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import ROLES, DatabaseUrls

HEAD: Final = "0001"
"""The newest migration; a test compares it with Alembic's."""

VERSION_TABLE: Final = "schema_version"
ENGINE_SCHEMA: Final = "vtoc_engine"

_MISSING: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
)


async def versions(store: Store) -> Mapping[str, str | None]:
    """The migration each schema stands at, by schema; None where it has none. One query a database."""
    found: dict[str, str | None] = {}
    for role, schemas in schemas_by_database(store.urls).items():
        query = " UNION ALL ".join(
            f"SELECT '{schema}', (SELECT max(version_num) FROM {schema}.{VERSION_TABLE})"  # noqa: S608  our own names
            for schema in schemas
        )
        found.update(dict.fromkeys(schemas))
        try:
            found.update(await store.run(lambda c, query=query: c.fetch(query), role=role, idempotent=True))  # type: ignore[misc]  # a default binds the loop's value
        except _MISSING:
            continue
    return MappingProxyType(found)


async def is_current(store: Store) -> bool:
    """Whether every schema stands at HEAD."""
    return all(version == HEAD for version in (await versions(store)).values())


async def require_current(store: Store) -> None:
    """Raises StartupError where a schema is older, or newer, than this program needs."""
    found = await versions(store)
    newer = sorted(schema for schema, version in found.items() if version is not None and version > HEAD)
    if newer:
        raise StartupError(
            f"database at {store.urls.main.address}: schema {', '.join(newer)} was migrated by a newer vtoc-bots. "
            f"Install that version here"
        )
    older = sorted(schema for schema, version in found.items() if version != HEAD)
    if older:
        raise StartupError(
            f"database at {store.urls.main.address}: schema {', '.join(older)} is not migrated to {HEAD}. "
            f"Run `vtoc-bots db upgrade` with DATABASE_ADMIN_URL set to the login that owns the schemas"
        )


def schemas_by_database(urls: DatabaseUrls) -> Mapping[str | None, tuple[str, ...]]:
    """The schemas of each database: None is the main one, a role one of its own."""
    main = (ENGINE_SCHEMA, *(role for role in ROLES if role not in urls.roles))
    return MappingProxyType({None: main, **{role: (role,) for role in ROLES if role in urls.roles}})
