"""Sending on a real Postgres: what is unknown stays so until it is known, and nothing is shown twice unmarked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tests.engine_kit import ROOM, Post, ScriptedLookingTransport, ScriptedTransport, receipt_of
from vtoc_bots import NotSent, Outbound, RateLimited, Receipt, Refused, Unknown
from vtoc_bots.core.outbox import MAX_COPIES, MAX_FAULTS
from vtoc_bots.core.store.outbox import LOOKED_UP_PAUSES, UNSURE_PAUSES
from vtoc_bots.core.store.pool import Store


async def test_a_send_of_unknown_end_is_repeated_and_marked_where_nothing_can_be_looked_up(store: Store) -> None:
    post = Post(store, ScriptedTransport(Unknown("cut off")))
    await post.put("k")
    await post.deliver()
    assert await post.states() == {"k": "unknown"}
    await post.deliver()
    assert await post.states() == {"k": "sent"}
    assert [outbound.may_be_repeat for outbound in post.transport.sent] == [False, True]


@pytest.mark.parametrize("error", [RateLimited("slow", 60.0), NotSent("down")])
async def test_a_repeat_stays_marked_though_the_platform_refused_a_try_in_between(
    store: Store, error: Exception
) -> None:
    post = Post(store, ScriptedTransport(Unknown("cut off"), error))
    await post.put("k")
    for _ in range(3):
        await post.deliver()
    assert await post.states() == {"k": "sent"}
    assert [outbound.may_be_repeat for outbound in post.transport.sent] == [False, True, True]


async def test_a_retry_has_an_alarm_and_what_ended_has_none(store: Store) -> None:
    post = Post(store, ScriptedTransport(RateLimited("slow", 7.5), Refused("too long")))
    await post.put("k")
    await post.deliver()
    assert post.again == [(ROOM, 7.5)]
    await post.deliver()
    assert await post.states() == {"k": "refused", "k:plain": "sent"}
    assert post.again == [(ROOM, 7.5)]


async def test_what_the_platform_has_is_not_sent_again(store: Store) -> None:
    transport = ScriptedLookingTransport(Unknown("cut off"))
    post = Post(store, transport)
    await post.put("k")
    await post.deliver()
    transport.shown["k"] = receipt_of(transport.sent[0])
    await post.deliver()
    assert await post.states() == {"k": "sent"}
    assert len(transport.sent) == 1
    assert await store.fetchval("SELECT receipt ->> 'ref' FROM vtoc_engine.outbox") == "ref of k"


@pytest.mark.parametrize("error", [RateLimited("slow", 60.0), NotSent("down"), Unknown("cut off")])
async def test_a_look_up_that_failed_is_done_again_before_anything_is_sent(store: Store, error: Exception) -> None:
    transport = ScriptedLookingTransport(Unknown("cut off"), error)
    post = Post(store, transport)
    await post.put("k")
    await post.deliver()
    transport.shown["k"] = receipt_of(transport.sent[0])
    await post.deliver()
    assert await post.states() == {"k": "unknown"}
    await post.deliver()
    assert await post.states() == {"k": "sent"}
    assert (len(transport.sent), transport.looks) == (1, 2)


async def test_what_the_platform_does_not_have_is_sent_unmarked(store: Store) -> None:
    post = Post(store, ScriptedLookingTransport(Unknown("cut off")))
    await post.put("k")
    await post.deliver()
    await post.deliver()
    assert [outbound.may_be_repeat for outbound in post.transport.sent] == [False, False]


async def test_what_the_platform_can_not_tell_is_sent_again_and_marked(store: Store) -> None:
    post = Post(store, ScriptedLookingTransport(Unknown("cut off"), Refused("nobody may read here")))
    await post.put("k")
    await post.deliver()
    await post.deliver()
    assert await post.states() == {"k": "sent"}
    assert [outbound.may_be_repeat for outbound in post.transport.sent] == [False, True]


async def test_a_worker_killed_while_it_edits_leaves_the_edit_to_another(store: Store) -> None:
    transport = ScriptedLookingTransport()
    post = Post(store, transport)
    await post.put("k", "approval", "Approve?")
    await post.deliver()
    transport.shown["k"] = receipt_of(transport.sent[0])
    await post.revise("k", "Approved by ada")
    await post.deliver_until_killed()
    await post.deliver()
    assert await post.states() == {"k": "sent"}
    last = transport.sent[-1]
    assert (last.card.title, last.may_be_repeat) == ("Approved by ada", False)
    assert last.edits is not None


async def test_a_card_revised_while_its_first_send_was_cut_off_is_edited_to_its_latest(store: Store) -> None:
    transport = ScriptedLookingTransport()
    post = Post(store, transport)
    await post.put("k", "approval", "Approve?")
    await post.deliver_until_killed()
    await post.revise("k", "Approved by ada")
    await post.put("later")
    transport.shown["k"] = Receipt("ref of k", datetime(2026, 1, 1, tzinfo=UTC))
    await post.deliver()
    assert await post.states() == {"k": "sent", "later": "sent"}
    first = transport.sent[0]
    assert (first.card.title, first.edits) == ("Approved by ada", transport.shown["k"])


async def test_a_platform_that_is_away_for_hours_gets_its_messages_in_order_when_it_is_back(store: Store) -> None:
    post = Post(store, ScriptedTransport(NotSent("away")))
    await post.put("first")
    await post.put("second")
    await store.execute("UPDATE vtoc_engine.outbox SET tries = 500 WHERE key = 'first'")
    await post.deliver()
    assert await post.states() == {"first": "due", "second": "due"}
    await post.deliver()
    assert [outbound.key for outbound in post.transport.sent] == ["first", "first", "second"]


async def test_a_card_that_breaks_its_transport_each_time_is_given_up_and_said_in_plain_text(store: Store) -> None:
    post = Post(store, ScriptedTransport(*(KeyError("a bug") for _ in range(2))))
    await post.put("k")
    await store.execute("UPDATE vtoc_engine.outbox SET tries = $1", MAX_FAULTS - 2)
    await post.deliver()
    assert await post.states() == {"k": "unknown"}
    await post.deliver()
    assert await post.states() == {"k": "refused", "k:plain": "sent"}
    assert "given up" in post.transport.sent[-1].card.model_dump_json()


async def test_a_fault_after_a_long_time_without_the_platform_gives_nothing_up(store: Store) -> None:
    post = Post(store, ScriptedTransport(NotSent("away"), KeyError("a bug")))
    await post.put("k")
    await store.execute("UPDATE vtoc_engine.outbox SET tries = $1", MAX_FAULTS)
    for state in ("due", "unknown", "sent"):
        await post.deliver()
        assert await post.states() == {"k": state}


async def test_a_card_whose_answers_are_lost_each_time_comes_again_more_and_more_seldom(store: Store) -> None:
    losses = 2 * MAX_COPIES
    post = Post(store, ScriptedTransport(*(Unknown("no answer") for _ in range(losses))))
    await post.put("k", title="Fuel state")
    while (await post.states())["k"] != "sent":
        await post.deliver()
    assert [outbound.may_be_repeat for outbound in post.transport.sent] == [False, *[True] * losses]
    pauses = [seconds for _, seconds in post.again]
    assert pauses[0] < 2
    assert pauses[:4] == sorted(pauses[:4])
    assert min(pauses[3:]) > 600
    assert max(pauses) < 1200, "whoever waits for it has it soon after the failure ends"


async def test_a_card_that_waits_long_for_another_copy_holds_nothing_up(store: Store) -> None:
    post = Post(store, ScriptedTransport(*(Unknown("no answer") for _ in UNSURE_PAUSES)))
    await post.put("k")
    await post.put("later")
    for _ in UNSURE_PAUSES:
        assert await post.states() in ({"k": "due", "later": "due"}, {"k": "unknown", "later": "due"})
        await post.deliver()
    assert await post.states() == {"k": "unknown", "later": "sent"}
    await post.deliver()
    assert await post.states() == {"k": "sent", "later": "sent"}
    assert post.transport.sent[-1].may_be_repeat


LOST, FAILS = Unknown("lost"), Unknown("failed (500)")
ALWAYS_FAILS = {
    "looked for in vain": [LOST, *[None, LOST] * (len(LOOKED_UP_PAUSES) - 1)],
    "not to be looked for": [LOST, *[FAILS] * (len(LOOKED_UP_PAUSES) - 1)],
}


@pytest.mark.parametrize("answers", ALWAYS_FAILS.values(), ids=ALWAYS_FAILS)
async def test_where_the_platform_is_asked_too_a_card_that_always_fails_holds_others_up_for_a_while_only(
    store: Store, answers: list[Exception | None]
) -> None:
    post = Post(store, ScriptedLookingTransport(*answers))
    await post.put("k")
    await post.put("later")
    for _ in LOOKED_UP_PAUSES:
        assert (await post.states())["later"] == "due", "a short failure changes no order"
        await post.deliver()
    assert await post.states() == {"k": "unknown", "later": "sent"}
    assert [seconds for _, seconds in post.again] == sorted(seconds for _, seconds in post.again)
    await post.deliver()
    assert await post.states() == {"k": "sent", "later": "sent"}
    assert not any(outbound.may_be_repeat for outbound in post.transport.sent)


@pytest.mark.parametrize("kind", [ScriptedTransport, ScriptedLookingTransport])
@pytest.mark.parametrize("error", [FAILS, NotSent("failed (500)"), RateLimited("slow", 60.0)])
async def test_an_edit_that_has_to_wait_holds_nothing_up(
    store: Store, kind: type[ScriptedTransport], error: Exception
) -> None:
    post = Post(store, kind(None, error))
    await post.put("k", "approval", "Approve?")
    await post.deliver()
    await post.revise("k", "Approved by ada")
    await post.put("later")
    await post.deliver()
    states = await post.states()
    assert states["k"] in ("due", "unknown")
    assert states["later"] == "sent"
    await post.deliver()
    assert await post.states() == {"k": "sent", "later": "sent"}
    assert [outbound.may_be_repeat for outbound in post.transport.sent] == [False] * 4


async def test_what_certainly_was_not_sent_is_no_copy(store: Store) -> None:
    failures = [each for _ in range(MAX_COPIES) for each in (Unknown("lost"), NotSent("down"), RateLimited("slow", 1))]
    post = Post(store, ScriptedTransport(*failures))
    await post.put("k")
    for _ in failures:
        await post.deliver()
        assert await post.states() == {"k": "unknown"}
    await post.deliver()
    assert await post.states() == {"k": "sent"}


@pytest.mark.parametrize("kind", [ScriptedTransport, ScriptedLookingTransport])
async def test_what_kills_its_sender_each_time_is_given_up(store: Store, kind: type[ScriptedTransport]) -> None:
    post = Post(store, kind())
    await post.put("k")
    for _ in range(MAX_COPIES):
        await post.deliver_until_killed()
    await post.deliver()
    assert await post.states() == {"k": "refused", "k:plain": "sent"}
    assert [outbound.key for outbound in post.transport.sent] == ["k:plain"]


async def test_what_is_looked_up_is_tried_until_it_is_there(store: Store) -> None:
    lost_and_looked_for = [each for _ in range(2 * MAX_COPIES) for each in (Unknown("lost"), None)]
    post = Post(store, ScriptedLookingTransport(*lost_and_looked_for))
    await post.put("k")
    for _ in range(2 * MAX_COPIES):
        await post.deliver()
        assert await post.states() == {"k": "unknown"}
    await post.deliver()
    assert await post.states() == {"k": "sent"}


async def test_what_can_not_be_looked_up_comes_marked_too(store: Store) -> None:
    lost = [each for _ in range(MAX_COPIES) for each in (Unknown("lost"), Refused("nobody may read here"))]
    post = Post(store, ScriptedLookingTransport(*lost))
    await post.put("k")
    for _ in range(MAX_COPIES + 1):
        await post.deliver()
    assert await post.states() == {"k": "sent"}
    assert [outbound.may_be_repeat for outbound in post.transport.sent][:2] == [False, True]
    assert max(seconds for _, seconds in post.again) > 600


async def test_an_edit_whose_end_is_not_known_is_no_copy_where_the_platform_is_looked_at(store: Store) -> None:
    post = Post(store, ScriptedLookingTransport(None, *(Unknown("lost") for _ in range(2 * MAX_COPIES))))
    await post.put("k", "approval", "Approve?")
    await post.deliver()
    await post.revise("k", "Approved by ada")
    for _ in range(2 * MAX_COPIES + 1):
        await post.deliver()
    assert await post.states() == {"k": "sent"}


async def test_a_refused_plain_text_is_not_followed_by_another(store: Store) -> None:
    post = Post(store, ScriptedTransport(Refused("blocked"), Refused("blocked")))
    await post.put("k")
    await post.deliver()
    assert await post.states() == {"k": "refused", "k:plain": "refused"}
    await post.deliver()
    assert len(post.transport.sent) == 2


class HangingTransport(ScriptedTransport):
    """Never answers."""

    async def send(self, outbound: Outbound) -> Receipt:
        """Hang."""
        await asyncio.Event().wait()
        return receipt_of(outbound)


async def test_a_send_that_hangs_ends_unknown(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtoc_bots.core.outbox.SEND_TIMEOUT_SECONDS", 0.05)
    post = Post(store, HangingTransport())
    await post.put("k")
    await post.deliver()
    assert await post.states() == {"k": "unknown"}
