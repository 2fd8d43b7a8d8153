"""The rows of idempotency keys: who asked for what under which key, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.store.connection import Statements

# In a transaction: of two at once the second waits for the first one's commit, and then finds its row.
_ADD: Final = """INSERT INTO vtoc_engine.idempotency (scope, key, digest, result) VALUES ($1, $2, $3, $4)
    ON CONFLICT (scope, key) DO NOTHING RETURNING created_at"""
_FIND: Final = "SELECT digest, result, created_at FROM vtoc_engine.idempotency WHERE scope = $1 AND key = $2"


class KeyReused(UsageError):
    """The key stands for another request."""


class Remembered(NamedTuple):
    """What stands under a key. `first`: it was not known before; `result` and `at` are those of the first time."""

    first: bool
    result: Any
    at: datetime


async def remember(statements: Statements, scope: str, key: str, digest: str, result: Any) -> Remembered:
    """Keep the result under a caller's key, or find what was kept. Raises KeyReused for a key of another request."""
    at = await statements.fetchval(_ADD, scope, key, digest, result)
    if at is not None:
        return Remembered(True, result, at)
    row = await statements.fetchrow(_FIND, scope, key)
    if row is None:
        raise KeyReused("this Idempotency-Key was forgotten just now; send the request again")
    if row["digest"] != digest:
        raise KeyReused("this Idempotency-Key was used with another request; take a new key for a new request")
    return Remembered(False, row["result"], row["created_at"])
