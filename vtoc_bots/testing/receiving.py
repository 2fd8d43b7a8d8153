"""The part of the transport contract about what comes in: handed over whole, once, and acknowledged only then."""

from __future__ import annotations

import asyncio

import pytest

from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.messages import Message, MessageKind
from vtoc_bots.testing.platform import Event
from vtoc_bots.testing.stage import Stage


def needs(stage: Stage, method: str, why: str) -> None:
    """Skip where the stand-in has no such method."""
    if not stage.platform.has(method):
        pytest.skip(f"{type(stage.platform).__name__} has no {method}(): {why}")


async def _acknowledgeable(stage: Stage) -> Event:
    """Something that the platform wants to be acknowledged."""
    platform = stage.platform
    if platform.has("gives"):
        event = await platform.gives(stage.who, "help", {})
    else:
        event = await platform.says(stage.who, "/help", platform.rooms[0])
    if event.acknowledged is None:
        pytest.skip("this platform lets nobody acknowledge")
    return event


def _acknowledged(event: Event) -> bool:
    return event.acknowledged is not None and event.acknowledged.is_set()


class ReceivingContract:
    """Tests of what a transport receives; see TransportContract."""

    pytestmark = pytest.mark.asyncio

    async def test_what_is_said_is_handed_over_as_it_was_said(self, stage: Stage) -> None:
        """Text, sender, transport and account are right, and the time is aware where it is known."""
        message = await stage.said("Grüße from the gate: 2 < 3 & *all* well 🙂")
        assert message.text == "Grüße from the gate: 2 < 3 & *all* well 🙂"
        assert message.kind is MessageKind.TEXT
        assert message.sender.user_id == stage.who.user_id
        assert message.sender.workspace == stage.who.workspace
        assert message.account == stage.platform.account == message.conversation.account
        assert message.transport == message.conversation.transport
        assert message.sent_at is None or message.sent_at.tzinfo is not None

    async def test_each_room_is_a_conversation_of_its_own(self, stage: Stage) -> None:
        """The same room is the same conversation, whoever speaks; another room is another."""
        rooms, people = stage.platform.rooms, stage.platform.people
        if len(rooms) < 2:
            pytest.skip("this platform has one room")
        first = await stage.said("one", people[0], rooms[0])
        await stage.send(first, Card.of("", "noted"))
        second = await stage.said("two", people[-1], rooms[0])
        third = await stage.said("three", people[0], rooms[1])
        assert first.conversation == second.conversation != third.conversation
        assert {first.sender.user_id, second.sender.user_id} == {people[0].user_id, people[-1].user_id}

    async def test_a_thread_is_a_conversation_and_is_answered_in_itself(self, stage: Stage) -> None:
        """Only of transports with `caps.threads`."""
        if not stage.transport.caps.threads:
            pytest.skip("it has no threads")
        outside = await stage.said("outside")
        inside = await stage.said("inside", thread="41")
        assert inside.conversation != outside.conversation
        assert inside.conversation.thread is not None
        _, shown = await stage.send(inside, Card.of("Inside", "the thread"))
        assert {each.thread for each in shown} == {"41"}

    async def test_nothing_is_acknowledged_before_it_was_accepted(self, stage: Stage) -> None:
        """The platform learns that we have an event only once it is stored."""
        stage.inbox.open.clear()
        event = await _acknowledgeable(stage)
        await stage.until(lambda: stage.inbox.handed, "nothing was handed over")
        await stage.a_moment()
        assert not _acknowledged(event), "it was acknowledged while accept() was still storing it"
        stage.inbox.open.set()
        await stage.until(lambda: _acknowledged(event), "it was not acknowledged after accept() had returned")

    async def test_what_could_not_be_stored_is_not_acknowledged_and_comes_again(self, stage: Stage) -> None:
        """A TransientError of `accept` is no reason to lose the event, nor to end."""
        stage.inbox.failures.append(TransientError("the database is away"))
        event = await _acknowledgeable(stage)
        await stage.until(lambda: not stage.inbox.failures, "nothing was handed over")
        stage.inbox.open.clear()
        await stage.a_moment()
        assert not _acknowledged(event), "it was acknowledged although accept() had failed"
        stage.inbox.open.set()
        if stage.platform.has("again"):
            await stage.platform.again(event)
        await stage.until(lambda: stage.inbox.messages, "it was not handed over again")
        assert len({message.event_id for message in stage.inbox.handed}) == 1, "it came with another event id"
        assert len(stage.inbox.messages) == 1

    async def test_an_event_that_comes_twice_is_one_message(self, stage: Stage) -> None:
        """The event's id is the platform's own: the same for every delivery, so the inbox knows it again."""
        needs(stage, "again", "nothing is delivered twice here")
        event = await stage.platform.says(stage.who, "/help", stage.platform.rooms[0])
        await stage.heard(event)
        again = await stage.platform.again(event)
        if again.acknowledged is not None:
            await stage.until(lambda: _acknowledged(again), "the repeat was not acknowledged")
        await stage.a_moment()
        assert len(stage.inbox.messages) == 1

    async def test_an_event_has_the_same_id_after_a_restart(self, stage: Stage) -> None:
        """A process that begins anew knows what another has handed over."""
        needs(stage, "again", "nothing is delivered twice here")
        event = await stage.platform.says(stage.who, "/help", stage.platform.rooms[0])
        await stage.heard(event)
        await stage.close()
        await stage.open()
        await stage.platform.again(event)
        await stage.a_moment()
        assert len({message.event_id for message in stage.inbox.handed}) == 1

    async def test_two_events_have_two_ids(self, stage: Stage) -> None:
        """Also where the same person says the same thing."""
        messages: list[Message] = []
        for _ in range(2):
            message = await stage.said("/help")
            await stage.send(message, Card.of("Help", "none"))
            messages.append(message)
        assert messages[0].event_id != messages[1].event_id

    async def test_somebody_unknown_is_handed_over_like_anybody(self, stage: Stage) -> None:
        """Who may do what is core's to say."""
        people = stage.platform.people
        message = await stage.said("/help", people[-1])
        assert message.sender.user_id == people[-1].user_id

    async def test_what_is_forged_is_turned_away(self, stage: Stage) -> None:
        """Only where events are signed: without the right signature nothing is accepted."""
        needs(stage, "forges", "events are not signed here")
        assert await stage.platform.forges("/approve everything")
        await stage.a_moment()
        assert stage.inbox.handed == []

    async def test_it_connects_again_and_hears_on(self, stage: Stage) -> None:
        """A connection that was cut is made anew, after pauses of the injected clock."""
        needs(stage, "drops", "it holds no connection")
        await stage.said("before")
        await stage.platform.drops()
        ready = asyncio.create_task(stage.platform.ready())
        await stage.until(ready.done, "it did not connect again")
        assert (await stage.said("after")).text == "after"

    async def test_it_ends_when_it_is_cancelled(self, stage: Stage) -> None:
        """And hears nothing any more; another can begin in its place."""
        await stage.close()
        await stage.open()
        assert (await stage.said("still here")).text == "still here"
