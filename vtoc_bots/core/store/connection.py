"""A connection as the rest of core sees it: statements with a timeout, JSON in and out, nothing of the driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeAlias

import asyncpg

from vtoc_bots.core.store.clean import dumps_clean, loads
from vtoc_bots.core.store.retry import driven
from vtoc_bots.core.store.urls import DatabaseUrl

Row: TypeAlias = Mapping[str, Any]
"""A row: values by column name (or position); asyncpg's Record."""

TIMEOUT_SECONDS: Final = 10.0
CONNECT_TIMEOUT_SECONDS: Final = 10.0
_JSONB_VERSION: Final = b"\x01"


class Statements(Protocol):
    """What Store, Connection and Session share. Timeouts are in seconds, None the default of ten."""

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> list[Row]:
        """All rows."""
        ...

    async def fetchrow(self, sql: str, *arguments: Any, timeout: float | None = None) -> Row | None:
        """The first row, None when there is none."""
        ...

    async def fetchval(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        """The first column of the first row, None when there is none."""
        ...

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None) -> int:
        """Run it; the number of rows it touched."""
        ...


class Connection:
    """One database connection, for as long as its block lasts."""

    __slots__ = ("_raw", "_timeout")

    def __init__(self, raw: Any, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._raw = raw
        self._timeout = timeout_seconds

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> list[Row]:
        """All rows."""
        rows: list[Row] = await driven(self._raw, self._raw.fetch(sql, *arguments, timeout=timeout or self._timeout))
        return rows

    async def fetchrow(self, sql: str, *arguments: Any, timeout: float | None = None) -> Row | None:
        """The first row, None when there is none."""
        row: Row | None = await driven(self._raw, self._raw.fetchrow(sql, *arguments, timeout=timeout or self._timeout))
        return row

    async def fetchval(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        """The first column of the first row, None when there is none."""
        return await driven(self._raw, self._raw.fetchval(sql, *arguments, timeout=timeout or self._timeout))

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None) -> int:
        """Run it (without arguments, several statements may stand in it); the number of rows the last one touched."""
        return rows_touched(
            await driven(self._raw, self._raw.execute(sql, *arguments, timeout=timeout or self._timeout))
        )


def rows_touched(status: str) -> int:
    """The count at the end of a command tag: ``INSERT 0 3`` → 3, ``CREATE TABLE`` → 0."""
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


async def connect(url: DatabaseUrl, application: str = "vtoc-bots", **arguments: Any) -> Any:
    """A new driver connection with the JSON codecs. For this package alone: the rest gets Store and Session.

    Raises what the driver raises: OSError, asyncpg.PostgresError, TimeoutError after ten seconds.
    """
    arguments.setdefault("timeout", CONNECT_TIMEOUT_SECONDS)
    # The engine's statements are large and always the same: planning them anew costs more than running them.
    plans = {} if url.is_pooled else {"plan_cache_mode": "force_generic_plan", "jit": "off"}
    settings = {"application_name": application, **plans, **arguments.pop("server_settings", {})}
    arguments.pop("dsn", None)
    try:
        raw = await asyncpg.connect(**url.connect_arguments(), **arguments, server_settings=settings)
    except asyncpg.ProtocolViolationError as error:
        raise _meant(error) from error
    await raw.set_type_codec("json", schema="pg_catalog", encoder=_encode_json, decoder=loads, format="binary")
    await raw.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )
    return raw


def _meant(error: asyncpg.ProtocolViolationError) -> asyncpg.PostgresError:
    """What a server would have raised: PgBouncer says everything that keeps it from opening by one code.

    A lost connection is tried again; a wrong password or database is not, and a person is told of it.
    """
    said = str(error)
    if "authentication failed" in said or "no such user" in said:
        return asyncpg.InvalidPasswordError(said)
    if "no such database" in said or ("database" in said and "does not exist" in said):
        return asyncpg.InvalidCatalogNameError(said)
    return error


def _encode_json(value: Any) -> bytes:
    return dumps_clean(value)


def _encode_jsonb(value: Any) -> bytes:
    return _JSONB_VERSION + dumps_clean(value)


def _decode_jsonb(data: bytes) -> Any:
    return loads(data[1:])
