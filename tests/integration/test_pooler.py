"""Through PgBouncer in transaction mode: connections are shared between transactions, and nothing crosses over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.pooler_kit import Pooler
from tests.schema_kit import add_station, station
from vtoc_bots.core.errors import ConfigError
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import ROLES, DatabaseUrls
from vtoc_bots.testing import World


@pytest.fixture
def pooled_urls(pooler: Pooler, database_urls: DatabaseUrls) -> DatabaseUrls:
    """This test's database: DATABASE_URL through the pooler, the rest past it."""
    return pooler.urls(database_urls)


async def test_stations_that_share_server_connections_see_their_own_rows_alone(pooled_urls: DatabaseUrls) -> None:
    """Sixty stations at once over a few server connections, each many times."""
    store = await Store.open(pooled_urls, max_connections=12, max_role_connections=12)
    stations = [station(role, f"toc-{role}-{number}") for number in range(20) for role in ROLES]
    servers: set[int] = set()

    async def work(number: int) -> None:
        here = stations[number]
        await add_station(store, here)
        for turn in range(5):
            async with store.session(here) as session:
                await session.execute(
                    f"INSERT INTO {here.role}.missions (station_id, code, name) VALUES ($1, $2, 'x')",
                    here.id,
                    f"M-{turn}",
                )
                rows = await session.fetch(f"SELECT station_id FROM {here.role}.missions")
                assert [row["station_id"] for row in rows] == [here.id] * (turn + 1)
                assert await session.fetchval("SELECT slug FROM vtoc.stations") == here.slug
                servers.add(await session.fetchval("SELECT pg_backend_pid()"))
            assert await store.fetchval("SELECT $1::jsonb", {"n": number}) == {"n": number}

    await asyncio.gather(*(work(number) for number in range(len(stations))))
    await store.close()
    assert len(servers) <= 12, "four a login: clients shared them"


async def test_a_server_connection_goes_back_without_role_claims_or_statements(pooled_urls: DatabaseUrls) -> None:
    store = await Store.open(pooled_urls, max_role_connections=4)
    here = station("ops")

    async def used() -> None:
        async with store.session(here) as session:
            assert await session.fetchval("SELECT $1::jsonb", {"a": 1}) == {"a": 1}
            await session.fetchval("SELECT pg_sleep(0.02)")

    await asyncio.gather(*(used() for _ in range(8)))
    left = """SELECT current_setting('request.jwt.claims', true), current_setting('jit') = reset_val,
        (SELECT count(*) FROM pg_prepared_statements) FROM pg_settings WHERE name = 'jit'"""
    for _ in range(8):
        raw = await connect(pooled_urls.session("ops"))
        async with raw.transaction():
            claims, is_reset, statements = await raw.fetchrow(left)
        assert (claims or "", is_reset, statements) == ("", True, 0)
        await raw.close()
    await store.close()


async def test_a_centre_answers_through_the_pooler(pooled_urls: DatabaseUrls, tmp_path: Path) -> None:
    """The whole of it: inbox, handling by the queue past the pooler, run, reply."""
    async with World(pooled_urls, tmp_path / "world") as world:
        ada = await world.person("ada")
        reply = await ada.asks("/whoami")
        assert "ada" in reply.text


def test_a_pooler_without_a_way_past_it_stops_the_start() -> None:
    pooled = "postgresql://vtoc_app:p@127.0.0.1:6543/d"
    with pytest.raises(ConfigError, match=r"DATABASE_URL leads through a transaction pooler.*DATABASE_DIRECT_URL"):
        DatabaseUrls.of(pooled)
    with pytest.raises(ConfigError, match="DATABASE_DIRECT_URL leads through"):
        DatabaseUrls.of(pooled, direct=pooled)
    urls = DatabaseUrls.of(pooled, direct="postgresql://vtoc_app:p@127.0.0.1:5432/d")
    assert (urls.main.is_pooled, urls.direct.is_pooled, urls.admin) == (True, False, urls.direct)


async def test_the_direct_url_alone_hears_notifications(pooled_urls: DatabaseUrls) -> None:
    store = await Store.open(pooled_urls)
    heard: asyncio.Queue[str] = asyncio.Queue()
    raw = await store.direct_connection()
    await raw.add_listener("test", lambda *got: heard.put_nowait(got[-1]))
    await store.execute("SELECT pg_notify('test', 'through the pooler')")
    assert await asyncio.wait_for(heard.get(), 10) == "through the pooler"
    await raw.close()
    await store.close()
