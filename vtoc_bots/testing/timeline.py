"""Time in a World's database: its now() is the real one and what the World was advanced, for every process alike."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.urls import DatabaseUrls

# pg_catalog comes first in every search path that does not name it: here it is named, second.
_INSTALL: Final = """
CREATE SCHEMA world;
CREATE TABLE world.clock (ahead interval NOT NULL);
INSERT INTO world.clock VALUES ('0');
CREATE FUNCTION world.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.now() OPERATOR(pg_catalog.+) ahead FROM world.clock';
GRANT USAGE ON SCHEMA world TO PUBLIC;
GRANT SELECT ON world.clock TO PUBLIC;
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT a.attrelid::regclass AS relation, a.attname FROM pg_attrdef d
        JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE pg_get_expr(d.adbin, d.adrelid) = 'now()'
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT world.now()', each.relation, each.attname);
    END LOOP;
    EXECUTE format('ALTER DATABASE %I SET search_path = world, pg_catalog, public', current_database());
END $$;
"""
_AHEAD: Final = "SELECT extract(epoch FROM ahead)::float8 FROM world.clock"
# Leases are about processes being alive, not about the time of day: those of live ones go along with the clock.
_ADVANCE: Final = """
WITH locked AS (
    SELECT id FROM vtoc_engine.conversations WHERE handle_holder = ANY($2) OR deliver_holder = ANY($2)
    ORDER BY id FOR NO KEY UPDATE
), conversations AS (
    UPDATE vtoc_engine.conversations c SET
        handle_until = CASE WHEN handle_holder = ANY($2) THEN handle_until + $1 ELSE handle_until END,
        deliver_until = CASE WHEN deliver_holder = ANY($2) THEN deliver_until + $1 ELSE deliver_until END
    FROM locked WHERE locked.id = c.id
), runs AS (
    UPDATE vtoc_engine.runs SET lease_until = lease_until + $1 WHERE id = ANY($3) AND lease_until IS NOT NULL
), leases AS (
    UPDATE vtoc_engine.leases SET expires_at = expires_at + $1 WHERE holder = ANY($4)
)
UPDATE world.clock SET ahead = ahead + $1
"""


@dataclass(slots=True)
class Hands:
    """What live processes hold: tokens of conversations, ids of runs, and who they are in the table of leases."""

    tokens: list[UUID] = field(default_factory=list)
    runs: list[UUID] = field(default_factory=list)
    holders: list[UUID] = field(default_factory=list)

    @property
    def arguments(self) -> tuple[Collection[UUID], ...]:
        """In the order of the statement's."""
        return self.tokens, self.runs, self.holders


class Timeline:
    """The clock of one database, made once in it."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    @classmethod
    async def install(cls, urls: DatabaseUrls) -> Timeline:
        """Give the database its clock, unless an earlier World did; sessions opened from now on go by it."""
        raw = await connect(urls.admin)
        if not await raw.fetchval("SELECT to_regnamespace('world') IS NOT NULL"):
            await raw.execute(_INSTALL)
        return cls(raw)

    async def close(self) -> None:
        """Leave the database as it is."""
        await self._raw.close()

    async def ahead_seconds(self) -> float:
        """How far it is ahead of the real time."""
        return float(await self._raw.fetchval(_AHEAD))

    async def advance(self, seconds: float, hands: Hands) -> None:
        """Step the database's time; what live processes hold they go on holding."""
        while True:
            try:
                await self._raw.execute(_ADVANCE, timedelta(seconds=seconds), *hands.arguments)
                return
            except asyncpg.DeadlockDetectedError:
                await asyncio.sleep(0)
