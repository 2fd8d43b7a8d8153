"""Rate budgets by name, as rows, so that they hold across workers."""

from __future__ import annotations

from typing import Final

from vtoc_bots.core.budgets import Budget, Taken, take
from vtoc_bots.core.store.conversations import UNHURRIED
from vtoc_bots.core.store.pool import Store

_READ: Final = "SELECT tokens, updated_at, now() AS now FROM vtoc_engine.budgets WHERE name = $1"
# Only if nobody took from it meanwhile: what was read is what is changed.
_SET: Final = f"""
INSERT INTO vtoc_engine.budgets AS b (name, tokens, updated_at)
SELECT $1, $2, $3 FROM {UNHURRIED}
ON CONFLICT (name) DO UPDATE SET tokens = excluded.tokens, updated_at = excluded.updated_at
WHERE (b.tokens, b.updated_at) = ($4, $5)
RETURNING 1
"""


class BudgetRows:
    """Takes tokens from budgets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, name: str, per_minute: int) -> Taken:
        """Take one of the tokens that come each minute, or learn how long to wait."""
        while True:
            row = await self._store.fetchrow(_READ, name)
            budget = Budget(row["tokens"], row["updated_at"]) if row else None
            now = row["now"] if row else await self._store.fetchval("SELECT now()")
            taken = take(budget, now, per_minute)
            known = budget or Budget(0.0, now)
            left = taken.budget
            if not taken.allowed or await self._store.fetchval(
                _SET, name, left.tokens, left.updated_at, known.tokens, known.updated_at
            ):
                return taken
