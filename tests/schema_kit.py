"""What the tests of the schema share: a description of everything in a database's schemas, and rows for any table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from vtoc_bots.core.access import Station
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls

SCHEMAS = ("vtoc_engine", "vtoc", "ops", "intel", "logistics")

# One line of text for everything there is; two databases with the same lines have the same schema.
_DESCRIPTION = """
WITH mine AS (
    SELECT c.* , n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY($1) AND c.relname !~ '_[0-9]{8}(_|$)' AND c.relname NOT LIKE 'schema_version%'
)
SELECT format('column %s.%s %s %s %s %s %s %s', nspname, relname, attname, format_type(atttypid, atttypmod), attnotnull,
    attidentity, pg_get_expr(adbin, adrelid), attnum) FROM mine
    JOIN pg_attribute a ON attrelid = mine.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = mine.oid AND d.adnum = a.attnum
UNION ALL SELECT format('table %s.%s %s %s %s %s %s', nspname, relname, relkind, relpersistence, relrowsecurity,
    relforcerowsecurity, reloptions) FROM mine WHERE relkind IN ('r', 'p', 'S')
UNION ALL SELECT format('grant %s.%s %s %s', nspname, relname, grantee::regrole, privilege_type)
    FROM mine, aclexplode(relacl) WHERE grantee <> relowner
UNION ALL SELECT format('index %s', pg_get_indexdef(mine.oid)) FROM mine WHERE relkind IN ('i', 'I')
UNION ALL SELECT format('constraint %s.%s %s %s', nspname, relname, conname, pg_get_constraintdef(k.oid))
    FROM mine JOIN pg_constraint k ON k.conrelid = mine.oid
UNION ALL SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM mine JOIN pg_trigger t ON t.tgrelid = mine.oid
    WHERE NOT tgisinternal
UNION ALL SELECT format('policy %s.%s %s %s %s %s %s', schemaname, tablename, policyname, roles, cmd, qual, with_check)
    FROM pg_policies WHERE schemaname = ANY($1) AND tablename !~ '_[0-9]{8}$'
UNION ALL SELECT format('function %s %s %s', p.proacl, p.prosecdef, pg_get_functiondef(p.oid))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY($1)
UNION ALL SELECT format('schema %s %s', nspname, nspacl) FROM pg_namespace WHERE nspname = ANY($1)
UNION ALL SELECT format('type %s.%s %s', nspname, typname, enumlabel) FROM pg_enum JOIN pg_type t ON t.oid = enumtypid
    JOIN pg_namespace n ON n.oid = typnamespace WHERE n.nspname = ANY($1)
"""
_COLUMNS = """
SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef AND attidentity = ''
"""
_TABLES = """
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') ORDER BY 1
"""


async def description(raw: Any) -> set[str]:
    """Everything in our schemas, a line each."""
    return {row[0] for row in await raw.fetch(_DESCRIPTION, list(SCHEMAS))}


async def tables(raw: Any, schema: str) -> list[str]:
    """The tables of a schema, partitions too."""
    return [row[0] for row in await raw.fetch(_TABLES, schema)]


def station(role: str, slug: str = "toc-a") -> Station:
    """A station of a role."""
    return Station(uuid4(), slug, slug.upper(), slug.upper(), role)


async def add_station(store: Store, added: Station) -> None:
    """Write a station's row."""
    await store.execute(
        "INSERT INTO vtoc.stations (id, slug, callsign, name, role) VALUES ($1, $2, $3, $4, $5)",
        added.id,
        added.slug,
        added.callsign,
        added.name,
        added.role,
    )


async def sample(raw: Any, table: str, station_id: UUID, source_id: UUID) -> tuple[str, list[Any]]:
    """An INSERT of one row of a station into any table, and its arguments: whatever the table insists on."""
    names, values = ["station_id"], [station_id]
    for column in await raw.fetch(_COLUMNS, table):
        if column["name"] != "station_id":
            names.append(column["name"])
            values.append(source_id if column["name"] == "source_id" else _value(column["type"]))
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", values


def _value(type_name: str) -> Any:
    made = {
        "uuid": uuid4(),
        "text": uuid4().hex,
        "timestamp with time zone": datetime.now(UTC),
        "integer": 1,
        "bigint": 1,
        "double precision": 1.0,
        "boolean": True,
        "jsonb": {},
        "bytea": b"",
    }
    return made[type_name]


async def as_superuser(urls: DatabaseUrls) -> Any:
    """A connection that no policy binds."""
    return await connect(urls.admin)
