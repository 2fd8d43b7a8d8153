"""What a process takes up itself: no job, no beginning flushed, and the truth about what became of it all the same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tests.engine_kit import Post, ScriptedLookingTransport, ScriptedTransport
from tests.integration.test_engine_rows import CONVERSATION, new_message, outbound_row, run_row
from vtoc_bots import Receipt
from vtoc_bots.core.hands import Hands
from vtoc_bots.core.queue import Hint
from vtoc_bots.core.store.conversations import ConversationLeases
from vtoc_bots.core.store.effects import Effects
from vtoc_bots.core.store.inbox import Finished, InboxRows
from vtoc_bots.core.store.outbox import OutboxRows, StoredOutbound
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.runs import Move, RunRows

QUEUED = "SELECT coalesce(array_agg(entrypoint ORDER BY entrypoint), '{}') FROM vtoc_engine.pgqueuer"


class Lanes:
    """Lanes that note what they are given."""

    def __init__(self, *entrypoints: str) -> None:
        self.entrypoints, self.taken = entrypoints, list[Hint]()

    def free(self, places: int) -> Iterable[str]:
        """All of them."""
        return self.entrypoints

    def take(self, hint: Hint) -> bool:
        """Note it."""
        self.taken.append(hint)
        return True


class Desk:
    """A process that handles, advances and delivers, and what it wrote."""

    def __init__(self, store: Store, queue: str = "test") -> None:
        self.store, self.lanes = store, Lanes("handle", "advance", f"deliver.{queue}")
        self.hands = Hands([self.lanes])
        self.inbox = InboxRows(store, self.hands)
        self.outbox = OutboxRows(store, self.hands)

    async def answer(self, *keys: str, runs: Iterable[dict[str, Any]] = ()) -> UUID:
        """Handle a message with these replies; its id."""
        await self.inbox.accept(new_message(f"for {keys}"))
        leases = ConversationLeases(self.store, "handle", 15)
        held = await leases.claim(CONVERSATION)
        assert held is not None
        message = await self.inbox.next(CONVERSATION, held.attempt)
        assert message is not None
        effects = Effects(outbox=[outbound_row(key) for key in keys], runs=list(runs))
        assert await self.inbox.finish(Finished(message.id, CONVERSATION, held.attempt, "done", None, effects))
        while held is not None:
            held = await leases.let_go(held)
        return message.id

    async def row(self, key: str) -> tuple[str, int]:
        """State and attempt of an outbound."""
        row = await self.store.fetchrow("SELECT state, attempt FROM vtoc_engine.outbox WHERE key = $1", key)
        assert row is not None
        return row["state"], row["attempt"]


async def begun(store: Store, rows: OutboxRows) -> tuple[StoredOutbound, str]:
    """The first outbound, and whether its beginning was waited for on disk."""
    held = await ConversationLeases(store, "deliver", 0).claim(CONVERSATION)
    assert held is not None
    async with store.transaction() as connection:
        [row] = await rows._flush_nexts(connection, [(CONVERSATION, held.attempt)])
        waited = await connection.fetchval("SHOW synchronous_commit")
    assert row is not None
    return row, waited


async def test_what_is_taken_up_here_has_no_job(store: Store) -> None:
    desk = Desk(store)
    row = run_row("r", conversation=CONVERSATION)
    await desk.answer("k", runs=[row])
    assert await store.fetchval(QUEUED) == []
    assert [hint.entrypoint for hint in desk.lanes.taken] == ["handle", "deliver.test", "advance"]
    runs = RunRows(store, 15, desk.hands)
    run = await runs.claim(row["id"])
    assert run is not None
    end = Effects(outbox=[outbound_row("result")])
    assert await runs.move(Move(run.id, run.attempt, 0, "succeeded", None, None, None, None, end))
    assert await store.fetchval(QUEUED) == []
    assert desk.lanes.taken[3:] == [Hint("deliver.test", CONVERSATION)]


async def test_an_event_delivered_again_is_taken_up_once(store: Store) -> None:
    desk = Desk(store)
    assert await desk.inbox.accept(new_message("e1"))
    assert not await desk.inbox.accept(new_message("e1"))
    assert desk.lanes.taken == [Hint("handle", CONVERSATION)]


async def test_a_reply_that_another_process_delivers_is_hinted_at_and_due(store: Store) -> None:
    desk = Desk(store, queue="elsewhere")
    await desk.answer("k")
    assert await store.fetchval(QUEUED) == ["deliver.test"]
    assert await desk.row("k") == ("due", 0)


async def test_a_reply_taken_up_here_is_unknown_to_all_but_its_writer(store: Store) -> None:
    desk = Desk(store)
    await desk.answer("k")
    assert await desk.row("k") == ("unknown", 0)
    row, waited = await begun(store, desk.outbox)
    assert (row.key, row.was_unknown, waited) == ("k", False, "off")
    row, waited = await begun(store, desk.outbox)
    assert (row.was_unknown, waited) == (True, "on"), "it began, and nobody stored how it ended"


async def test_the_beginning_of_a_reply_that_another_wrote_is_on_disk_before_it_is_sent(store: Store) -> None:
    await Desk(store).answer("k")
    row, waited = await begun(store, OutboxRows(store))
    assert (row.was_unknown, waited) == (True, "on")


async def test_a_reply_that_another_began_is_unknown_to_its_writer_too(store: Store) -> None:
    desk = Desk(store)
    await desk.answer("k")
    await begun(store, OutboxRows(store))
    row, waited = await begun(store, desk.outbox)
    assert (row.was_unknown, waited) == (True, "on")


async def test_a_reply_whose_unflushed_beginning_a_crash_undid_is_unknown_still(store: Store) -> None:
    desk = Desk(store)
    await desk.answer("k")
    await begun(store, desk.outbox)
    await store.execute("UPDATE vtoc_engine.outbox SET attempt = 0, tries = 0")
    for rows in (desk.outbox, OutboxRows(store)):
        row, waited = await begun(store, rows)
        assert (row.was_unknown, waited) == (True, "on")
        await store.execute("UPDATE vtoc_engine.outbox SET attempt = 0, tries = 0")


@pytest.mark.parametrize("busy", ["held", "behind"])
async def test_a_reply_that_must_wait_for_others_is_due_and_its_beginning_is_flushed(store: Store, busy: str) -> None:
    desk = Desk(store)
    if busy == "held":
        await desk.inbox.accept(new_message("first"))
        assert await ConversationLeases(store, "deliver", 15).claim(CONVERSATION) is not None
        await store.execute("DELETE FROM vtoc_engine.inbox")
    else:
        await Desk(store, queue="elsewhere").answer("earlier")
    await desk.answer("k")
    assert await desk.row("k") == ("due", 0)
    await store.execute("DELETE FROM vtoc_engine.outbox WHERE key = 'earlier'")
    await store.execute("UPDATE vtoc_engine.conversations SET deliver_until = NULL")
    row, waited = await begun(store, desk.outbox)
    assert (row.key, row.was_unknown, waited) == ("k", False, "on")


@pytest.mark.parametrize("looks_up", [True, False])
@pytest.mark.parametrize("was_shown", [True, False])
async def test_a_writer_killed_about_its_first_send_is_succeeded_by_one_that_finds_out_or_marks(
    store: Store, looks_up: bool, was_shown: bool
) -> None:
    desk = Desk(store)
    await desk.answer("k")
    await store.execute("UPDATE vtoc_engine.outbox SET card = $1", {"title": "hello", "blocks": []})
    transport = ScriptedLookingTransport() if looks_up else ScriptedTransport()
    if was_shown and isinstance(transport, ScriptedLookingTransport):
        transport.shown["k"] = Receipt("ref of k", datetime(2026, 1, 1, tzinfo=UTC))
    await Post(store, transport).deliver()
    assert (await desk.row("k"))[0] == "sent"
    repeats = [outbound.may_be_repeat for outbound in transport.sent]
    if looks_up:
        assert repeats == ([] if was_shown else [False])
    else:
        assert repeats == [True]
