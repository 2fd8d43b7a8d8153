"""Row-level security, tried: a station's session against every table there is, read from the catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.schema_kit import add_station, as_superuser, sample, station, tables
from vtoc_bots.core.access import Station
from vtoc_bots.core.errors import Forbidden
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import ROLES, DatabaseUrls, role_login

DENIED = asyncpg.InsufficientPrivilegeError


class World(NamedTuple):
    """Two stations of each role with a row in every table of their schema."""

    store: Store
    urls: DatabaseUrls
    raw: Any
    here: dict[str, Station]
    there: dict[str, Station]
    sources: dict[UUID, UUID]


@pytest_asyncio.fixture
async def world(store: Store, database_urls: DatabaseUrls) -> AsyncIterator[World]:
    here = {role: station(role, f"{role}-a") for role in ROLES}
    there = {role: station(role, f"{role}-b") for role in ROLES}
    raw = await as_superuser(database_urls)
    sources: dict[UUID, UUID] = {}
    for one in (*here.values(), *there.values()):
        await add_station(store, one)
        sources[one.id] = uuid4()
        await raw.execute(
            f"INSERT INTO {one.role}.telemetry_sources (id, station_id, name, slug, source_type)"
            " VALUES ($1, $2, 'Radar', 'radar', 'adsb')",
            sources[one.id],
            one.id,
        )
        for table in await station_tables(raw, one.role):
            if table != f"{one.role}.telemetry_sources":
                insert, values = await sample(raw, table, one.id, sources[one.id])
                await raw.execute(insert, *values)
    yield World(store, database_urls, raw, here, there, sources)
    await raw.close()


async def station_tables(raw: Any, schema: str) -> list[str]:
    """The tables of a role's schema that hold stations' rows; partitions are reached through their parent."""
    rows = await raw.fetch(
        "SELECT format('%s.%s', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND EXISTS"
        " (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'station_id') ORDER BY 1",
        schema,
    )
    return [row[0] for row in rows]


async def attempt(world: World, role: str, sql: str, *arguments: Any) -> list[Any]:
    """A statement in a session of the station here."""
    async with world.store.session(world.here[role]) as session:
        return [tuple(row) for row in await session.fetch(sql, *arguments)]


async def test_a_session_sees_its_own_stations_rows_alone(world: World) -> None:
    for role in ROLES:
        found = await station_tables(world.raw, role)
        assert len(found) >= 7
        for table in found:
            assert await attempt(world, role, f"SELECT DISTINCT station_id FROM {table}") == [(world.here[role].id,)], (
                table
            )


async def test_a_session_changes_and_removes_nothing_of_another_station(world: World) -> None:
    for role in ROLES:
        other = world.there[role].id
        for table in await station_tables(world.raw, role):
            before = await world.raw.fetch(f"SELECT * FROM {table} WHERE station_id = $1", other)
            assert before, table
            changed = await attempt(
                world, role, f"UPDATE {table} SET updated_at = now() WHERE station_id = $1 RETURNING 1", other
            )
            everything = await attempt(world, role, f"UPDATE {table} SET updated_at = updated_at RETURNING station_id")
            removed = await attempt(world, role, f"DELETE FROM {table} WHERE station_id = $1 RETURNING 1", other)
            assert (changed, removed) == ([], []), table
            assert set(everything) == {(world.here[role].id,)}, table
            await attempt(world, role, f"DELETE FROM {table} WHERE true RETURNING 1")
            assert await world.raw.fetch(f"SELECT * FROM {table} WHERE station_id = $1", other) == before, table


async def test_a_session_writes_no_row_for_another_station(world: World) -> None:
    for role in ROLES:
        here, other = world.here[role].id, world.there[role].id
        for table in await station_tables(world.raw, role):
            insert, values = await sample(world.raw, table, other, world.sources[other])
            with pytest.raises(DENIED, match="row-level security"):
                await attempt(world, role, insert, *values)
            with pytest.raises((DENIED, asyncpg.ForeignKeyViolationError), match=r"row-level security|foreign key"):
                await attempt(world, role, f"UPDATE {table} SET station_id = $1", other)
            # Neither by way of a conflict with the other's row.
            insert, values = await sample(world.raw, table, here, world.sources[here])
            await attempt(world, role, f"{insert} ON CONFLICT DO NOTHING", *values)


async def test_a_row_refers_to_its_own_stations_rows_alone(world: World) -> None:
    for role in ROLES:
        other = world.there[role].id
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await attempt(
                world,
                role,
                f"INSERT INTO {role}.station_assignments (station_id, source_id) VALUES ($1, $2)",
                world.here[role].id,
                world.sources[other],
            )


async def test_a_session_reaches_no_other_schema(world: World) -> None:
    for role in ROLES:
        schemas = {"vtoc_engine", *ROLES} - {role}
        for schema in sorted(schemas):
            found = await tables(world.raw, schema)
            assert len(found) > 7
            for table in found:
                await assert_unreachable(world, role, f"{schema}.{table}")


async def test_of_its_own_schema_a_session_reaches_no_partition_and_no_bookkeeping(world: World) -> None:
    for role in ROLES:
        reachable = set(await station_tables(world.raw, role))
        hidden = [f"{role}.{table}" for table in await tables(world.raw, role) if f"{role}.{table}" not in reachable]
        assert f"{role}.schema_version" in hidden
        assert f"{role}.telemetry_events_default" in hidden
        for table in hidden:
            await assert_unreachable(world, role, table)


async def test_a_station_reads_of_the_directory_what_concerns_it(world: World) -> None:
    for role in ROLES:
        mine, theirs, nobodys = uuid4(), uuid4(), uuid4()
        for operator, name in ((mine, f"{role} mine"), (theirs, f"{role} theirs"), (nobodys, f"{role} none")):
            await world.store.execute("INSERT INTO vtoc.operators (id, name) VALUES ($1, $2)", operator, name)
            await world.store.execute(
                "INSERT INTO vtoc.identities (transport, user_id, operator_id) VALUES ('terminal', $1, $2)",
                name,
                operator,
            )
        for operator, at in ((mine, world.here[role].slug), (theirs, world.there[role].slug)):
            await world.store.execute(
                "INSERT INTO vtoc.levels (operator_id, station, level) VALUES ($1, $2, 'lead')", operator, at
            )
        assert await attempt(world, role, "SELECT id FROM vtoc.stations") == [(world.here[role].id,)]
        assert await attempt(world, role, "SELECT name FROM vtoc.operators") == [(f"{role} mine",)]
        assert await attempt(world, role, "SELECT user_id FROM vtoc.identities") == [(f"{role} mine",)]
        assert await attempt(world, role, "SELECT operator_id FROM vtoc.levels") == [(mine,)]
        for table in ("stations", "operators", "identities", "levels"):
            with pytest.raises(DENIED):
                await attempt(world, role, f"DELETE FROM vtoc.{table} WHERE true")
        for table in ("invitations", "api_tokens", "schema_version"):
            if table in await tables(world.raw, "vtoc"):
                await assert_unreachable(world, role, f"vtoc.{table}")


ESCAPES = (
    "RESET ROLE",
    "SET ROLE NONE",
    "SET ROLE vtoc_app",
    "SET ROLE vtoc_intel",
    "SET ROLE vtoc_logistics",
    "SET SESSION AUTHORIZATION vtoc_app",
    "SET SESSION AUTHORIZATION DEFAULT",
    "SET row_security = off",
    "SELECT set_config('role', 'vtoc_app', false)",
    "SELECT set_config('role', 'none', false)",
    "GRANT vtoc_app TO vtoc_ops",
    "ALTER TABLE ops.missions NO FORCE ROW LEVEL SECURITY",
    "ALTER ROLE vtoc_ops BYPASSRLS",
    "CREATE POLICY mine ON ops.missions USING (true)",
    "CREATE FUNCTION ops.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE ops.mine (a int)",
    "CREATE VIEW public.v AS SELECT * FROM vtoc_engine.runs",
    "SELECT ops.drop_partitions('2999-01-01')",
    "SELECT ops.make_partitions('2030-01-01', 1)",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "SELECT pg_read_file('PG_VERSION')",
)


async def test_even_with_any_sql_a_sessions_login_stays_in_its_schema(world: World) -> None:
    """Without the session's own fence: the login itself has nowhere to go."""
    for escape in ESCAPES:
        raw = await connect(world.urls.session("ops"))
        with suppress(DENIED, asyncpg.InvalidParameterValueError, asyncpg.ObjectNotInPrerequisiteStateError):
            await raw.execute(escape)
        for table in (
            "vtoc_engine.runs",
            "vtoc_engine.audit",
            "intel.missions",
            "logistics.missions",
            "vtoc.api_tokens",
        ):
            with pytest.raises(DENIED):
                await raw.fetch(f"SELECT * FROM {table}")
        # No claims, no rows; with row security switched off an error instead.
        with suppress(DENIED):
            assert await raw.fetch("SELECT * FROM ops.missions") == [], escape
        await raw.close()


REFUSED = (
    "RESET ROLE",
    "SET ROLE vtoc_app",
    "set local role vtoc_app",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "DO $$ BEGIN PERFORM 1; END $$",
    "COPY ops.missions TO STDOUT",
    "SELECT set_config('request.jwt.claims', '{}', true)",
    "SELECT pg_catalog.\"set_config\"('request.jwt.claims', '{}', true)",
    "SELECT U&\"\\0073et_config\"('request.jwt.claims', '{}', true)",
    "WITH x AS (SELECT Set_Config('role', 'none', true)) SELECT * FROM x",
    "SELECT query_to_xml('RESET ROLE', true, true, '')",
    "SELECT * FROM ts_stat('SELECT 1')",
    "SELECT pg_advisory_lock(1)",
    "-- a comment\nRESET ROLE",
    "/* a comment */ SELECT 1",
)


async def test_a_session_refuses_what_would_change_who_it_is(store: Store) -> None:
    async with store.session(station("ops")) as session:
        for statement in REFUSED:
            for call in (session.fetch, session.fetchrow, session.fetchval, session.execute):
                with pytest.raises(Forbidden):
                    await call(statement)
        assert await session.fetchval("SELECT current_user") == "vtoc_ops"


async def test_a_session_runs_one_statement_at_a_time(store: Store) -> None:
    for call in ("fetch", "fetchrow", "fetchval", "execute"):
        with pytest.raises(asyncpg.PostgresSyntaxError, match="multiple commands"):
            async with store.session(station("ops")) as session:
                await getattr(session, call)("SELECT 1; RESET ROLE")


async def test_claims_end_with_their_transaction(store: Store) -> None:
    one, other = station("ops"), station("ops", "toc-b")
    for current in (one, other, one):
        async with store.session(current) as session:
            claims = await session.fetchval("SELECT current_setting('request.jwt.claims')::jsonb")
            assert claims["station_id"] == str(current.id)
    raw = await connect(store.urls.session("ops"))
    assert not await raw.fetchval("SELECT current_setting('request.jwt.claims', true)")
    await raw.close()


async def test_claims_of_any_text_stay_text(store: Store) -> None:
    odd = Station(uuid4(), "o'b\\'rien\"; RESET ROLE; --", "X", "X", "ops")
    async with store.session(odd) as session:
        claims = await session.fetchval("SELECT current_setting('request.jwt.claims')::jsonb")
    assert claims["station_slug"] == odd.slug


async def test_claims_that_name_no_station_open_nothing(world: World) -> None:
    for claims in ("", "{}", '{"station_id": null}', '{"station_id": "none"}', "garbage", "[]", '"text"'):
        raw = await connect(world.urls.session("ops"))
        with suppress(asyncpg.DataError):
            async with raw.transaction():
                await raw.execute("SELECT set_config('request.jwt.claims', $1, true)", claims)
                assert await raw.fetch("SELECT * FROM ops.missions") == [], claims
        await raw.close()


async def test_the_engines_login_has_no_way_into_a_roles_tables(world: World) -> None:
    for table in ("ops.missions", "ops.telemetry_events", "intel.telemetry_sources", "logistics.mission_logs"):
        with pytest.raises(DENIED):
            await world.store.fetch(f"SELECT * FROM {table}")
    with pytest.raises(DENIED):
        await world.store.execute("SET ROLE vtoc_ops")


async def test_the_logins_are_members_of_nothing_and_own_nothing(world: World) -> None:
    logins = ["vtoc_app", *(role_login(role) for role in ROLES)]
    rows = await world.raw.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY($1::text[])"
        " AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolinherit)",
        logins,
    )
    assert rows == []
    assert (
        await world.raw.fetch("SELECT * FROM pg_auth_members WHERE member::regrole::text = ANY($1::text[])", logins)
        == []
    )
    assert (
        await world.raw.fetch("SELECT relname FROM pg_class WHERE relowner::regrole::text = ANY($1::text[])", logins)
        == []
    )
    assert (
        await world.raw.fetch("SELECT proname FROM pg_proc WHERE proowner::regrole::text = ANY($1::text[])", logins)
        == []
    )


async def test_every_table_of_stations_and_people_forces_row_level_security(world: World) -> None:
    rows = await world.raw.fetch(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND c.relname <> 'schema_version'"
        " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
        ["vtoc", *ROLES],
    )
    assert rows == []


async def test_nothing_of_ours_is_open_to_everybody(world: World) -> None:
    schemas = ["vtoc_engine", "vtoc", *ROLES]
    rows = await world.raw.fetch(
        """
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
            aclexplode(c.relacl) a WHERE n.nspname = ANY($1) AND a.grantee = 0
        UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
            aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE n.nspname = ANY($1) AND a.grantee = 0
        UNION ALL SELECT nspname::text FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = ANY($1) AND a.grantee = 0
        """,
        schemas,
    )
    assert rows == []


async def assert_unreachable(world: World, role: str, table: str) -> None:
    """Neither read nor written by a session of this role."""
    for statement in (
        f"SELECT * FROM {table}",
        f"INSERT INTO {table} DEFAULT VALUES",
        f"UPDATE {table} SET ctid = ctid",
        f"DELETE FROM {table}",
    ):
        if statement.startswith("UPDATE"):
            column = await world.raw.fetchval(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum = 1", table
            )
            statement = f'UPDATE {table} SET "{column}" = "{column}"'
        with pytest.raises(DENIED):
            await attempt(world, role, statement)
