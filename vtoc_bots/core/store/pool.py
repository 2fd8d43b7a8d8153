"""The one session manager: every connection to a database is opened and lent here."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import asyncpg
import structlog

from vtoc_bots.core.access import Station
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.connection import TIMEOUT_SECONDS, Connection, Row, connect
from vtoc_bots.core.store.retry import (
    DRIVER_ERRORS,
    DatabaseUnavailable,
    TransactionConflict,
    backoff,
    driven,
    give_up,
    is_gone,
    transient,
)
from vtoc_bots.core.store.session import Session, opening
from vtoc_bots.core.store.urls import ROLES, DatabaseUrl, DatabaseUrls

__all__ = ["Connection", "Row", "Session", "Store"]

logger = structlog.get_logger(__name__)

T = TypeVar("T")


class _Pool(NamedTuple):
    pool: asyncpg.Pool
    is_pooled: bool
    """Whether a transaction pooler stands between."""


class Store:
    """The databases of an installation.

    The engine's statements run as its login and name every table with its schema. Every call has a timeout (seconds,
    default ten). A lost connection raises DatabaseUnavailable (a TransientError); a call marked `idempotent` is first
    tried again for `retry_seconds`, since its commit may have succeeded. Other database errors are the driver's.
    """

    def __init__(
        self,
        urls: DatabaseUrls | Callable[[], DatabaseUrls],
        *,
        application: str = "vtoc-bots",
        max_connections: int = 10,
        max_role_connections: int = 4,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry_seconds: float = 15.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Connects on first use; `open` does it at once. `urls` may be a function: it is asked at every connection,
        because the embedded server's port can change when another process takes it over."""
        self._urls = urls if callable(urls) else lambda: urls
        self._application = application
        self._limits = (max_connections, max_role_connections)
        self._timeout = timeout_seconds
        self._retry_seconds = retry_seconds
        self._sleep = sleep
        self._pools: dict[str, _Pool] = {}
        self._own_databases: frozenset[str] | None = None
        self._opening = asyncio.Lock()
        self._direct: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed = False

    @classmethod
    async def open(cls, urls: DatabaseUrls | Callable[[], DatabaseUrls], **options: Any) -> Store:
        """A store whose main database answers. Raises StartupError that says why it does not."""
        store = cls(urls, **options)
        try:
            await store.fetchval("SELECT 1", idempotent=True)
        except (DatabaseUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            await store.close()
            raise StartupError(_cannot_open(store.urls.main, error)) from error
        return store

    @property
    def urls(self) -> DatabaseUrls:
        """Where the databases are at present."""
        return self._urls()

    async def close(self) -> None:
        """Close every connection; those in use are given two seconds."""
        self._closed = True
        pools, self._pools = list(self._pools.values()), {}
        for pool, _ in pools:
            try:
                await asyncio.wait_for(pool.close(), timeout=2)
            except TimeoutError:
                pool.terminate()

    def sever(self) -> None:
        """Drop every connection at once and make no other: what a killed process leaves, for tests of that."""
        self._closed = True
        for pool, _ in self._pools.values():
            pool.terminate()
        for raw in self._direct:
            raw.terminate()

    async def fetch(
        self, sql: str, *arguments: Any, timeout: float | None = None, idempotent: bool = False
    ) -> list[Row]:
        """All rows, as the engine's login."""
        return await self.run(lambda c: c.fetch(sql, *arguments, timeout=timeout), idempotent=idempotent)

    async def fetchrow(
        self, sql: str, *arguments: Any, timeout: float | None = None, idempotent: bool = False
    ) -> Row | None:
        """The first row, None when there is none."""
        return await self.run(lambda c: c.fetchrow(sql, *arguments, timeout=timeout), idempotent=idempotent)

    async def fetchval(self, sql: str, *arguments: Any, timeout: float | None = None, idempotent: bool = False) -> Any:
        """The first column of the first row, None when there is none."""
        return await self.run(lambda c: c.fetchval(sql, *arguments, timeout=timeout), idempotent=idempotent)

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None, idempotent: bool = False) -> int:
        """Run it; the number of rows it touched."""
        return await self.run(lambda c: c.execute(sql, *arguments, timeout=timeout), idempotent=idempotent)

    async def run(
        self,
        work: Callable[[Connection], Awaitable[T]],
        *,
        idempotent: bool = False,
        transaction: bool = False,
        role: str | None = None,
    ) -> T:
        """Do `work` on one connection, in one transaction if asked; `role` means the database of that role's schema.

        With `idempotent`, `work` is done again after a lost connection. A transaction that lost a deadlock was rolled
        back and is always done again.
        """
        deadline = time.monotonic() + self._retry_seconds
        waits = backoff()
        while True:
            try:
                async with self._lend(self._engine_key(role), transaction=transaction) as connection:
                    return await work(connection)
            except (DatabaseUnavailable, TransactionConflict) as error:
                again = idempotent or (transaction and isinstance(error, TransactionConflict))
                if self._closed or not again or time.monotonic() >= deadline:
                    raise
            await self._sleep(next(waits))

    @asynccontextmanager
    async def transaction(self, role: str | None = None) -> AsyncIterator[Connection]:
        """A transaction as the engine's login: committed at the end of the block, rolled back on an error."""
        async with self._lend(self._engine_key(role), transaction=True) as connection:
            yield connection

    @asynccontextmanager
    async def session(self, station: Station) -> AsyncIterator[Session]:
        """A transaction of a station on its role's schema, committed at the end of the block.

        It logs in as the role's own login, which has no right on the engine's schema or another role's.
        """
        async with self._raw(await self._pool(f"session:{station.role}")) as raw:
            await _begun(raw, opening(station), self._timeout)
            async with _ended(raw, self._timeout):
                yield Session(raw, station, self._timeout)

    async def probe(self) -> float:
        """Seconds that the main database takes to answer. Raises DatabaseUnavailable."""
        started = time.monotonic()
        await self.fetchval("SELECT 1", timeout=5.0)
        return time.monotonic() - started

    async def direct_connection(self) -> Any:
        """A driver connection of its own past any pooler, for the queue's LISTEN alone. The caller closes it."""
        if self._closed:
            raise DatabaseUnavailable("database: the store is closed")
        raw = await _connected(connect(self.urls.direct, f"{self._application} queue"))
        self._direct.add(raw)
        return raw

    def _engine_key(self, role: str | None) -> str:
        if self._own_databases is None:
            self._own_databases = frozenset(self.urls.roles)
        return f"engine:{role}" if role in self._own_databases else "engine:"

    def _url(self, key: str) -> DatabaseUrl:
        """Where the pool of this key connects: ``engine:[role]`` or ``session:role``."""
        kind, _, role = key.partition(":")
        return self.urls.session(role) if kind == "session" else self.urls.engine(role or None)

    @asynccontextmanager
    async def _lend(self, key: str, *, transaction: bool) -> AsyncIterator[Connection]:
        pool = await self._pool(key)
        async with self._raw(pool) as raw:
            if not transaction and not pool.is_pooled:
                yield Connection(raw, self._timeout)
                return
            # A transaction pooler may give each autocommit statement another server, one that lacks the prepared half.
            await _begun(raw, "BEGIN", self._timeout)
            async with _ended(raw, self._timeout):
                yield Connection(raw, self._timeout)

    @asynccontextmanager
    async def _raw(self, pool: _Pool) -> AsyncIterator[Any]:
        raw = await _connected(pool.pool.acquire(timeout=self._timeout))
        try:
            yield raw
        finally:
            try:
                await pool.pool.release(raw, timeout=self._timeout)
            except DRIVER_ERRORS as error:
                # The pool has closed it; what its work came to is told by the work.
                logger.debug("connection_dropped", error=str(error))

    async def _pool(self, key: str) -> _Pool:
        return self._pools.get(key) or await self._open_pool(key)

    async def _open_pool(self, key: str) -> _Pool:
        async with self._opening:
            if self._closed:
                raise DatabaseUnavailable("database: the store is closed")
            if key not in self._pools:
                self._pools[key] = await self._new_pool(key)
            return self._pools[key]

    async def _new_pool(self, key: str) -> _Pool:
        if key.startswith("session:") and key.removeprefix("session:") not in ROLES:
            raise ValueError(f"no station role {key.removeprefix('session:')!r}: it is one of {', '.join(ROLES)}")

        async def connected(*_: Any, **arguments: Any) -> Any:
            return await connect(self._url(key), self._application, **arguments)

        async def kept(_: Any) -> None:
            """No reset: nothing of ours outlives its transaction, and the round trip would cost as much as the work."""

        engine, role = self._limits
        pool = await asyncpg.create_pool(
            connect=connected,
            reset=kept,
            min_size=0,
            max_size=role if key.startswith("session:") else engine,
            max_inactive_connection_lifetime=300.0,
        )
        return _Pool(pool, self._url(key).is_pooled)


async def _connected(connecting: Awaitable[Any]) -> Any:
    """A connection; what passes by itself is raised as DatabaseUnavailable."""
    try:
        return await connecting
    except DRIVER_ERRORS as error:
        known = transient(error, is_closed=True)
        if known is None:
            raise
        raise known from error


async def _begun(raw: Any, sql: str, timeout_seconds: float) -> None:
    """Begins a transaction; where that fails halfway, the connection is given up rather than lent again."""
    try:
        await driven(raw, raw.execute(sql, timeout=timeout_seconds))
    except BaseException:
        give_up(raw)
        raise


@asynccontextmanager
async def _ended(raw: Any, timeout_seconds: float) -> AsyncIterator[None]:
    """Commits the open transaction after the block, or rolls it back where the block raised."""
    try:
        yield
    except BaseException:
        await _rolled_back(raw, timeout_seconds)
        raise
    # Postgres answers COMMIT with ROLLBACK where a statement failed, even if the block swallowed the error.
    if await driven(raw, raw.execute("COMMIT", timeout=timeout_seconds)) == "ROLLBACK":
        raise asyncpg.InFailedSQLTransactionError(
            "a statement of this transaction failed, so nothing of it was written"
        )


async def _rolled_back(raw: Any, timeout_seconds: float) -> None:
    """Rolls back; where that fails too, the connection is given up. The error that led here is the one to tell."""
    try:
        if not is_gone(raw):
            await driven(raw, raw.execute("ROLLBACK", timeout=timeout_seconds))
    except (DatabaseUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError):
        give_up(raw)


def _cannot_open(url: DatabaseUrl, error: Exception) -> str:
    """Why the main database does not open and what to do, without a secret."""
    where = f"database at {url.address}"
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return f"{where} refused the login {url.user!r}: correct DATABASE_URL, or run `vtoc-bots db upgrade`"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"{where} does not exist: create it, or correct DATABASE_URL"
    if "SSL" in str(error):
        return f"{where} offers no TLS ({error}): turn it on there, or add ?sslmode=disable to DATABASE_URL"
    return f"{where} can't be opened: {error}"
