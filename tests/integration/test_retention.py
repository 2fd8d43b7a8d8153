"""Retention: what is old goes, what an unfinished run may still need stays."""

from __future__ import annotations

from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.blobs import BlobRows
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.sweeps import Sweeps

_RUN = """INSERT INTO vtoc_engine.runs (id, key, playbook, title, station, source, digest, inputs, state,
    correlation_id, created_at, finished_at) VALUES ($1, $2, 'p', 'P', 'toc-s1', 's', 'd', '{}', $3, $1,
    now() - interval '40 days', CASE WHEN $3 <> 'waiting' THEN now() - interval '40 days' END)"""
_CARD = """INSERT INTO vtoc_engine.outbox (id, key, transport, conversation, kind, card, state, receipt, expires_at,
    correlation_id, created_at) VALUES ($1, $2, 'test', 'test:bot:room', 'approval', '{}', 'sent', '{}', now(), $1,
    now() - make_interval(days => $3))"""


async def kept(store: Store) -> tuple[int, int]:
    """How many blobs and outbounds are left."""
    await Sweeps(store).forget(30)
    row = await store.fetchrow(
        "SELECT (SELECT count(*) FROM vtoc_engine.blobs) AS blobs, (SELECT count(*) FROM vtoc_engine.outbox) AS cards"
    )
    assert row is not None
    return row["blobs"], row["cards"]


async def test_what_an_unfinished_run_may_need_is_kept_until_it_has_ended(store: Store) -> None:
    for days in (35, 50, 80):
        name = await BlobRows(store).put(f"{days} days".encode(), "text/plain")
        await store.execute(
            "UPDATE vtoc_engine.blobs SET created_at = now() - make_interval(days => $2) WHERE sha256 = $1", name, days
        )
        await store.execute(_CARD, new_id(), f"card:{days}", days)
    run = new_id()
    await store.execute(_RUN, run, "run:open", "waiting")
    assert await kept(store) == (2, 2)  # what was too old already as the run began is gone
    await store.execute("UPDATE vtoc_engine.runs SET state = 'succeeded', finished_at = now() WHERE id = $1", run)
    assert await kept(store) == (0, 0)


async def test_a_run_that_ended_long_ago_keeps_nothing(store: Store) -> None:
    await store.execute(_RUN, new_id(), "run:over", "failed")
    await store.execute(_CARD, new_id(), "card", 35)
    assert await kept(store) == (0, 0)
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.runs") == 0


async def test_what_a_message_that_waits_to_be_handled_may_need_is_kept(store: Store) -> None:
    await store.execute(
        "INSERT INTO vtoc_engine.conversations (id, transport, queue) VALUES ('test:bot:room', 'test', 'test')"
    )
    await store.execute(
        """INSERT INTO vtoc_engine.inbox (id, transport, account, event_id, conversation, body, correlation_id,
        received_at) VALUES ($1, 'test', 'bot', 'e1', 'test:bot:room', '{}', $1, now() - interval '40 days')""",
        new_id(),
    )
    await store.execute(_CARD, new_id(), "card", 45)
    assert await kept(store) == (0, 1)
