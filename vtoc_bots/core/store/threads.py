"""The rows of conversations that live here: threads, their items letter by letter, files, and who sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.clean import dumps_clean
from vtoc_bots.core.store.pool import Connection, Row, Store

_THREAD: Final = "t.id, t.station, t.channel, t.owner, t.purpose, t.changes, t.body::text AS body"
_SEEN: Final = "t.station = $1 AND (t.owner IS NULL OR t.owner = $2) AND t.deleted_at IS NULL"
_GET: Final = f"SELECT {_THREAD} FROM vtoc_engine.threads t WHERE {_SEEN} AND t.id = $3"
_PUT: Final = """INSERT INTO vtoc_engine.threads AS t (id, station, channel, owner, purpose, body)
    VALUES ($3, $1, $4, $2, $5, $6::text::json)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body, updated_at = now()
        WHERE t.station = excluded.station AND t.deleted_at IS NULL
            AND (t.owner IS NULL OR t.owner = excluded.owner)
    RETURNING id"""
_MAKE: Final = f"""WITH made AS (
        INSERT INTO vtoc_engine.threads (id, station, channel, owner, purpose, body)
        VALUES ($1, $2, $3, $4, $5, $6::text::json) ON CONFLICT DO NOTHING RETURNING *
    )
    SELECT {_THREAD}, t.deleted_at FROM made t
    UNION ALL
    SELECT {_THREAD}, t.deleted_at FROM vtoc_engine.threads t
        WHERE t.channel = $3 AND (t.id = $1 OR ($5::text IS NOT NULL AND t.purpose = $5))
    LIMIT 1"""
_LIST: Final = f"""SELECT {_THREAD} FROM vtoc_engine.threads t
    LEFT JOIN vtoc_engine.threads a ON a.id = $3
    WHERE {_SEEN} AND ($3::text IS NULL OR (t.created_at, t.id) {{than}} (a.created_at, a.id))
    ORDER BY t.created_at {{order}}, t.id {{order}} LIMIT $4"""
_DELETE: Final = """UPDATE vtoc_engine.threads t SET deleted_at = now()
    WHERE t.station = $1 AND t.owner = $2 AND t.id = $3 AND t.deleted_at IS NULL RETURNING id"""
_DELETE_ITEMS: Final = "DELETE FROM vtoc_engine.thread_items WHERE thread_id = $1"

_ITEM: Final = "i.id, i.thread_id, i.place, i.changed, i.only_for, i.behind, i.body::text AS body"
_MINE: Final = "i.thread_id = $1 AND (i.only_for IS NULL OR i.only_for = $2)"
_ITEMS: Final = f"""SELECT {_ITEM} FROM vtoc_engine.thread_items i
    LEFT JOIN vtoc_engine.thread_items a ON a.thread_id = $1 AND a.id = $3
    WHERE {_MINE} AND ($3::text IS NULL OR (i.place, i.id) {{than}} (a.place, a.id))
    ORDER BY i.place {{order}}, i.id {{order}} LIMIT $4"""
_ONE: Final = f"SELECT {_ITEM} FROM vtoc_engine.thread_items i WHERE {_MINE} AND i.id = $3"
_MOST_CHANGED: Final = 200
# With ties, for what was written at once is told at once: whoever asks on asks for what changed after it.
_SINCE: Final = f"""SELECT * FROM (SELECT {_ITEM} FROM vtoc_engine.thread_items i
    JOIN unnest($1::text[], $2::bigint[]) AS w(thread_id, changed)
        ON w.thread_id = i.thread_id AND i.changed > w.changed
    ORDER BY i.changed FETCH FIRST {_MOST_CHANGED} ROWS WITH TIES) n ORDER BY n.changed, n.place, n.id"""
_REMOVE: Final = "DELETE FROM vtoc_engine.thread_items WHERE thread_id = $1 AND id = ANY($2::text[])"
# The thread's row is locked until the commit, so changes become visible in the order of their numbers.
_COUNT: Final = """UPDATE vtoc_engine.threads SET changes = changes + 1, updated_at = now()
    WHERE id = $1 AND deleted_at IS NULL RETURNING changes"""
_WRITE: Final = """INSERT INTO vtoc_engine.thread_items AS i (thread_id, id, place, changed, body, only_for, behind)
    SELECT $1, w.id, $2, $2, w.body::json, w.only_for, w.behind
    FROM unnest($3::text[], $4::text[], $5::text[], $6::jsonb[]) AS w(id, body, only_for, behind)
    ON CONFLICT (thread_id, id) DO UPDATE SET body = excluded.body, behind = excluded.behind,
        only_for = excluded.only_for, changed = excluded.changed"""
_BUSY: Final = """SELECT c AS conversation FROM unnest($1::text[]) AS c WHERE
    EXISTS (SELECT FROM vtoc_engine.inbox n WHERE n.conversation = c AND n.state = 'new')
    OR EXISTS (SELECT FROM vtoc_engine.outbox o WHERE o.conversation = c AND o.state IN ('due', 'unknown'))
    OR EXISTS (SELECT FROM vtoc_engine.runs r WHERE r.conversation = c AND (r.state = 'ready'
        OR (r.state = 'waiting' AND r.due_at IS NOT NULL AND r.due_at < now() + interval '1 minute'
            AND coalesce(r.waiting_for, '') !~ 'approval|message')))"""
_GOING: Final = "SELECT id FROM vtoc_engine.runs WHERE id = ANY($1::uuid[]) AND state IN ('ready', 'waiting')"
_RUNS: Final = """SELECT id, operator_id FROM vtoc_engine.runs
    WHERE conversation = $1 AND state IN ('ready', 'waiting') ORDER BY created_at DESC"""

_FILE: Final = "f.id, f.station, f.owner, f.thread_id, f.size, f.blob, f.body::text AS body"
_PUT_FILE: Final = """INSERT INTO vtoc_engine.thread_files AS f (id, station, owner, thread_id, body, size)
    VALUES ($3, $1, $2, $4, $5::text::json, $6)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body, thread_id = excluded.thread_id
        WHERE f.station = excluded.station AND f.owner = excluded.owner RETURNING id"""
_GET_FILE: Final = f"SELECT {_FILE} FROM vtoc_engine.thread_files f WHERE f.station = $1 AND f.owner = $2 AND f.id = $3"
_GIVEN: Final = f"SELECT {_FILE} FROM vtoc_engine.thread_files f WHERE f.id = $1"
_FILL: Final = "UPDATE vtoc_engine.thread_files SET blob = $2 WHERE id = $1 AND (blob IS NULL OR blob = $2)"
_DELETE_FILE: Final = "DELETE FROM vtoc_engine.thread_files WHERE station = $1 AND owner = $2 AND id = $3"


CHANNEL: Final = "channel"


class Viewer(NamedTuple):
    """Who looks: at a station, as whom."""

    station: str
    name: str


class ThreadItem(NamedTuple):
    """An item to be written: `body` is its JSON text, `behind` what nobody is shown."""

    id: str
    body: str
    only_for: str | None = None
    behind: Mapping[str, Any] = {}


class ThreadRows:
    """Statements on threads. Whatever a viewer may not see does not exist for them: NotFound."""

    MOST_CHANGED: ClassVar = _MOST_CHANGED
    """Of `changed`."""
    CHANNEL: ClassVar = CHANNEL
    """The purpose of the thread that is a channel's own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def thread(self, viewer: Viewer, thread_id: str) -> Row:
        """A thread: id, station, channel, owner, purpose, changes, body. Raises NotFound."""
        return _there(await self._store.fetchrow(_GET, *viewer, thread_id, idempotent=True), thread_id)

    async def put(self, viewer: Viewer, thread_id: str, channel: str, body: str, purpose: str | None = None) -> None:
        """Make a thread that is the viewer's own, or change the body of one that they see. Raises NotFound."""
        found = await self._store.fetchrow(_PUT, *viewer, thread_id, channel, purpose, body, idempotent=True)
        _there(found, thread_id)

    async def make(self, station: str, channel: str, thread_id: str, body: str, purpose: str | None = None) -> str:
        """The thread of that id, or of that purpose in the channel, made for everybody at the station where there is
        none; its id. Raises NotFound for one that was deleted, or is another channel's."""
        row = await self._store.fetchrow(_MAKE, thread_id, station, channel, None, purpose, body, idempotent=True)
        if row is None:  # somebody made it at the same time, after this statement began
            row = await self._store.fetchrow(_MAKE, thread_id, station, channel, None, purpose, body, idempotent=True)
        if row is None or row["deleted_at"] is not None:
            raise NotFound(f"there is no thread {thread_id} in {channel} any more")
        return str(row["id"])

    async def open(
        self,
        station: str,
        channel: str,
        title: str,
        at: datetime,
        thread_id: str | None = None,
        purpose: str | None = CHANNEL,
    ) -> str:
        """The thread of an id, of a purpose or, with neither, the channel's own; made, with that title, where there is
        none. Raises NotFound as `make` does."""
        wanted = thread_id or f"thr_{new_id().hex}"
        body = {
            "id": wanted,
            "title": title,
            "created_at": at.isoformat(),
            "status": {"type": "active"},
            "metadata": {},
        }
        return await self.make(station, channel, wanted, dumps_clean(body).decode(), None if thread_id else purpose)

    async def threads(self, viewer: Viewer, after: str | None, limit: int, *, newest_first: bool) -> list[Row]:
        """Threads behind `after`, by when they were made."""
        return await self._store.fetch(_ordered(_LIST, newest_first), *viewer, after, limit, idempotent=True)

    async def delete(self, viewer: Viewer, thread_id: str) -> None:
        """Delete a thread of the viewer's own; it is never made again. Raises NotFound."""

        async def work(connection: Connection) -> Row | None:
            row = await connection.fetchrow(_DELETE, *viewer, thread_id)
            if row is not None:
                await connection.execute(_DELETE_ITEMS, thread_id)
            return row

        _there(await self._store.run(work, transaction=True), thread_id)

    async def items(
        self, thread_id: str, name: str | None, after: str | None, limit: int, *, newest_first: bool
    ) -> list[Row]:
        """Items behind `after`: id, thread_id, place, changed, only_for, behind, body."""
        return await self._store.fetch(_ordered(_ITEMS, newest_first), thread_id, name, after, limit, idempotent=True)

    async def item(self, thread_id: str, name: str | None, item_id: str) -> Row:
        """One item. Raises NotFound."""
        return _there(await self._store.fetchrow(_ONE, thread_id, name, item_id, idempotent=True), item_id)

    async def changed(self, since: Mapping[str, int]) -> list[Row]:
        """The items of these threads that changed since the count given for each, in the order of their changes.

        With MOST_CHANGED or more there may be others, that changed later.
        """
        return await self._store.fetch(_SINCE, list(since), list(since.values()), idempotent=True)

    async def write(self, thread_id: str, items: Sequence[ThreadItem], gone: Sequence[str] = ()) -> int:
        """Write items, new or changed, and remove those that are gone; the thread's count of changes then.

        Raises NotFound for a thread that is not there (any more).
        """

        async def work(connection: Connection) -> int:
            changes = await connection.fetchval(_COUNT, thread_id)
            if changes is None:
                raise NotFound(f"there is no thread {thread_id}")
            if gone:
                await connection.execute(_REMOVE, thread_id, list(gone))
            columns = [[item[at] for item in items] for at in range(4)]
            await connection.execute(_WRITE, thread_id, changes, *columns)
            return int(changes)

        return await self._store.run(work, transaction=True, idempotent=True)

    async def busy(self, conversations: Sequence[str]) -> set[str]:
        """Those of the conversations where something is being done that will be answered soon."""
        rows = await self._store.fetch(_BUSY, list(conversations), idempotent=True)
        return {row["conversation"] for row in rows}

    async def going(self, run_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the runs that have not ended."""
        rows = await self._store.fetch(_GOING, list(run_ids), idempotent=True)
        return {UUID(str(row["id"])) for row in rows}

    async def open_runs(self, conversation: str) -> list[Row]:
        """The conversation's runs that go on, newest first: id, operator_id."""
        return await self._store.fetch(_RUNS, conversation, idempotent=True)

    async def put_file(self, viewer: Viewer, file_id: str, thread_id: str | None, body: str, size: int) -> None:
        """Make a file known, or change what is known of it. Raises NotFound for somebody else's."""
        row = await self._store.fetchrow(_PUT_FILE, *viewer, file_id, thread_id, body, size, idempotent=True)
        _there(row, file_id)

    async def file(self, viewer: Viewer, file_id: str) -> Row:
        """A file of the viewer's: id, station, owner, thread_id, size, blob, body. Raises NotFound."""
        return _there(await self._store.fetchrow(_GET_FILE, *viewer, file_id, idempotent=True), file_id)

    async def file_to_fill(self, file_id: str) -> Row:
        """A file by its id alone, for whoever has a signed address of it. Raises NotFound."""
        return _there(await self._store.fetchrow(_GIVEN, file_id, idempotent=True), file_id)

    async def fill(self, file_id: str, blob: str) -> bool:
        """Give a file its bytes; False where it has other ones already."""
        return bool(await self._store.execute(_FILL, file_id, blob, idempotent=True))

    async def delete_file(self, viewer: Viewer, file_id: str) -> None:
        """Delete a file of the viewer's; nothing where there is none."""
        await self._store.execute(_DELETE_FILE, *viewer, file_id, idempotent=True)


def _there(row: Row | None, name: str) -> Row:
    if row is None:
        raise NotFound(f"there is no {name[:100]}")
    return row


def _ordered(sql: str, newest_first: bool) -> str:
    return sql.format(than="<" if newest_first else ">", order="DESC" if newest_first else "ASC")
