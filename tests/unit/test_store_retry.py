"""Which errors pass by themselves."""

from __future__ import annotations

from itertools import islice

import asyncpg
import pytest

from vtoc_bots.core.errors import Fate, TransientError
from vtoc_bots.core.store.retry import DatabaseUnavailable, TransactionConflict, backoff, driven, is_gone, transient


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("refused"),
        OSError("no route"),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.AdminShutdownError("shut down"),
        asyncpg.CrashShutdownError("crashed"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.ReadOnlySQLTransactionError("a standby"),
    ],
)
def test_a_lost_connection_is_tried_again(error: Exception) -> None:
    known = transient(error, is_closed=False)
    assert isinstance(known, DatabaseUnavailable)
    assert known.fate is Fate.RETRY


@pytest.mark.parametrize("error", [asyncpg.InterfaceError("closed"), asyncpg.InternalClientError("unexpected message")])
def test_the_drivers_own_errors_pass_only_when_the_connection_is_gone(error: Exception) -> None:
    assert isinstance(transient(error, is_closed=True), DatabaseUnavailable)
    assert transient(error, is_closed=False) is None


@pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError("d"), asyncpg.SerializationError("s")])
def test_a_rolled_back_transaction_may_be_done_again(error: Exception) -> None:
    assert isinstance(transient(error, is_closed=False), TransactionConflict)


@pytest.mark.parametrize(
    "error",
    [asyncpg.UniqueViolationError("u"), asyncpg.UndefinedTableError("t"), asyncpg.DataError("d"), ValueError("v")],
)
def test_a_mistake_does_not_pass(error: Exception) -> None:
    assert transient(error, is_closed=False) is None


def test_waiting_doubles_up_to_a_limit_with_jitter() -> None:
    waits = list(islice(backoff(0.1, 1.0), 8))
    for wait, middle in zip(waits, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0), strict=True):
        assert middle * 0.75 <= wait <= middle * 1.25


class Detached:
    """A lent connection that the pool has taken back."""

    def is_closed(self) -> bool:
        raise asyncpg.InterfaceError("connection has been released back to the pool")


async def test_a_connection_that_the_pool_took_back_is_gone() -> None:
    assert is_gone(Detached())

    async def call() -> None:
        raise asyncpg.InterfaceError("closed")

    with pytest.raises(TransientError):
        await driven(Detached(), call())
