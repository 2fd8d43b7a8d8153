"""The engine's statements on a real Postgres: stored once, fenced, in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.conversations import ConversationLeases, Held
from vtoc_bots.core.store.effects import Effects
from vtoc_bots.core.store.inbox import Finished, InboxRows, NewMessage
from vtoc_bots.core.store.outbox import Ended, OutboxRows
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.runs import Checkpoint, Move, RunRows, StepRow

CONVERSATION = "test:bot:room"


def new_message(event_id: str, conversation: str = CONVERSATION) -> NewMessage:
    message_id = new_id()
    return NewMessage(message_id, "test", "bot", event_id, conversation, "test", {"n": event_id}, message_id, None)


def outbound_row(key: str, kind: str = "reply", **more: Any) -> dict[str, Any]:
    row = {"id": new_id(), "key": key, "transport": "test", "conversation": CONVERSATION, "kind": kind}
    return {**row, "card": {"title": key}, "keep": 3600, "correlation_id": new_id(), **more}


def run_row(key: str, **more: Any) -> dict[str, Any]:
    row = {"id": new_id(), "key": key, "playbook": "p", "title": "P", "role": None, "station": "toc-s1"}
    return {**row, "source": "…", "digest": "d", "inputs": {}, "correlation_id": new_id(), **more}


async def accepted(store: Store, *event_ids: str) -> tuple[InboxRows, Held]:
    rows = InboxRows(store)
    for event_id in event_ids:
        assert await rows.accept(new_message(event_id))
    held = await ConversationLeases(store, "handle", 15).claim(CONVERSATION)
    assert held is not None
    return rows, held


async def finish(rows: InboxRows, held: Held, message_id: UUID, effects: Effects) -> bool:
    return await rows.finish(Finished(message_id, CONVERSATION, held.attempt, "done", None, effects))


async def a_run(store: Store, **more: Any) -> UUID:
    rows, held = await accepted(store, f"start-{new_id()}")
    message = await rows.next(CONVERSATION, held.attempt)
    assert message is not None
    row = run_row(f"message:{message.id}", **more)
    assert await finish(rows, held, message.id, Effects(runs=[row]))
    await ConversationLeases(store, "handle", 15).let_go(held)
    return UUID(str(row["id"]))


async def test_the_same_event_delivered_ten_times_at_once_is_stored_once(store: Store) -> None:
    rows = InboxRows(store)
    stored = await asyncio.gather(*(rows.accept(new_message("e1")) for _ in range(10)))
    assert sorted(stored) == [False] * 9 + [True]
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.inbox") == 1
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.pgqueuer WHERE entrypoint = 'handle'") == 1


async def test_a_message_stored_again_after_its_answer_was_lost_is_no_duplicate(store: Store) -> None:
    rows, message = InboxRows(store), new_message("e1")
    assert await rows.accept(message)
    assert await rows.accept(message), "the same message, tried again"
    assert not await rows.accept(new_message("e1")), "another delivery of the event"
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.inbox") == 1


async def test_messages_of_a_conversation_come_in_the_order_they_were_accepted(store: Store) -> None:
    rows, held = await accepted(store, "a", "b", "c")
    seen = []
    while (message := await rows.next(CONVERSATION, held.attempt)) is not None:
        seen.append(message.body["n"])
        assert await finish(rows, held, message.id, Effects())
    assert seen == ["a", "b", "c"]


async def test_a_postponed_message_holds_back_the_ones_behind_it(store: Store) -> None:
    rows, held = await accepted(store, "a", "b")
    message = await rows.next(CONVERSATION, held.attempt)
    assert message is not None
    await rows.postpone(message, held.attempt, 60, "busy")
    assert await rows.next(CONVERSATION, held.attempt) is None


async def test_only_one_of_many_claims_holds_a_conversation_and_is_told_of_the_others(store: Store) -> None:
    rows = InboxRows(store)
    await rows.accept(new_message("e1"))
    here, there = ConversationLeases(store, "handle", 15), ConversationLeases(store, "handle", 15)
    claims = await asyncio.gather(*(leases.claim(CONVERSATION) for leases in (here, there) for _ in range(5)))
    held = [claim for claim in claims if claim is not None]
    assert len(held) == 1
    again = await here.let_go(held[0])
    assert again is not None, "somebody came while it was held"
    assert await here.let_go(again) is None
    assert await there.claim(CONVERSATION) is not None


async def test_a_worker_that_lost_its_lease_writes_nothing(store: Store) -> None:
    rows, held = await accepted(store, "e1")
    message = await rows.next(CONVERSATION, held.attempt)
    assert message is not None
    await store.execute("UPDATE vtoc_engine.conversations SET handle_until = now() - interval '1 second'")
    other = await ConversationLeases(store, "handle", 15).claim(CONVERSATION)
    assert other is not None
    assert not await finish(rows, held, message.id, Effects(outbox=[outbound_row("k")]))
    assert await rows.next(CONVERSATION, held.attempt) is None
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.outbox") == 0
    assert await ConversationLeases(store, "handle", 15).renew([held]) == set()


async def test_a_message_finished_twice_has_its_effects_once(store: Store) -> None:
    rows, held = await accepted(store, "e1")
    message = await rows.next(CONVERSATION, held.attempt)
    assert message is not None
    effects = Effects(outbox=[outbound_row("k")], runs=[run_row("r")])
    assert await finish(rows, held, message.id, effects)
    assert not await finish(rows, held, message.id, Effects(outbox=[outbound_row("k2")], runs=[run_row("r2")]))
    assert await store.fetchval("SELECT array_agg(key) FROM vtoc_engine.outbox") == ["k"]
    assert await store.fetchval("SELECT array_agg(key) FROM vtoc_engine.runs") == ["r"]
    hints = await store.fetch("SELECT entrypoint FROM vtoc_engine.pgqueuer ORDER BY entrypoint")
    assert [row["entrypoint"] for row in hints] == ["advance", "deliver.test", "handle"]


async def test_replies_are_sent_in_order_and_one_that_began_is_known_to_have_begun(store: Store) -> None:
    rows, held = await accepted(store, "e1")
    message = await rows.next(CONVERSATION, held.attempt)
    assert message is not None
    await finish(rows, held, message.id, Effects(outbox=[outbound_row("first"), outbound_row("second")]))
    outbox, leases = OutboxRows(store), ConversationLeases(store, "deliver", 15)
    mine = await leases.claim(CONVERSATION)
    assert mine is not None
    first = await outbox.next(CONVERSATION, mine.attempt)
    assert first is not None
    assert (first.key, first.was_unknown) == ("first", False)
    again = await outbox.next(CONVERSATION, mine.attempt)
    assert again is not None
    assert (again.key, again.was_unknown) == ("first", True)
    receipt = {"ref": "1", "sent_at": "2026-01-01T00:00:00+00:00", "detail": {}}
    assert await outbox.end(Ended(first.id, CONVERSATION, mine.attempt, 0, "sent", receipt, None, 0))
    second = await outbox.next(CONVERSATION, mine.attempt)
    assert second is not None
    assert second.key == "second"
    fallback = {"title": "plain"}
    assert await outbox.end(Ended(second.id, CONVERSATION, mine.attempt, 0, "refused", None, "too long", 0, fallback))
    plain = await outbox.next(CONVERSATION, mine.attempt)
    assert plain is not None
    assert (plain.key, plain.card) == ("second:plain", fallback)


async def test_progress_is_revised_in_place_and_edits_what_was_sent(store: Store) -> None:
    run_id = await a_run(store, conversation=CONVERSATION)
    runs = RunRows(store, 15)
    run = await runs.claim(run_id)
    assert run is not None
    outbox, leases = OutboxRows(store), ConversationLeases(store, "deliver", 15)
    mine = await leases.claim(CONVERSATION)
    assert mine is not None
    for text in ("one", "two"):
        row = outbound_row("progress", "progress", card={"title": text}, run_id=run_id)
        assert await runs.move(Move(run_id, run.attempt, 0, "ready", None, None, None, None, Effects(outbox=[row])))
    sending = await outbox.next(CONVERSATION, mine.attempt)
    assert sending is not None
    assert (sending.card, sending.revision) == ({"title": "two"}, 1)
    row = outbound_row("progress", "progress", card={"title": "three"}, run_id=run_id)
    await runs.move(Move(run_id, run.attempt, 0, "ready", None, None, None, None, Effects(outbox=[row])))
    receipt = {"ref": "1", "sent_at": "2026-01-01T00:00:00+00:00", "detail": {}}
    await outbox.end(Ended(sending.id, CONVERSATION, mine.attempt, 1, "sent", receipt, None, 0))
    state = await store.fetchrow("SELECT state, revision, sent_revision FROM vtoc_engine.outbox")
    assert state is not None
    assert tuple(state.values()) == ("due", 2, 1)


async def test_a_run_is_claimed_once_and_its_checkpoints_carry_the_claim(store: Store) -> None:
    run_id = await a_run(store)
    here, there = RunRows(store, 15), RunRows(store, 15)
    claims = [c for c in await asyncio.gather(here.claim(run_id), there.claim(run_id), here.claim(run_id)) if c]
    assert len(claims) == 1
    run = claims[0]
    done = StepRow("one", 0, "done", 1, {"x": 1}, None, None, datetime.now(UTC))
    assert await here.checkpoint(Checkpoint(run_id, run.attempt, done)) is not None
    assert await here.checkpoint(Checkpoint(run_id, run.attempt, done)) is None, "written twice"
    assert await here.checkpoint(Checkpoint(run_id, run.attempt - 1, replace(done, step="two"))) is None
    assert [row.step for row in await here.steps(run_id)] == ["one"]


async def test_a_wake_up_in_the_moment_of_parking_is_not_lost(store: Store) -> None:
    run_id = await a_run(store)
    runs = RunRows(store, 15)
    run = await runs.claim(run_id)
    assert run is not None
    await store.execute("UPDATE vtoc_engine.runs SET wake_seq = wake_seq + 1, due_at = now() WHERE id = $1", run_id)
    later = datetime.now(UTC) + timedelta(hours=1)
    park = Move(run_id, run.attempt, run.wake_seq, "waiting", "timer", later, None, None, Effects())
    assert not await runs.move(park)
    wakes = await runs.wakes(run_id, run.attempt)
    assert wakes is not None
    seq, _ = wakes
    assert await runs.wakes(run_id, run.attempt + 1) is None, "another's claim"
    assert await runs.move(park._replace(wake_seq=seq))
    assert await runs.claim(run_id) is None, "it is not due"


async def test_an_ended_run_is_left_alone(store: Store) -> None:
    run_id = await a_run(store)
    runs = RunRows(store, 15)
    run = await runs.claim(run_id)
    assert run is not None
    end = Move(run_id, run.attempt, 0, "succeeded", None, None, {"ok": 1}, None, Effects(outbox=[outbound_row("r")]))
    assert await runs.move(end)
    assert not await runs.move(end._replace(state="failed"))
    assert await runs.claim(run_id) is None
    assert await store.fetchval("SELECT state FROM vtoc_engine.runs") == "succeeded"


async def test_a_last_step_and_the_end_are_stored_together_or_not_at_all(store: Store) -> None:
    run_id = await a_run(store)
    runs = RunRows(store, 15)
    run = await runs.claim(run_id)
    assert run is not None
    step = StepRow("one", 0, "done", 1, {"x": 1}, None, None, datetime.now(UTC))
    end = Move(run_id, run.attempt, run.wake_seq, "succeeded", None, None, None, None, Effects(), (step,))
    await store.execute("UPDATE vtoc_engine.runs SET wake_seq = wake_seq + 1 WHERE id = $1", run_id)
    assert not await runs.move(end), "it was woken, and maybe cancelled"
    assert not await runs.move(end._replace(attempt=run.attempt - 1, wake_seq=1)), "another's claim"
    assert await runs.steps(run_id) == []
    assert await runs.move(end._replace(wake_seq=1, effects=Effects(outbox=[outbound_row("r")])))
    assert [row.output for row in await runs.steps(run_id)] == [{"x": 1}]
    assert await store.fetchval("SELECT state FROM vtoc_engine.runs") == "succeeded"


async def test_a_step_that_has_ended_is_not_changed_by_an_end(store: Store) -> None:
    run_id = await a_run(store)
    runs = RunRows(store, 15)
    run = await runs.claim(run_id)
    assert run is not None
    step = StepRow("one", 0, "done", 1, {"x": 1}, None, None, datetime.now(UTC))
    assert await runs.checkpoint(Checkpoint(run_id, run.attempt, step)) is not None
    other = replace(step, output={"x": 2})
    assert await runs.move(Move(run_id, run.attempt, 0, "failed", None, None, None, "?", Effects(), (other,)))
    assert [row.output for row in await runs.steps(run_id)] == [{"x": 1}]
