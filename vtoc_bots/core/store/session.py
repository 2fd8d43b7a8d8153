"""A station's way to its role's schema: one transaction under the station's claims."""

from __future__ import annotations

from typing import Any

import orjson

from vtoc_bots.core.access import Station
from vtoc_bots.core.store.connection import TIMEOUT_SECONDS, Connection, Row, rows_touched
from vtoc_bots.core.store.retry import driven
from vtoc_bots.core.store.statements import check_statement
from vtoc_bots.core.store.urls import role_login


class Session:
    """Statements of one station on its role's tables. It commits when its block ends, and rolls back on an error.

    Table names are written with their schema (`session.schema`). Each call runs exactly one statement; Forbidden is
    raised for what a session does not run (statements.py).
    """

    __slots__ = ("_connection", "_raw", "_station", "_timeout")

    def __init__(self, raw: Any, station: Station, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._raw = raw
        self._connection = Connection(raw, timeout_seconds)
        self._station = station
        self._timeout = timeout_seconds

    @property
    def station(self) -> Station:
        """Whose rows it sees."""
        return self._station

    @property
    def schema(self) -> str:
        """The schema of the station's role."""
        return self._station.role

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> list[Row]:
        """All rows."""
        check_statement(sql)
        return await self._connection.fetch(sql, *arguments, timeout=timeout)

    async def fetchrow(self, sql: str, *arguments: Any, timeout: float | None = None) -> Row | None:
        """The first row, None when there is none."""
        check_statement(sql)
        return await self._connection.fetchrow(sql, *arguments, timeout=timeout)

    async def fetchval(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        """The first column of the first row, None when there is none."""
        check_statement(sql)
        return await self._connection.fetchval(sql, *arguments, timeout=timeout)

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None) -> int:
        """Run it; the number of rows it touched."""
        check_statement(sql)
        if arguments:
            return await self._connection.execute(sql, *arguments, timeout=timeout)
        # Without arguments the driver would send it the simple way, in which several statements may stand.
        limit = timeout or self._timeout
        statement = await driven(self._raw, self._raw.prepare(sql, timeout=limit))
        await driven(self._raw, statement.fetch(timeout=limit))
        return rows_touched(statement.get_statusmsg())


def opening(station: Station) -> str:
    """The SQL that begins a station's transaction: role and claims, until its end, in one round trip.

    The claims have the names Supabase uses (``role``) and ours (``station_id``, ``station_slug``, ``station_role``).
    """
    role = role_login(station.role)
    claims = orjson.dumps(
        {"role": role, "station_id": str(station.id), "station_slug": station.slug, "station_role": station.role}
    ).decode()
    return (
        f"BEGIN; SELECT set_config('role', {_literal(role)}, true),"
        f" set_config('request.jwt.claims', {_literal(claims)}, true)"
    )


def _literal(text: str) -> str:
    """A SQL string literal; the simple protocol, which saves the round trip, has no parameters."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
