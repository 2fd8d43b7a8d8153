"""The session manager against a real Postgres."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.schema_kit import as_superuser, station
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.groups import GroupCommit
from vtoc_bots.core.store.pool import Connection, Store
from vtoc_bots.core.store.retry import DatabaseUnavailable
from vtoc_bots.core.store.urls import DatabaseUrl, DatabaseUrls

KEEP = "INSERT INTO vtoc_engine.blobs (sha256, bytes, type) VALUES ($1, $2, 'text/plain')"
COUNT = "SELECT count(*) FROM vtoc_engine.blobs"
DISCONNECT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'vtoc-bots' AND pid <> pg_backend_pid()"""


async def test_json_goes_in_and_comes_out_as_values(store: Store) -> None:
    value = {"a": [1, 2.5, None, "é\x00"], "b": {"c": True}}
    assert await store.fetchval("SELECT $1::jsonb", value) == {"a": [1, 2.5, None, "é"], "b": {"c": True}}
    assert await store.fetchval("SELECT $1::jsonb[]", [value, 3]) == [{"a": [1, 2.5, None, "é"], "b": {"c": True}}, 3]
    assert await store.fetchval("SELECT $1::json", [1]) == [1]


async def test_ids_and_times_are_what_python_calls_so(store: Store) -> None:
    identity, at = uuid4(), datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    row = await store.fetchrow("SELECT $1::uuid AS id, $2::timestamptz AS at", identity, at)
    assert row is not None
    assert (row["id"], row["at"], row["at"].tzinfo) == (identity, at, UTC)
    assert await store.fetchrow("SELECT 1 WHERE false") is None


async def test_execute_says_how_many_rows_it_touched(store: Store) -> None:
    assert await store.execute(KEEP, "a", b"1") == 1
    assert (
        await store.execute("UPDATE vtoc_engine.blobs SET type = 'x' WHERE sha256 = ANY($1::text[])", ["a", "b"]) == 1
    )
    assert await store.execute("DELETE FROM vtoc_engine.blobs") == 1
    async with store.session(station("ops")) as session:
        assert await session.execute("DELETE FROM ops.missions WHERE true") == 0


async def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    async with store.transaction() as connection:
        await connection.execute(KEEP, "a", b"1")
        await connection.execute(KEEP, "b", b"2")
    assert await store.fetchval(COUNT) == 2

    async def mistaken() -> None:
        async with store.transaction() as connection:
            await connection.execute(KEEP, "c", b"3")
            raise KeyError("a mistake of ours")

    with pytest.raises(KeyError):
        await mistaken()
    assert await store.fetchval(COUNT) == 2


async def test_a_transaction_with_a_swallowed_failure_does_not_pass_for_committed(store: Store) -> None:
    async def swallowing() -> None:
        async with store.transaction() as connection:
            await connection.execute(KEEP, "a", b"1")
            with pytest.raises(asyncpg.UniqueViolationError):
                await connection.execute(KEEP, "a", b"1")

    with pytest.raises(asyncpg.InFailedSQLTransactionError, match="nothing of it was written"):
        await swallowing()
    assert await store.fetchval(COUNT) == 0


async def test_a_session_is_all_or_nothing(store: Store) -> None:
    here = station("ops")
    insert = "INSERT INTO ops.missions (station_id, code, name) VALUES ($1, $2, 'x')"
    async with store.session(here) as session:
        await session.execute(insert, here.id, "M-1")

    async def mistaken() -> None:
        async with store.session(here) as session:
            await session.execute(insert, here.id, "M-2")
            raise KeyError("a mistake of the action")

    with pytest.raises(KeyError):
        await mistaken()
    async with store.session(here) as session:
        assert [row["code"] for row in await session.fetch("SELECT code FROM ops.missions")] == ["M-1"]


async def test_a_caller_that_gives_up_leaves_a_clean_connection(database_urls: DatabaseUrls) -> None:
    store = await Store.open(database_urls, max_connections=1, max_role_connections=1)
    here = station("ops")

    async def slow() -> None:
        async with store.session(here) as session:
            await session.fetchval("SELECT pg_sleep(30)")

    for work in (store.fetchval("SELECT pg_sleep(30)"), slow()):
        task = asyncio.create_task(work)
        await _until_running(store, "pg_sleep")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await store.fetchval("SELECT pg_current_xact_id_if_assigned() IS NULL")
    async with store.session(here) as session:
        assert await session.fetchval("SELECT 1") == 1
    await store.close()


async def test_a_statement_has_a_time_limit(store: Store) -> None:
    with pytest.raises(DatabaseUnavailable, match="no answer in time"):
        await store.fetchval("SELECT pg_sleep(30)", timeout=0.05)
    assert await store.fetchval("SELECT 1") == 1


async def test_what_is_idempotent_is_done_again_after_a_lost_connection(store: Store) -> None:
    raw = await as_superuser(store.urls)
    await store.fetchval("SELECT 1")
    for idempotent in (True, False):
        await raw.execute("DELETE FROM vtoc_engine.blobs")
        sql = "SELECT CASE WHEN EXISTS (SELECT FROM vtoc_engine.blobs) THEN 1 ELSE length(pg_sleep(30)::text) END"
        task = asyncio.create_task(store.fetchval(sql, idempotent=idempotent, timeout=40))
        await _until_running(store, "pg_sleep", raw)
        await raw.execute(KEEP, "now", b"")
        await raw.execute(DISCONNECT)
        if idempotent:
            assert await task == 1
        else:
            with pytest.raises(DatabaseUnavailable, match="connection"):
                await task
    await raw.close()


async def test_connections_lost_while_idle_are_not_noticed_by_anybody(store: Store) -> None:
    here = station("ops")
    raw = await as_superuser(store.urls)
    await asyncio.gather(*(store.fetchval("SELECT pg_sleep(0.01)") for _ in range(4)))
    async with store.session(here) as session:
        await session.fetchval("SELECT 1")
    # Behind a pooler, clients share the server's connections.
    assert len(await raw.fetch(DISCONNECT)) >= (2 if store.urls.main.is_pooled else 5)
    assert await store.fetchval("SELECT 1", idempotent=True) == 1
    async with store.session(here) as session:
        assert await session.fetchval("SELECT 1") == 1
    await raw.close()


async def test_it_gives_up_after_its_patience() -> None:
    waits: list[float] = []

    async def remembered(seconds: float) -> None:
        waits.append(seconds)

    nowhere = DatabaseUrls.of("postgresql://vtoc_app:x@127.0.0.1:1/postgres")
    store = Store(nowhere, retry_seconds=0.2, sleep=remembered)
    with pytest.raises(DatabaseUnavailable, match="is Postgres running"):
        await store.fetchval("SELECT 1", idempotent=True)
    assert waits
    waits.clear()
    with pytest.raises(DatabaseUnavailable):
        await store.fetchval("SELECT 1")
    assert waits == []
    await store.close()


async def test_two_transactions_in_each_others_way_are_both_done(store: Store) -> None:
    for name in ("a", "b"):
        await store.execute(KEEP, name, b"")
    both = asyncio.Barrier(2)
    tries = 0

    async def work(connection: Connection, order: str) -> None:
        nonlocal tries
        tries += 1
        for place, name in enumerate(order):
            await connection.execute("UPDATE vtoc_engine.blobs SET type = type || $1 WHERE sha256 = $2", order, name)
            if place == 0 and tries <= 2:
                await both.wait()

    await asyncio.gather(
        store.run(lambda c: work(c, "ab"), transaction=True), store.run(lambda c: work(c, "ba"), transaction=True)
    )
    assert tries == 3
    kinds = [row["type"] for row in await store.fetch("SELECT type FROM vtoc_engine.blobs")]
    assert all("ab" in kind and "ba" in kind for kind in kinds)


async def test_behind_a_transaction_pooler_everything_stands_in_a_transaction(database_urls: DatabaseUrls) -> None:
    """The pooler's rules on a plain server: no prepared statement is kept, no statement stands alone."""
    pooled = replace(database_urls, main=_pooled(database_urls.main))
    store = await Store.open(pooled)
    count = "SELECT count(*) FROM pg_prepared_statements"
    in_transaction = "SELECT statement_timestamp() >= transaction_timestamp() AND $1::jsonb IS NOT NULL"
    for _ in range(3):
        assert await store.fetchval(in_transaction, {"a": 1})
        assert await store.execute(KEEP, uuid4().hex, b"") == 1
        async with store.session(station("ops")) as session:
            assert await session.fetchval("SELECT $1::jsonb", {"a": 1}) == {"a": 1}
            assert await session.fetchval(count) == 0
    assert await store.fetchval(count) == 0
    assert await store.fetchval(COUNT) == 3
    await store.close()


async def test_the_queues_connection_goes_past_the_pooler(database_urls: DatabaseUrls) -> None:
    urls = replace(database_urls, main=DatabaseUrl.parse("postgresql://vtoc_app:x@127.0.0.1:1/d"))
    store = Store(urls)
    heard: asyncio.Queue[str] = asyncio.Queue()
    raw = await store.direct_connection()
    await raw.add_listener("test", lambda *got: heard.put_nowait(got[-1]))
    await raw.execute("SELECT pg_notify('test', 'hello')")
    assert await asyncio.wait_for(heard.get(), 10) == "hello"
    await raw.close()
    nowhere = Store(replace(urls, direct=urls.main))
    with pytest.raises(DatabaseUnavailable):
        await nowhere.direct_connection()


async def test_a_probe_measures_the_answer(store: Store) -> None:
    assert 0 < await store.probe() < 5


async def test_what_keeps_it_from_opening_is_told_without_a_secret(database_urls: DatabaseUrls) -> None:
    for url, said in (
        (replace(database_urls.main, password="wr0ng"), "refused the login 'vtoc_app'"),
        (replace(database_urls.main, database="nowhere"), "does not exist"),
        (DatabaseUrl.parse("postgresql://u:wr0ng@127.0.0.1:1/d"), "can't be opened"),
    ):
        with pytest.raises(StartupError, match=said) as caught:
            await Store.open(replace(database_urls, main=url), retry_seconds=0.0)
        assert "wr0ng" not in str(caught.value)


async def test_a_server_without_tls_is_refused_unless_the_url_allows_it(database_urls: DatabaseUrls) -> None:
    async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"N")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(no_tls, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = DatabaseUrl.parse(f"postgresql://u:p@127.0.0.1:{port}/d?sslmode=require")
    with pytest.raises(StartupError, match=r"offers no TLS .*add \?sslmode=disable to DATABASE_URL"):
        await Store.open(replace(database_urls, main=url), retry_seconds=0.0)
    server.close()
    await server.wait_closed()


async def test_a_closed_store_says_so(database_urls: DatabaseUrls) -> None:
    store = await Store.open(database_urls)
    await store.close()
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await store.fetchval("SELECT 1", idempotent=True)


async def test_a_group_writes_with_one_statement_and_a_bad_item_fails_alone(store: Store) -> None:
    statements = 0

    async def flush(connection: Connection, items: list[tuple[str, Any]]) -> list[str]:
        nonlocal statements
        statements += 1
        rows = await connection.fetch(
            "INSERT INTO vtoc_engine.buttons (token, value, expires_at)"
            " SELECT n.*, now() FROM unnest($1::text[], $2::jsonb[]) AS n RETURNING token",
            [token for token, _ in items],
            [value for _, value in items],
        )
        return [row["token"] for row in rows]

    group = GroupCommit(store, flush, name="test")
    names = [f"t{number}" for number in range(50)]
    assert await asyncio.gather(*(group.add((name, {"nul": "\x00"})) for name in names)) == names
    assert statements <= 2
    results = await asyncio.gather(*(group.add((name, 1)) for name in ("x", "t7", "y")), return_exceptions=True)
    assert [type(result) for result in results] == [str, asyncpg.UniqueViolationError, str]
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.buttons") == 52


def _pooled(url: DatabaseUrl) -> DatabaseUrl:
    return replace(url, options={**url.options, "pgbouncer": "true"})


async def _until_running(store: Store, text: str, raw: Any = None) -> None:
    """Until another connection runs a statement with this text."""
    own = raw or await as_superuser(store.urls)
    sql = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )
    async with asyncio.timeout(20):
        while not await own.fetchval(sql, f"%{text}%"):
            pass
    if raw is None:
        await own.close()
