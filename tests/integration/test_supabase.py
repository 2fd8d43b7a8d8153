"""A Supabase-shaped server, and the SQL of docs/supabase.md on it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from tests.docs_kit import page
from tests.embedded_kit import data_folder
from tests.schema_kit import SCHEMAS, add_station, station
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.upgrade import provision_and_upgrade
from vtoc_bots.core.store.urls import ROLES, DatabaseUrl, DatabaseUrls

GUIDE = re.findall(r"```sql\n(.*?)```", page("docs/supabase.md"), re.DOTALL)
PROJECT = """
CREATE ROLE project LOGIN CREATEROLE CREATEDB NOSUPERUSER PASSWORD 'project';
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
CREATE ROLE supabase_auth_admin NOINHERIT;
CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD 'gate';
GRANT anon, authenticated, service_role TO authenticator;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseUrls]:
    """A server of this module's own, since roles belong to the whole server."""
    with data_folder() as data, asyncio.Runner() as runner:
        embedded = runner.run(Embedded.acquire(data, durable=False))
        yield embedded.urls
        runner.run(embedded.close())


@pytest_asyncio.fixture
async def project(server: DatabaseUrls) -> AsyncIterator[DatabaseUrls]:
    """A provisioned project: its own login, which is no superuser, has made everything."""
    root = await connect(server.admin)
    await root.execute(PROJECT)
    await root.execute("CREATE DATABASE project OWNER project")
    url = replace(server.main, user="project", password="project", database="project")
    owner = await connect(url)
    # As there: what is made in public is everybody's, which must not reach our schemas.
    rights = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role"
    await owner.execute(rights)
    await owner.close()
    urls = DatabaseUrls.of(replace(url, user="vtoc_app", password="app").text, admin=url.text)
    await provision_and_upgrade(urls)
    await provision_and_upgrade(urls)
    yield urls
    await root.execute("DROP DATABASE project WITH (FORCE)")
    await root.close()


async def as_gateway(url: DatabaseUrl, role: str, claims: dict[str, Any], sql: str) -> list[tuple[Any, ...]]:
    """What a request with these claims reads, the way PostgREST asks."""
    raw = await connect(replace(url, user="authenticator", password="gate"))
    try:
        async with raw.transaction():
            await raw.execute(
                "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true)",
                role,
                json.dumps(claims),
            )
            return [tuple(row) for row in await raw.fetch(sql)]
    finally:
        await raw.close()


async def two_stations(urls: DatabaseUrls) -> list[UUID]:
    """Two stations of ops, with a mission each; their ids."""
    store = await Store.open(urls)
    here, there = station("ops"), station("ops", "toc-b")
    for each in (here, there):
        await add_station(store, each)
        async with store.session(each) as session:
            await session.execute(
                "INSERT INTO ops.missions (station_id, code, name) VALUES ($1, 'M-1', $2)", each.id, each.slug
            )
    await store.close()
    return [here.id, there.id]


async def test_the_guides_sql_holds_on_a_project(project: DatabaseUrls) -> None:
    members, request, hook, stations = GUIDE
    owner = await connect(project.admin)
    here, there = await two_stations(project)
    assert [row["role"] for row in await owner.fetch(members)] == ["vtoc_ops", "vtoc_intel", "vtoc_logistics"]
    assert {row["id"] for row in await owner.fetch(stations)} == {here, there}

    # The request of the guide, as the gateway.
    gateway = await connect(replace(project.admin, user="authenticator", password="gate"))
    begin, claims, read, commit = (part.strip() for part in request.strip().rstrip(";").split(";\n"))
    await gateway.execute(begin)
    await gateway.execute(claims.replace("STATION-ID", str(here)))
    assert [row["name"] for row in await gateway.fetch(read)] == ["toc-a"]
    await gateway.execute(commit)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await gateway.fetch(read)
    await gateway.close()

    # The hook: the claims that a user's metadata gives, and nobody else's role.
    await owner.execute(hook)
    for given, role in (
        ({"station_role": "ops", "station_id": str(there)}, "vtoc_ops"),
        ({"station_role": "app", "station_id": str(there)}, "authenticated"),
        ({"station_role": "ops"}, "authenticated"),
        ({}, "authenticated"),
    ):
        event = {"claims": {"role": "authenticated", "app_metadata": given}}
        claimed = (await owner.fetchval("SELECT public.vtoc_claims($1::jsonb)", event))["claims"]
        assert claimed["role"] == role
        if role == "vtoc_ops":
            assert await as_gateway(project.admin, role, claimed, "SELECT name FROM ops.missions") == [("toc-b",)]
    await owner.close()

    # Supabase's own roles, even the one that no policy binds, and roles of other stations: nothing.
    claimed = {"station_id": str(here)}
    for role in ("anon", "authenticated", "service_role", "vtoc_intel"):
        for table in ("ops.missions", "vtoc_engine.runs", "vtoc.api_tokens"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await as_gateway(project.admin, role, claimed, f"SELECT 1 FROM {table}")
    assert await as_gateway(project.admin, "vtoc_ops", {}, "SELECT name FROM ops.missions") == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_gateway(project.admin, "vtoc_app", claimed, "SELECT 1")
    raw = await connect(project.admin)
    for role in ("anon", "authenticated", "service_role"):
        for schema in SCHEMAS:
            assert not await raw.fetchval("SELECT has_schema_privilege($1::name, $2, 'USAGE')", role, schema)
    await raw.close()


def test_the_guides_urls_are_a_pooler_and_a_way_past_it() -> None:
    shown = dict(re.findall(r"^(DATABASE\w+)=(\S+)$", page("docs/supabase.md"), re.MULTILINE))
    urls = DatabaseUrls.from_environment(shown)
    assert urls is not None
    assert (urls.main.is_pooled, urls.direct.is_pooled, urls.admin.is_pooled) == (True, False, False)
    assert {urls.session(role).user for role in ROLES} == {f"vtoc_{role}.abcd" for role in ROLES}
    assert "sslmode=require" in urls.main.dsn
