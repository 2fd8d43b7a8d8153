"""The stations' rows; config/stations.yml is their source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vtoc_bots.core.access import Station
from vtoc_bots.core.config import StationEntry
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.pool import Row, Store

_COLUMNS: Final = "id, slug, callsign, name, role, timezone, latitude, longitude, radius_m"
_ONE: Final = f"SELECT {_COLUMNS} FROM vtoc.stations WHERE slug = $1"
_ALL: Final = f"SELECT {_COLUMNS} FROM vtoc.stations ORDER BY slug"
_SET: Final = """
INSERT INTO vtoc.stations AS s (id, slug, callsign, name, role, timezone, latitude, longitude, radius_m)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (slug) DO UPDATE SET callsign = excluded.callsign, name = excluded.name, role = excluded.role,
    timezone = excluded.timezone, latitude = excluded.latitude, longitude = excluded.longitude,
    radius_m = excluded.radius_m
WHERE (s.callsign, s.name, s.role, s.timezone, s.latitude, s.longitude, s.radius_m) IS DISTINCT FROM
    (excluded.callsign, excluded.name, excluded.role, excluded.timezone, excluded.latitude, excluded.longitude,
    excluded.radius_m)
"""


class Stations:
    """Statements on stations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, slug: str) -> Station | None:
        """The station of a slug."""
        row = await self._store.fetchrow(_ONE, slug, idempotent=True)
        return _station(row) if row else None

    async def all(self) -> list[Station]:
        """Every station, by slug."""
        return [_station(row) for row in await self._store.fetch(_ALL, idempotent=True)]

    async def sync(self, entries: Sequence[StationEntry]) -> None:
        """Make the rows say what the configuration says; stations it does not name stay."""
        for entry in entries:
            await self._store.execute(
                _SET,
                new_id(),
                entry.slug,
                entry.callsign,
                entry.name or entry.callsign,
                entry.role,
                entry.timezone,
                entry.latitude,
                entry.longitude,
                entry.radius_m,
                idempotent=True,
            )


def _station(row: Row) -> Station:
    return Station(*row.values())
