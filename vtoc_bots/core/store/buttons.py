"""The values behind buttons' tokens."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from vtoc_bots.core.store.pool import Store

_GET: Final = "SELECT value FROM vtoc_engine.buttons WHERE token = $1 AND expires_at > now()"


class ButtonRows:
    """Looks tokens up."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def value(self, token: str) -> Any | None:
        """What the button stands for, None when it is stale or was never made."""
        return await self._store.fetchval(_GET, token, idempotent=True)

    async def was_used(self, token: str) -> bool:
        """Whether a button that does its work one time has done it."""
        return await self.value(used_mark(token)) is not None


def used_mark(token: str) -> str:
    """The name of the row that says that a button was used; no button's token is that long."""
    return f"{token}.used"


def dialog_mark(dialog_id: UUID) -> str:
    """The name of the row that says which button, that does its work one time, began a dialog."""
    return f"{dialog_id}.once"
