"""Which database errors pass by themselves, and how long to wait between tries."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Iterator
from typing import Any, Final, TypeVar

import asyncpg

from vtoc_bots.core.errors import TransientError, UsageError

T = TypeVar("T")


class DatabaseUnavailable(TransientError):
    """The connection was lost, or none could be made. A write under way may or may not have been committed."""


class TransactionConflict(TransientError):
    """A deadlock or a serialization failure: the transaction was rolled back and may be done again."""


DRIVER_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Everything that the driver raises."""

# What a lost connection raises. A restart shows as OperatorInterventionError (shutdown, crash, starting up).
_LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
)
# The driver raises these for a lost connection and for a caller's mistake alike; a closed connection tells them apart.
_LOST_IF_CLOSED: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError)
_CONFLICT: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


def transient(error: BaseException, *, is_closed: bool) -> TransientError | None:
    """The passing fault that an error stands for, or None. `is_closed`: whether the connection was gone after it."""
    if isinstance(error, TransientError):
        return error
    if isinstance(error, _CONFLICT):
        return TransactionConflict(f"database: {error}. Try again")
    lost = isinstance(error, _LOST) or (is_closed and isinstance(error, _LOST_IF_CLOSED))
    if not lost:
        return None
    reason = str(error).strip() or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
    return DatabaseUnavailable(f"database: the connection failed ({reason}). It is tried again; is Postgres running?")


async def driven(raw: Any, call: Awaitable[T]) -> T:
    """Await a call of the driver on the connection `raw`; what passes by itself is raised as a TransientError.

    Raises UsageError for a text with a NUL, which Postgres has no place for: somebody sent it as an id or a name.
    """
    try:
        return await call
    except asyncpg.CharacterNotInRepertoireError as error:
        raise UsageError("a text holds a character that can't be stored (NUL)") from error
    except DRIVER_ERRORS as error:
        known = transient(error, is_closed=is_gone(raw))
        if known is None:
            raise
        raise known from error


def is_gone(raw: Any) -> bool:
    """Whether a lent connection is closed. The pool takes such a one back at once, and then it answers no question."""
    try:
        return bool(raw.is_closed())
    except asyncpg.InterfaceError:
        return True


def give_up(raw: Any) -> None:
    """Close a lent connection at once: its state is unknown, and nobody else may get it."""
    if not is_gone(raw):
        raw.terminate()


def backoff(first_seconds: float = 0.05, most_seconds: float = 1.0) -> Iterator[float]:
    """Seconds to wait before each further try: doubling up to `most_seconds`, each with jitter of a quarter."""
    wait = first_seconds
    while True:
        yield wait * random.uniform(0.75, 1.25)
        wait = min(wait * 2, most_seconds)
