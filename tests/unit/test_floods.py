"""Floods: strangers are dropped beyond their rate, operators never, whatever comes at once."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from vtoc_bots import ConversationId, Message, MessageKind, Operator, Sender, TransientError
from vtoc_bots.core.access import Level
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.floods import LOOKUPS_AT_ONCE, PER_MINUTE, Floods

ADA = Operator(uuid4(), "Ada", {"toc-s1": Level.OPERATOR})


class Directory:
    """Finds out who somebody is, in its own time."""

    def __init__(self, *known: str) -> None:
        self.known, self.looked, self.fails = set(known), 0, False
        self.answers = asyncio.Event()
        self.answers.set()

    async def sender(self, message: Message) -> Operator | None:
        """An operator, or nobody."""
        self.looked += 1
        await self.answers.wait()
        if self.fails:
            raise TransientError("the database is away")
        return ADA if message.sender.user_id in self.known else None


class StillClock(SystemClock):
    """A clock that stands until it is moved."""

    at = 1000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.at


def floods(directory: Directory, clock: StillClock | None = None) -> Floods:
    return Floods(directory, clock or StillClock())  # type: ignore[arg-type]  # it asks no more of people


def message(user: str, kind: MessageKind = MessageKind.TEXT) -> Message:
    return Message("kit", "bot", "e1", ConversationId("kit", "bot", "room"), Sender(user, user), "hello", kind=kind)


async def test_a_stranger_is_dropped_beyond_the_rate_and_heard_again_later() -> None:
    clock = StillClock()
    guard = floods(Directory(), clock)
    assert [await guard.admits(message("eve")) for _ in range(PER_MINUTE + 2)] == [True] * PER_MINUTE + [False] * 2
    clock.at += 3.0
    assert await guard.admits(message("eve"))


async def test_of_many_messages_of_an_operator_at_once_none_is_dropped() -> None:
    directory = Directory("ada")
    directory.answers.clear()
    guard = floods(directory)
    asked = [asyncio.create_task(guard.admits(message("ada"))) for _ in range(100)]
    await asyncio.sleep(0)
    directory.answers.set()
    assert all(await asyncio.gather(*asked))
    assert directory.looked == 1


async def test_an_operator_in_a_crowd_of_strangers_is_heard() -> None:
    guard = floods(Directory("ada"))
    for stranger in range(50):
        sent = [await guard.admits(message(f"eve{stranger}")) for _ in range(PER_MINUTE + 1)]
        assert sent == [True] * PER_MINUTE + [False]
    assert all([await guard.admits(message("ada")) for _ in range(3 * PER_MINUTE)])


async def test_a_crowd_is_looked_up_a_few_at_a_time() -> None:
    directory = Directory("ada")
    guard = floods(directory)
    senders = [*(f"eve{n}" for n in range(50)), "ada"]
    for sender in senders:
        for _ in range(PER_MINUTE):
            await guard.admits(message(sender))
    directory.answers.clear()
    asked = [asyncio.create_task(guard.admits(message(sender))) for sender in senders]
    for _ in range(5):
        await asyncio.sleep(0)
    assert directory.looked == LOOKUPS_AT_ONCE
    directory.answers.set()
    assert await asyncio.gather(*asked) == [False] * 50 + [True]


async def test_a_stranger_who_becomes_an_operator_is_heard_at_once() -> None:
    directory = Directory()
    guard = floods(directory)
    assert [await guard.admits(message("ada")) for _ in range(PER_MINUTE + 1)][-1] is False
    directory.known.add("ada")
    assert await guard.admits(message("ada"))


async def test_a_look_up_that_fails_drops_nobody() -> None:
    directory = Directory("ada")
    guard = floods(directory)
    for _ in range(PER_MINUTE):
        await guard.admits(message("ada"))
    directory.fails = True
    with pytest.raises(TransientError):
        await guard.admits(message("ada"))
    directory.fails = False
    assert await guard.admits(message("ada"))


async def test_what_a_transport_reports_by_itself_is_no_flood() -> None:
    guard = floods(Directory())
    assert all([await guard.admits(message("eve", MessageKind.EVENT)) for _ in range(3 * PER_MINUTE)])
