"""Migrations: what they make, who may run them, and how a database that lacks them is told."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from alembic.script import ScriptDirectory

from tests.embedded_kit import data_folder
from tests.schema_kit import SCHEMAS, add_station, as_superuser, description, station
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.queue import database_settings, install_sql
from vtoc_bots.core.store import upgrade as upgrading
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.schema import HEAD, is_current, require_current, versions
from vtoc_bots.core.store.upgrade import alembic_config, upgrade
from vtoc_bots.core.store.urls import ROLES, DatabaseUrls
from vtoc_bots.testing.postgres import in_database

SQL = Path(upgrading.__file__).parent / "sql"
REPOSITORY = Path(__file__).parents[2]


@pytest_asyncio.fixture
async def empty_urls(postgres_urls: DatabaseUrls) -> AsyncIterator[DatabaseUrls]:
    """A database with nothing in it."""
    name = f"test_{uuid4().hex}"
    raw = await connect(postgres_urls.admin)
    await raw.execute(f"CREATE DATABASE {name}")
    yield in_database(postgres_urls, name)
    await raw.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await raw.close()


def test_the_program_knows_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


async def test_the_schema_equals_the_migrations(database_urls: DatabaseUrls, empty_urls: DatabaseUrls) -> None:
    """sql/*.sql says what the schema is; a change of it needs a migration that makes the same."""
    declared = await connect(empty_urls.admin)
    for schema in SCHEMAS:
        await declared.execute(f"CREATE SCHEMA {schema}")
    for name in ("engine", "queue", "vtoc", "engine_grants"):
        await declared.execute((SQL / f"{name}.sql").read_text())
    for role in ROLES:
        await declared.execute((SQL / "role.sql").read_text().replace("@schema@", role))
    migrated = await as_superuser(database_urls)
    try:
        wanted, made = await description(declared), await description(migrated)
        assert len(wanted) > 500
        assert sorted(wanted - made) == []
        assert sorted(made - wanted) == []
    finally:
        await declared.close()
        await migrated.close()


def test_the_queues_tables_are_those_of_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bare names in the environment, which the library reads, change nothing."""
    declared = (SQL / "queue.sql").read_text()
    assert declared.startswith(install_sql())
    names = (
        "CHANNEL",
        "FUNCTION",
        "QUEUE_TABLE",
        "TRIGGER",
        "STATISTICS_TABLE",
        "SCHEDULES_TABLE",
        "QUEUE_STATUS_TYPE",
    )
    before = database_settings()
    for name in (*names, "QUEUE_TABLE_LOG", "PREFIX", "SCHEMA"):
        monkeypatch.setenv(name, "elsewhere")
        monkeypatch.setenv(f"PGQUEUER_{name}", "elsewhere")
    monkeypatch.setenv("DURABILITY", "durable")
    monkeypatch.setenv("PGQUEUER_DURABILITY", "durable")
    assert database_settings() == before
    assert declared.startswith(install_sql())


async def test_migrating_twice_or_at_once_is_harmless(empty_urls: DatabaseUrls) -> None:
    assert not await is_current(empty_urls)
    await asyncio.gather(upgrade(empty_urls), upgrade(empty_urls))
    await upgrade(empty_urls)
    assert dict(await versions(empty_urls)) == {"vtoc_engine": HEAD, "ops": HEAD, "intel": HEAD, "logistics": HEAD}
    assert await is_current(empty_urls)
    await require_current(empty_urls)


async def test_an_old_schema_stops_the_start_and_names_the_command(empty_urls: DatabaseUrls) -> None:
    with pytest.raises(
        StartupError, match=r"intel, logistics, ops, vtoc_engine is not migrated .*vtoc-bots db upgrade"
    ):
        await require_current(empty_urls)


async def test_a_newer_schema_stops_the_start_and_the_upgrade(database_urls: DatabaseUrls) -> None:
    raw = await as_superuser(database_urls)
    await raw.execute("UPDATE intel.schema_version SET version_num = '9999'")
    await raw.close()
    with pytest.raises(StartupError, match="schema intel was migrated by a newer vtoc-bots"):
        await require_current(database_urls)
    with pytest.raises(StartupError, match="newer vtoc-bots"):
        await upgrade(database_urls)


async def test_a_look_at_the_schema_imports_no_migration_library(database_urls: DatabaseUrls) -> None:
    program = (
        "import asyncio, sys; from vtoc_bots.core import database; from vtoc_bots.core.store.schema import is_current;"
        " from vtoc_bots.core.store.urls import DatabaseUrls;"
        " assert asyncio.run(is_current(DatabaseUrls.of(sys.argv[1])));"
        " print([name for name in ('alembic', 'sqlalchemy') if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, database_urls.main.text), stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert (await process.communicate())[0].decode().strip() == "[]"


async def test_alembics_own_command_migrates_one_role(empty_urls: DatabaseUrls) -> None:
    raw = await as_superuser(empty_urls)
    script = "import sys; from alembic.config import main; main(argv=sys.argv[1:])"
    environment = {
        **os.environ,
        "DATABASE_URL": empty_urls.main.text,
        "DATABASE_ADMIN_URL": empty_urls.admin.text,
        "PYTHONPATH": str(REPOSITORY),
    }
    for arguments, code in ((["-x", "role=ops", "upgrade", "head"], 0), (["upgrade", "head"], 1)):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, "-c", str(REPOSITORY / "alembic.ini"), *arguments),
            env=environment,
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
        )
        assert (await process.communicate())[1].decode().count("say which schema with -x role=") >= code
    assert dict(await versions(empty_urls)) == {"vtoc_engine": None, "ops": HEAD, "intel": None, "logistics": None}
    await raw.close()


async def test_a_role_may_live_in_a_database_of_its_own(
    postgres_urls: DatabaseUrls, empty_urls: DatabaseUrls, database_urls: DatabaseUrls
) -> None:
    own, admin = empty_urls.main.text, empty_urls.admin.text
    main = database_urls
    urls = DatabaseUrls.of(main.main.text, admin=main.admin.text, roles={"intel": own}, role_admins={"intel": admin})
    await upgrade(urls)
    await require_current(urls)
    store = await Store.open(urls)
    try:
        for role, name in (("intel", empty_urls.main.database), ("ops", main.main.database)):
            here = station(role)
            async with store.session(here) as session:
                assert await session.fetchval("SELECT current_database()") == name
                await session.execute(
                    f"INSERT INTO {role}.missions (station_id, code, name) VALUES ($1, 'M-1', 'x')", here.id
                )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await store.fetch("SELECT * FROM intel.missions")
    finally:
        await store.close()
    raw = await connect(empty_urls.admin)
    assert {row[0] for row in await raw.fetch("SELECT nspname::text FROM pg_namespace")} & set(SCHEMAS) == {"intel"}
    await raw.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[DatabaseUrls]:
    """A server of this module's own, since roles belong to the whole server."""
    with data_folder() as data, asyncio.Runner() as runner:
        embedded = runner.run(Embedded.acquire(data, durable=False))
        yield embedded.urls
        runner.run(embedded.close())


async def test_an_owner_who_is_no_superuser_can_migrate_and_run_everything(own_server: DatabaseUrls) -> None:
    """As on Supabase: one login that may make roles and owns the database, and DATABASE_URL is it."""
    root = await connect(own_server.admin)
    await root.execute("CREATE ROLE centre LOGIN CREATEROLE NOSUPERUSER PASSWORD 'a b/c?ü'")
    await root.execute("CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD 'gate'")
    await root.execute("CREATE DATABASE centre OWNER centre")
    await root.execute("GRANT centre TO postgres")
    url = replace(own_server.main, user="centre", password="a b/c?ü", database="centre")
    urls = DatabaseUrls.of(url.text)
    assert urls.main == replace(url, options=urls.main.options)
    await upgrade(urls)
    await upgrade(urls)
    await require_current(urls)
    store = await Store.open(urls)
    here = station("logistics")
    await add_station(store, here)
    assert await store.fetchval("SELECT count(*) FROM vtoc.stations") == 1
    async with store.session(here) as session:
        await session.execute(
            "INSERT INTO logistics.missions (station_id, code, name) VALUES ($1, 'M-1', 'x')", here.id
        )
    await store.close()
    # Supabase's gateway: nothing by itself, a station's rows as the role and with the claims of a token.
    gateway = await connect(replace(url, user="authenticator", password="gate"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await gateway.fetch("SELECT * FROM logistics.missions")
    async with gateway.transaction():
        await gateway.execute("SET LOCAL ROLE vtoc_logistics")
        assert await gateway.fetch("SELECT * FROM logistics.missions") == []
        await gateway.execute("SELECT set_config('request.jwt.claims', $1, true)", f'{{"station_id": "{here.id}"}}')
        assert len(await gateway.fetch("SELECT * FROM logistics.missions")) == 1
    await gateway.close()
    await root.close()


async def test_who_may_make_no_roles_is_told_what_to_set(own_server: DatabaseUrls) -> None:
    root = await connect(own_server.admin)
    await root.execute("CREATE ROLE weak LOGIN PASSWORD 'weak'")
    await root.execute("CREATE DATABASE weak OWNER weak")
    await root.close()
    url = replace(own_server.main, user="weak", password="weak", database="weak")
    with pytest.raises(StartupError, match=r"may not make roles .*DATABASE_ADMIN_URL"):
        await upgrade(DatabaseUrls.of(url.text))


async def test_partitions_are_made_ahead_and_dropped_and_take_over_what_came_early(store: Store) -> None:
    raw = await as_superuser(store.urls)
    here, source = station("ops"), uuid4()
    insert = (
        "INSERT INTO ops.telemetry_events (source_id, station_id, event_time, received_at, entity_id, entity_namespace)"
        " VALUES ($1, $2, $3::text::timestamptz, $4::text::timestamptz, 'a', 'icao')"
    )
    async with store.session(here) as session:
        for at, arrived in (
            ("2031-05-02T00:00:00Z", "2031-05-01T00:00:00Z"),
            ("2031-05-02T23:59:59.9Z", "2031-05-01T00:00:00Z"),
            ("2016-01-01T00:00:00Z", "2031-05-01T00:00:00Z"),
        ):
            await session.execute(insert, source, here.id, at, arrived)
    assert await raw.fetchval("SELECT count(*) FROM ops.telemetry_events_default") == 3
    assert await store.fetchval("SELECT ops.make_partitions('2031-05-01', 3)") == 3
    assert await store.fetchval("SELECT ops.make_partitions('2031-05-01', 3)") == 0
    assert await raw.fetchval("SELECT count(*) FROM ops.telemetry_events_20310502") == 2
    assert await raw.fetchval("SELECT count(*) FROM ops.telemetry_events_default") == 1
    async with store.session(here) as session:
        assert await session.fetchval("SELECT count(*) FROM ops.telemetry_events") == 3
    async with store.session(station("ops", "toc-b")) as session:
        assert await session.fetchval("SELECT count(*) FROM ops.telemetry_events") == 0
    guarded = "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = 'telemetry_events_20310502'"
    assert await raw.fetchval(guarded) is True
    dropped = await store.fetchval("SELECT ops.drop_partitions('2031-05-03')")
    assert dropped >= 2
    assert await raw.fetchval("SELECT count(*) FROM ops.telemetry_events") == 0
    assert await raw.fetchval("SELECT to_regclass('ops.telemetry_events_20310503')") is not None
    await raw.close()


async def test_two_keepers_of_partitions_at_once_make_each_once(store: Store) -> None:
    sql = "SELECT ops.make_partitions('2032-01-01', 5)"
    assert sorted(await asyncio.gather(store.fetchval(sql), store.fetchval(sql))) == [0, 5]
