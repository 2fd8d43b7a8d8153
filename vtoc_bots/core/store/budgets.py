"""Rate budgets by name, as rows, so that they hold across workers."""

from __future__ import annotations

from typing import Final

from vtoc_bots.core.budgets import Budget, Taken, take
from vtoc_bots.core.store.pool import Connection, Store

_MAKE: Final = "INSERT INTO vtoc_engine.budgets (name, tokens) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
_LOCK: Final = "SELECT tokens, updated_at, now() FROM vtoc_engine.budgets WHERE name = $1 FOR UPDATE"
_SET: Final = "UPDATE vtoc_engine.budgets SET tokens = $2, updated_at = $3 WHERE name = $1"


class BudgetRows:
    """Takes tokens from budgets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, name: str, per_minute: int) -> Taken:
        """Take one of the tokens that come each minute, or learn how long to wait."""

        async def work(connection: Connection) -> Taken:
            row = await connection.fetchrow(_LOCK, name)
            if row is None:
                await connection.execute(_MAKE, name, float(per_minute))
                row = await connection.fetchrow(_LOCK, name)
            assert row is not None
            tokens, updated_at, now = row.values()
            taken = take(Budget(tokens, updated_at), now, per_minute)
            if taken.allowed:
                await connection.execute(_SET, name, taken.budget.tokens, taken.budget.updated_at)
            return taken

        return await self._store.run(work, transaction=True)
