"""The rows of what transports remember: the first value under a name stays, for every process."""

from __future__ import annotations

from typing import Final

from vtoc_bots.core.store.pool import Store

_KEEP: Final = """INSERT INTO vtoc_engine.remembered (transport, account, name, value) VALUES ($1, $2, $3, $4)
    ON CONFLICT (transport, account, name) DO UPDATE SET value = remembered.value RETURNING value"""
_FIND: Final = "SELECT value FROM vtoc_engine.remembered WHERE transport = $1 AND account = $2 AND name = $3"


class Remembered:
    """What one account of a transport remembers."""

    def __init__(self, store: Store, transport: str, account: str) -> None:
        self._store, self._transport, self._account = store, transport, account

    async def recall(self, name: str, value: str | None = None) -> str | None:
        """What stands under the name; with a `value`, that one where nothing stood there before."""
        mine = (self._transport, self._account, name)
        if value is None:
            found: str | None = await self._store.fetchval(_FIND, *mine, idempotent=True)
        else:
            found = await self._store.fetchval(_KEEP, *mine, value, idempotent=True)
        return found
