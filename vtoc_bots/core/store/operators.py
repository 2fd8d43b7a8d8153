"""The rows of operators, their identities, levels and invitations."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from vtoc_bots.core.access import Level, Operator
from vtoc_bots.core.errors import NotFound, UsageError
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.pool import Connection, Row, Store

_LEVELS: Final = """coalesce((SELECT jsonb_object_agg(l.station, l.level) FROM vtoc.levels l
    WHERE l.operator_id = o.id), '{}') AS levels"""
_OPERATOR: Final = f"SELECT o.id, o.name, o.default_station, {_LEVELS} FROM vtoc.operators o"
_BY_ID: Final = f"{_OPERATOR} WHERE o.id = $1 AND o.is_active"
_BY_NAME: Final = f"{_OPERATOR} WHERE o.name = $1"
_BY_IDENTITY: Final = f"""{_OPERATOR} JOIN vtoc.identities i ON i.operator_id = o.id
    WHERE i.transport = $1 AND i.workspace = $2 AND i.user_id = $3 AND o.is_active"""
_LIST: Final = f"""SELECT o.id, o.name, o.default_station, o.is_active, {_LEVELS},
    coalesce((SELECT array_agg(i.transport || ':' || coalesce(nullif(i.name, ''), i.user_id) ORDER BY i.transport)
        FROM vtoc.identities i WHERE i.operator_id = o.id), '{{}}') AS identities
    FROM vtoc.operators o ORDER BY o.name"""
_ADD: Final = "INSERT INTO vtoc.operators (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING id"
_SET_LEVEL: Final = """INSERT INTO vtoc.levels (operator_id, station, level) VALUES ($1, $2, $3)
    ON CONFLICT (operator_id, station) DO UPDATE SET level = excluded.level"""
_SET_IDENTITY: Final = """INSERT INTO vtoc.identities (transport, workspace, user_id, operator_id, name)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (transport, workspace, user_id)
    DO UPDATE SET operator_id = excluded.operator_id, name = excluded.name"""
_INVITE: Final = """INSERT INTO vtoc.invitations (code_hash, operator_id, created_by, expires_at)
    VALUES ($1, $2, $3, now() + make_interval(hours => $4)) RETURNING expires_at"""
_REDEEM: Final = """UPDATE vtoc.invitations SET used_at = now(), used_by = $2
    WHERE code_hash = $1 AND used_at IS NULL AND expires_at > now() RETURNING operator_id"""
# The same message handled again, after a crash: what it did stands, and is not done again.
_REDEEMED: Final = """SELECT o.name FROM vtoc.invitations v
    JOIN vtoc.operators o ON o.id = v.operator_id AND o.is_active
    JOIN vtoc.identities i ON i.operator_id = o.id AND i.transport = $3 AND i.workspace = $4 AND i.user_id = $5
    WHERE v.code_hash = $1 AND v.used_by = $2"""
_DEFAULT: Final = "UPDATE vtoc.operators SET default_station = $2 WHERE id = $1"
_CODE_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


class Operators:
    """Statements on operators."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, operator_id: UUID) -> Operator | None:
        """The active operator of an id."""
        row = await self._store.fetchrow(_BY_ID, operator_id, idempotent=True)
        return _operator(row) if row else None

    async def by_identity(self, transport: str, workspace: str, user_id: str) -> Operator | None:
        """The active operator behind a platform account."""
        row = await self._store.fetchrow(_BY_IDENTITY, transport, workspace, user_id, idempotent=True)
        return _operator(row) if row else None

    async def list(self) -> list[Row]:
        """Everybody: id, name, default_station, is_active, levels, identities."""
        return await self._store.fetch(_LIST, idempotent=True)

    async def add(self, name: str, levels: Mapping[str, Level]) -> Operator:
        """A new operator with levels by station slug (``*``: every station). Raises UsageError for a name in use."""
        operator_id = new_id()

        async def work(connection: Connection) -> None:
            if await connection.fetchrow(_ADD, operator_id, name) is None:
                raise UsageError(f"there is an operator {name} already; `vtoc-bots operator list` shows everybody")
            for station, level in levels.items():
                await connection.execute(_SET_LEVEL, operator_id, station, str(level))

        await self._store.run(work, transaction=True)
        return Operator(operator_id, name, dict(levels))

    async def own(self, name: str, transport: str, workspace: str, user_id: str, level: Level) -> Operator:
        """The operator of an account whose owner is known by other means, made with `level` everywhere if new."""
        found = await self.by_identity(transport, workspace, user_id)
        if found is not None:
            return found

        async def work(connection: Connection) -> None:
            # Nothing is added where the name is known, perhaps since a moment ago by another process.
            await connection.fetchrow(_ADD, new_id(), name)
            operator_id = await connection.fetchval(_BY_NAME, name)
            await connection.execute(_SET_LEVEL, operator_id, "*", str(level))
            await connection.execute(_SET_IDENTITY, transport, workspace, user_id, operator_id, name)

        await self._store.run(work, transaction=True, idempotent=True)
        made = await self.by_identity(transport, workspace, user_id)
        if made is None:
            raise NotFound(f"operator {name} is not active; an admin can change that")
        return made

    async def invite(self, name: str, by: str, hours: int) -> tuple[str, datetime]:
        """A new code, shown once, that joins an account to the operator; and until when. Raises NotFound."""
        row = await self._store.fetchrow(_BY_NAME, name)
        if row is None:
            raise NotFound(f"there is no operator {name}; `vtoc-bots operator add` makes one")
        code = "-".join("".join(secrets.choice(_CODE_LETTERS) for _ in range(5)) for _ in range(3))
        made = await self._store.fetchrow(_INVITE, _hash(code), row["id"], by, hours)
        assert made is not None
        return code, made["expires_at"]

    async def redeem(
        self, code: str, transport: str, workspace: str, user_id: str, name: str, message_id: UUID | None = None
    ) -> str | None:
        """Join the account to the operator whom the code was made for; their name, None for a code that is no good.

        With the same message a used code is good once more, for a worker that died in between.
        """

        async def work(connection: Connection) -> str | None:
            used_by = f"{transport}:{workspace}:{user_id} {message_id or new_id()}"
            row = await connection.fetchrow(_REDEEM, _hash(code), used_by)
            if row is None:
                again = await connection.fetchrow(_REDEEMED, _hash(code), used_by, transport, workspace, user_id)
                return again["name"] if again else None
            await connection.execute(_SET_IDENTITY, transport, workspace, user_id, row["operator_id"], name)
            operator = await connection.fetchrow(_BY_ID, row["operator_id"])
            return operator["name"] if operator else None

        return await self._store.run(work, transaction=True)

    async def set_default_station(self, operator_id: UUID, station: str) -> None:
        """The station an operator works at unless the conversation says otherwise."""
        await self._store.execute(_DEFAULT, operator_id, station, idempotent=True)


def _operator(row: Row) -> Operator:
    levels: Mapping[str, Any] = row["levels"]
    parsed = {station: Level.parse(level) for station, level in levels.items()}
    return Operator(row["id"], row["name"], parsed, row["default_station"])


def _hash(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").upper().encode()).hexdigest()
