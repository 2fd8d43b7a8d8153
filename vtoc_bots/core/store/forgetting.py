"""What the engine itself still holds of what somebody said, taken out at their request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vtoc_bots.core.store.pool import Store

# The rows stay: by their ids what comes again is known. What was said to us is a command, and its answer is on record.
_WORDS: Final = """
UPDATE vtoc_engine.inbox SET body = body - 'text' - 'arguments' - 'attachments'
WHERE transport = $1 AND state <> 'new' AND body -> 'sender' ->> 0 = $3 AND body -> 'sender' ->> 2 = $2
    AND (body ->> 'kind' = 'event' OR body ->> 'kind' = 'text' AND NOT body ? 'mentions_us')
"""
_NOTICES: Final = """
UPDATE vtoc_engine.outbox SET card = '{"title": "Deleted on request", "blocks": []}'
WHERE kind IN ('notice', 'approval')
    AND key LIKE ANY (SELECT replace(replace(name, '_', '\\_'), '%', '\\%') || ':%' FROM unnest($1::text[]) AS name)
"""


class Forgetting:
    """Statements on handled messages and sent notices."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def words(self, transport: str, workspace: str, user_id: str) -> None:
        """Take out what an account's handled messages say that were not said to us."""
        await self._store.execute(_WORDS, transport, workspace, user_id, idempotent=True)

    async def notices(self, keys: Sequence[str]) -> None:
        """Take out what notices of these keys said."""
        await self._store.execute(_NOTICES, list(keys), idempotent=True)
