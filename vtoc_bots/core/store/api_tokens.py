"""The rows of API tokens: a station's credentials, kept as hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.access import Level, Station
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.store.pool import Connection, Row, Store

PREFIX: Final = "vtoc_"
RANDOM_BYTES: Final = 32

_ADD: Final = """INSERT INTO vtoc.api_tokens (id, station_id, name, token_hash, level, expires_at)
    VALUES ($1, $2, $3, $4, $5, now() + make_interval(days => $6)) RETURNING expires_at"""
_LIST: Final = """SELECT t.id, s.slug AS station, t.name, t.level, t.created_at, t.expires_at, t.last_used_at,
        t.revoked_at
    FROM vtoc.api_tokens t JOIN vtoc.stations s ON s.id = t.station_id ORDER BY s.slug, t.created_at"""
_REVOKE: Final = """UPDATE vtoc.api_tokens t SET revoked_at = now() FROM vtoc.stations s
    WHERE s.id = t.station_id AND t.revoked_at IS NULL AND right(t.id::text, 10) = $1
    RETURNING t.id, t.name, s.slug AS station"""
_GOOD: Final = """SELECT t.id, t.name, t.level, t.token_hash, t.expires_at, t.last_used_at, s.id AS station_id, s.slug,
        s.callsign, s.name AS station_name, s.role, s.timezone, s.latitude, s.longitude, s.radius_m
    FROM vtoc.api_tokens t JOIN vtoc.stations s ON s.id = t.station_id
    WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())"""
# Once a minute at most: a row for every request would make reading a matter of writing.
_USED: Final = """UPDATE vtoc.api_tokens SET last_used_at = now()
    WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')"""


class GoodToken(NamedTuple):
    """A token that is neither revoked nor expired."""

    id: UUID
    name: str
    level: Level
    expires_at: datetime | None
    station: Station


class ApiTokens:
    """Statements on API tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(
        self, station: Station, name: str, level: Level, days: int | None, audit: Any
    ) -> tuple[str, UUID, datetime | None]:
        """A new token, which is known to nobody but the caller; its id, and when it ends (None: never).

        `audit` makes the audit row of the token's id, written in the same transaction.
        """
        token, token_id = PREFIX + secrets.token_urlsafe(RANDOM_BYTES), new_id()

        async def work(connection: Connection) -> datetime | None:
            made = await connection.fetchval(_ADD, token_id, station.id, name, hash_of(token), str(level), days)
            await write_effects(connection, token_id, Effects(audit=[audit(token_id)]))
            return made  # type: ignore[no-any-return]  # a timestamptz

        return token, token_id, await self._store.run(work, transaction=True)

    async def list(self) -> list[Row]:
        """Every token: id, station, name, level, created_at, expires_at, last_used_at, revoked_at."""
        return await self._store.fetch(_LIST, idempotent=True)

    async def revoke(self, bits: int, audit: Any) -> Row:
        """End the token whose short id stands for these 40 bits. Raises NotFound."""

        async def work(connection: Connection) -> Row:
            row = await connection.fetchrow(_REVOKE, f"{bits:010x}")
            if row is None:
                raise NotFound("there is no such token, or it was revoked before; `vtoc-bots token list` shows them")
            await write_effects(connection, row["id"], Effects(audit=[audit(row)]))
            return row

        return await self._store.run(work, transaction=True)

    async def find(self, token: str) -> GoodToken | None:
        """Whose token it is; None for one that is unknown, revoked or expired."""
        hashed = hash_of(token)
        row = await self._store.fetchrow(_GOOD, hashed, idempotent=True)
        if row is None or not hmac.compare_digest(row["token_hash"], hashed):
            return None
        await self._store.execute(_USED, row["id"], idempotent=True)
        station = Station(
            row["station_id"],
            row["slug"],
            row["callsign"],
            row["station_name"],
            row["role"],
            row["timezone"],
            row["latitude"],
            row["longitude"],
            row["radius_m"],
        )
        return GoodToken(row["id"], row["name"], Level.parse(row["level"]), row["expires_at"], station)


def hash_of(token: str) -> str:
    """Hexadecimal SHA-256. A token is 32 random bytes, so nothing slower is needed against guessing."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
