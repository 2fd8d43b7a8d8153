"""A station's missions and its mission log, in its role's schema; every write is named by what asked for it."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from vtoc_bots.core.store.clean import clean_text
from vtoc_bots.core.store.pool import Row, Session

Ended = Literal["completed", "failed"]
Priority = Literal["low", "medium", "high", "critical"]
OPEN: Final = ("pending", "in_progress")

_COLUMNS: Final = "id, code, name, description, status, priority, phase, chatkit_thread_id, assigned_to, created_at"
# Two at once take the same number; the second waits for the first, writes nothing, and looks again.
_OPEN: Final = """
INSERT INTO {schema}.missions (id, station_id, code, name, description, status, priority)
SELECT $1, $2, 'M-' || coalesce(max(substring(code FROM '^M-([0-9]{{1,9}})$')::int), 0) + 1, $3, $4, 'in_progress', $5
FROM {schema}.missions
HAVING coalesce(bool_and(lower(name) <> lower($3) OR status NOT IN ('pending', 'in_progress')), true)
ON CONFLICT DO NOTHING
"""
_BY_ID: Final = f"SELECT {_COLUMNS} FROM {{schema}}.missions WHERE id = $1"
_BY_NAME: Final = f"""
SELECT {_COLUMNS} FROM {{schema}}.missions WHERE lower(name) = lower($1) AND status IN ('pending', 'in_progress')
ORDER BY created_at LIMIT 1
"""
_BY_CODE: Final = f"SELECT {_COLUMNS} FROM {{schema}}.missions WHERE upper(code) = ANY($1) ORDER BY code LIMIT 1"
_OF_THREAD: Final = f"""
SELECT {_COLUMNS} FROM {{schema}}.missions WHERE code = $1 OR chatkit_thread_id = $2 ORDER BY code = $1 DESC LIMIT 1
"""
_LISTED: Final = f"""
SELECT {_COLUMNS} FROM {{schema}}.missions WHERE $1 OR status IN ('pending', 'in_progress')
ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3
"""
_OPEN_ONES: Final = "SELECT count(*) FROM {schema}.missions WHERE status IN ('pending', 'in_progress')"
_CLOSE: Final = """
UPDATE {schema}.missions SET status = $2 WHERE id = $1 AND status IN ('pending', 'in_progress') RETURNING id
"""
_LOG: Final = """
INSERT INTO {schema}.mission_logs
    (id, station_id, mission_id, logged_at, author, operator_id, channel_slug, entry, payload, correlation_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING
"""
_ENTRIES: Final = """
SELECT l.id, m.code, m.name, l.logged_at, l.author, l.entry, l.payload
FROM {schema}.mission_logs l LEFT JOIN {schema}.missions m ON m.id = l.mission_id
"""
_LAST: Final = f"{_ENTRIES} WHERE l.mission_id = $1 ORDER BY l.logged_at DESC, l.id DESC LIMIT $2"
_ENTRY: Final = f"{_ENTRIES} WHERE l.id = $1"
_EVENT: Final = f"""{_ENTRIES} WHERE l.mission_id = $1 AND l.payload ->> 'event' = $2
ORDER BY l.logged_at DESC, l.id DESC LIMIT 1"""


class Mission(NamedTuple):
    """A mission. `code` (M-12) is its name for people, one of its station's own."""

    id: UUID
    code: str
    name: str
    description: str
    status: str
    priority: str
    phase: str
    chatkit_thread_id: str | None
    assigned_to: str | None
    created_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.status in OPEN

    @property
    def label(self) -> str:
        """Code and name."""
        return f"{self.code} {self.name}"


class LogEntry(NamedTuple):
    """A line of the log. Without a mission it is the station's own."""

    id: UUID
    code: str | None
    name: str | None
    logged_at: datetime
    author: str
    entry: str
    payload: Any


class NewEntry(NamedTuple):
    """A line to be written; a second one of the same id is not. `payload` has an ``event`` where it tells of one."""

    id: UUID
    mission_id: UUID | None = None
    logged_at: datetime | None = None
    author: str = ""
    operator_id: UUID | None = None
    channel: str | None = None
    entry: str = ""
    payload: Any = MappingProxyType({})
    correlation_id: UUID | None = None


async def open_mission(
    session: Session, mission_id: UUID, name: str, description: str, priority: Priority
) -> tuple[Mission, bool]:
    """The mission of that id, made with the station's next code where it is not there yet, and True; or, where
    another open one has the name, that one and False."""
    name, description = clean_text(name), clean_text(description)
    while True:
        values = (mission_id, session.station.id, name, description, priority)
        await session.execute(_OPEN.format(schema=session.schema), *values)
        if mine := await _one(session, _BY_ID, mission_id):
            return mine, True
        if other := await _one(session, _BY_NAME, name):
            return other, False


async def find_mission(session: Session, code: str) -> Mission | None:
    """The mission of a code, in whatever case; a bare number is that of ``M-<number>``."""
    wanted = code.strip().upper()
    return await _one(session, _BY_CODE, [wanted, f"M-{wanted}"] if wanted.isdecimal() else [wanted])


async def mission_of_thread(session: Session, thread: str) -> Mission | None:
    """The mission whose ChatKit thread that is: by ``mission:<code>``, as conversations name it, or by its id."""
    code = thread.removeprefix("mission:") if thread.startswith("mission:") else None
    return await _one(session, _OF_THREAD, code, thread)


async def missions_of(session: Session, limit: int, offset: int = 0, *, closed: bool = False) -> list[Mission]:
    """The station's missions, the newest first: the open ones, or every one."""
    rows = await session.fetch(_LISTED.format(schema=session.schema), closed, limit, offset)
    return [Mission(*row.values()) for row in rows]


async def open_missions(session: Session) -> int:
    """How many are open."""
    return int(await session.fetchval(_OPEN_ONES.format(schema=session.schema)))


async def close_mission(session: Session, mission_id: UUID, status: Ended) -> bool:
    """End an open mission; False where it is closed already."""
    return await session.fetchval(_CLOSE.format(schema=session.schema), mission_id, status) is not None


async def add_entry(session: Session, new: NewEntry) -> bool:
    """Write a line; False where it was written before."""
    values = new._replace(author=clean_text(new.author), entry=clean_text(new.entry))
    first, *rest = values
    return await session.execute(_LOG.format(schema=session.schema), first, session.station.id, *rest) == 1


async def entry_by_id(session: Session, entry_id: UUID) -> LogEntry | None:
    """A line."""
    row = await session.fetchrow(_ENTRY.format(schema=session.schema), entry_id)
    return None if row is None else _entry(row)


async def last_entries(session: Session, mission_id: UUID, limit: int) -> list[LogEntry]:
    """A mission's newest lines, the newest first."""
    return [_entry(row) for row in await session.fetch(_LAST.format(schema=session.schema), mission_id, limit)]


async def last_event(session: Session, mission_id: UUID, event: str) -> LogEntry | None:
    """The newest line that tells of this event: who closed a mission, and when."""
    row = await session.fetchrow(_EVENT.format(schema=session.schema), mission_id, event)
    return None if row is None else _entry(row)


def _entry(row: Row) -> LogEntry:
    return LogEntry(*row.values())


async def _one(session: Session, sql: str, *arguments: Any) -> Mission | None:
    row = await session.fetchrow(sql.format(schema=session.schema), *arguments)
    return None if row is None else Mission(*row.values())
