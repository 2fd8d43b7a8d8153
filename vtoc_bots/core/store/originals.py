"""Messages that a form or dialog completes, read again."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.store.pool import Store

_GET: Final = """SELECT conversation, body, trace FROM vtoc_engine.inbox
    WHERE id = $1 AND ($2 OR received_at > now() - interval '1 day')"""
_DIALOG: Final = """SELECT d.id, d.command, d.given, d.asked, b.value ->> 'once' FROM vtoc_engine.dialogs d
    LEFT JOIN vtoc_engine.buttons b ON b.token = d.id || '.once'
    WHERE d.conversation = $1 AND d.user_id = $2 AND d.expires_at > now()"""


class Original(NamedTuple):
    """A stored message."""

    conversation: str
    body: Any
    trace: str | None


class Dialog(NamedTuple):
    """What is being asked of somebody: the command, what it was given, and the parameter asked for now.

    `once` is the token of a button that does its work one time, where such a one asked for the command.
    """

    id: UUID
    command: str
    given: Any
    asked: str
    once: str | None = None


class OriginalRows:
    """Looks up what is to be completed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def message(self, message_id: UUID, *, of_any_age: bool = False) -> Original | None:
        """The message, None when it is older than a day (unless `of_any_age`) or was never accepted."""
        row = await self._store.fetchrow(_GET, message_id, of_any_age, idempotent=True)
        return Original(*row.values()) if row else None

    async def dialog(self, conversation: str, user_id: str) -> Dialog | None:
        """What this person is being asked here."""
        row = await self._store.fetchrow(_DIALOG, conversation, user_id, idempotent=True)
        return Dialog(*row.values()) if row else None
