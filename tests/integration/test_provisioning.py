"""Provisioning: by whom it may be run, what it leaves, and a Supabase-shaped server."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.embedded_kit import data_folder
from tests.schema_kit import SCHEMAS, add_station, station
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.provision import provisioning_sql
from vtoc_bots.core.store.schema import require_current
from vtoc_bots.core.store.upgrade import provision_and_upgrade, upgrade
from vtoc_bots.core.store.urls import ROLES, DatabaseUrl, DatabaseUrls

REPOSITORY = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("vtoc-bots")
LOGINS = ("vtoc_app", *(f"vtoc_{role}" for role in ROLES))
MISSION = "INSERT INTO ops.missions (station_id, code, name) VALUES ($1, 'M-1', 'x')"


@pytest.fixture(scope="module")
def own_server() -> Iterator[DatabaseUrls]:
    """A server of this module's own, since roles belong to the whole server."""
    with data_folder() as data, asyncio.Runner() as runner:
        embedded = runner.run(Embedded.acquire(data, durable=False))
        yield embedded.urls
        runner.run(embedded.close())


@pytest_asyncio.fixture
async def root(own_server: DatabaseUrls) -> AsyncIterator[Any]:
    """The superuser, on a server without a role or database of ours."""
    raw = await connect(own_server.admin)
    yield raw
    for name in [row[0] for row in await raw.fetch("SELECT datname::text FROM pg_database WHERE datname LIKE 'd\\_%'")]:
        await raw.execute(f"DROP DATABASE {name} WITH (FORCE)")
    mine = "SELECT rolname::text FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'"
    names = [row[0] for row in await raw.fetch(mine)]
    for name in names:
        await raw.execute(f'DROP OWNED BY "{name}" CASCADE')
    for name in names:
        await raw.execute(f'DROP ROLE "{name}"')
    await raw.close()


async def database(root: Any, server: DatabaseUrls, owner: str | None = None) -> DatabaseUrl:
    """A new database's superuser URL."""
    name = f"d_{uuid4().hex}"
    await root.execute(f"CREATE DATABASE {name}" + (f" OWNER {owner}" if owner else ""))
    return replace(server.admin, database=name)


def as_login(url: DatabaseUrl, user: str, password: str) -> DatabaseUrl:
    return replace(url, user=user, password=password)


async def run_script(url: DatabaseUrl, sql: str) -> None:
    raw = await connect(url)
    try:
        await raw.execute(sql)
    finally:
        await raw.close()


async def call(folder: Path, environment: dict[str, str], *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program with this environment alone; what it printed and how it ended."""

    def done() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)

    return await asyncio.to_thread(done)


async def assert_works(urls: DatabaseUrls) -> None:
    """The engine writes, and a station's session reads what is its own."""
    await require_current(urls)
    store = await Store.open(urls)
    try:
        here = station("ops", f"toc-{uuid4().hex[:8]}")
        await add_station(store, here)
        async with store.session(here) as session:
            await session.execute(MISSION, here.id)
            assert await session.fetchval("SELECT count(*) FROM ops.missions") == 1
            assert await session.fetchval("SELECT count(*) FROM vtoc.stations") == 1
    finally:
        await store.close()


async def test_an_owner_with_no_right_but_its_schemas_migrates_what_somebody_else_provisioned(
    root: Any, own_server: DatabaseUrls
) -> None:
    """The printed SQL is run by an administrator; whoever migrates may neither make roles nor schemas."""
    await root.execute("CREATE ROLE keeper LOGIN PASSWORD 'kee per'")
    url = await database(root, own_server)
    urls = DatabaseUrls.of(as_login(url, "vtoc_app", "pass'word").text, admin=as_login(url, "keeper", "kee per").text)
    with pytest.raises(StartupError, match=r"may not make roles .*CREATEROLE.*db provision --print-sql"):
        await upgrade(urls)
    sql = provisioning_sql(urls)
    await run_script(url, sql)
    await run_script(url, sql)
    await upgrade(urls)
    await upgrade(urls)
    await assert_works(urls)
    # Run again over what is there, it harms nothing.
    await run_script(url, provisioning_sql(urls))
    await assert_works(urls)


async def test_alembic_migrates_each_role_of_a_provisioned_database(root: Any, own_server: DatabaseUrls) -> None:
    await root.execute("CREATE ROLE keeper LOGIN PASSWORD 'k'")
    url = await database(root, own_server)
    urls = DatabaseUrls.of(as_login(url, "vtoc_app", "p").text, admin=as_login(url, "keeper", "k").text)
    await run_script(url, provisioning_sql(urls))
    environment = {**os.environ, "DATABASE_URL": urls.main.text, "DATABASE_ADMIN_URL": urls.admin.text}
    for role in ("engine", *ROLES):
        program = Path(sys.executable).with_name("alembic")
        done = await call(REPOSITORY, environment, program, "-x", f"role={role}", "upgrade", "head")
        assert done.returncode == 0, done.stderr
    await assert_works(urls)


async def test_a_creator_who_is_no_superuser_provisions_everything_and_again(
    root: Any, own_server: DatabaseUrls
) -> None:
    await root.execute("CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'm'")
    url = await database(root, own_server, "maker")
    urls = DatabaseUrls.of(as_login(url, "maker", "m").text)
    await provision_and_upgrade(urls)
    await provision_and_upgrade(urls)
    await assert_works(urls)
    rights = await root.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY($1::text[])"
        " AND NOT (rolcreaterole OR rolsuper OR rolinherit)",
        list(LOGINS),
    )
    assert len(rights) == 4


async def test_what_was_changed_by_hand_is_set_right(root: Any, own_server: DatabaseUrls) -> None:
    url = await database(root, own_server)
    urls = DatabaseUrls.of(as_login(url, "vtoc_app", "p").text, admin=url.text)
    await provision_and_upgrade(urls)
    await root.execute("ALTER ROLE vtoc_ops NOLOGIN PASSWORD 'other'; ALTER ROLE vtoc_app PASSWORD 'other'")
    await root.execute(f"REVOKE CONNECT ON DATABASE {url.database} FROM PUBLIC, vtoc_ops, vtoc_app")
    await run_script(url, "REVOKE USAGE ON SCHEMA ops FROM vtoc_ops; GRANT USAGE ON SCHEMA vtoc_engine TO PUBLIC")
    await provision_and_upgrade(urls)
    await assert_works(urls)
    raw = await connect(url)
    assert not await raw.fetchval("SELECT has_schema_privilege('vtoc_ops', 'vtoc_engine', 'USAGE')")
    await raw.close()


async def test_roles_in_databases_of_their_own_have_parts_of_their_own(root: Any, own_server: DatabaseUrls) -> None:
    url, own = await database(root, own_server), await database(root, own_server)
    urls = DatabaseUrls.of(
        as_login(url, "vtoc_app", "p").text,
        admin=url.text,
        roles={"intel": as_login(own, "vtoc_app", "p").text},
        role_admins={"intel": own.text},
    )
    first, second, _ = provisioning_sql(urls).split("\n\n")
    for part, wrong in ((first, own), (second, url)):
        with pytest.raises(asyncpg.RaiseError, match="this part is for the database"):
            await run_script(wrong, part)
    await run_script(url, first)
    await run_script(own, second)
    for where, schemas in ((url, set(SCHEMAS) - {"intel"}), (own, {"intel"})):
        raw = await connect(where)
        assert {row[0] for row in await raw.fetch("SELECT nspname::text FROM pg_namespace")} & set(SCHEMAS) == schemas
        await raw.close()
    await upgrade(urls)
    await assert_works(urls)


async def test_the_printed_sql_needs_no_database_and_tells_no_password(tmp_path: Path) -> None:
    variables = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": "postgresql://vtoc_app.tenant:s3cret@db.example.test:6543/postgres",
        "DATABASE_DIRECT_URL": "postgresql://vtoc_app:s3cret@db.example.test:5432/postgres",
        "DATABASE_ADMIN_URL": "postgresql://post%22gres:adm1n@db.example.test:5432/postgres",
    }
    done = await call(tmp_path, variables, PROGRAM, "db", "provision", "--print-sql")
    assert (done.returncode, done.stderr) == (0, "")
    assert not re.search("s3cret|adm1n", done.stdout)
    assert done.stdout.count("PASSWORD 'SCRAM-SHA-256$4096:") == 4
    assert 'CREATE SCHEMA ops AUTHORIZATION "post""gres"' in done.stdout
    beyond = {**variables, "DATABASE_URL": "postgresql://vtoc_app:s3cret%C3%BC@127.0.0.1/postgres"}
    del beyond["DATABASE_DIRECT_URL"]
    done = await call(tmp_path, beyond, PROGRAM, "db", "provision", "--print-sql")
    assert done.returncode == 0
    assert "s3cret" not in done.stdout
    assert "ALTER ROLE vtoc_app LOGIN; -- and set its password, which is beyond ASCII" in done.stdout


async def test_without_a_configured_database_there_is_no_sql_to_print(tmp_path: Path) -> None:
    done = await call(tmp_path, {"PATH": os.environ["PATH"]}, PROGRAM, "db", "provision", "--print-sql")
    assert (done.returncode, done.stdout) == (2, "")
    assert "DATABASE_URL is not set" in done.stderr


async def test_the_command_provisions_and_may_be_repeated(root: Any, own_server: DatabaseUrls, tmp_path: Path) -> None:
    url = await database(root, own_server)
    urls = DatabaseUrls.of(as_login(url, "vtoc_app", "p").text, admin=url.text)
    variables = {"PATH": os.environ["PATH"], "DATABASE_URL": urls.main.text, "DATABASE_ADMIN_URL": url.text}
    for _ in range(2):
        done = await call(tmp_path, variables, PROGRAM, "db", "provision")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "The database is provisioned and up to date.",
            "Stations: toc-s1.",
            "ChatKit channels that live here: toc-s1.",
        ]
    await assert_works(urls)
