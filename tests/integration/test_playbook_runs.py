"""Runs in a whole runtime: cut off from the database, cancelled amid parallel steps, hinted at by the dead, stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.centre_kit import Centre, open_centre
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.queue import Hint
from vtoc_bots.core.store.retry import DatabaseUnavailable
from vtoc_bots.core.store.runs import Move
from vtoc_bots.core.store.urls import DatabaseUrls

PLAYBOOKS = {
    "plain": "steps:\n  - {id: one, uses: centre.count, with: {what: salt}}\n",
    "three": (
        "steps:\n  - {id: one, uses: centre.count}\n  - {id: two, uses: centre.count, needs: [one]}\n"
        "  - {id: three, uses: centre.count, needs: [two]}\n"
    ),
    "parallel": (
        "steps:\n  - {id: held, uses: centre.wait}\n  - {id: also, uses: centre.wait}\n"
        "  - {id: swift, uses: centre.count, with: {what: salt}}\n"
        "  - {id: after, uses: centre.count, needs: [held], with: {what: pepper}}\n"
    ),
}


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Centre]:
    async with open_centre(database_urls, tmp_path, PLAYBOOKS, {"VTOC_LEASE_SECONDS": "2"}) as opened:
        await opened.person("ada")
        yield opened


async def test_a_run_taken_up_while_the_database_is_away_does_not_fail(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = centre.runtime.people
    whole, lost = people.operator, []

    async def cut_off(operator_id: object) -> object:
        if len(lost) < 2:
            lost.append(operator_id)
            raise DatabaseUnavailable("database: the connection failed")
        return await whole(operator_id)  # type: ignore[arg-type]  # passed on as it came

    message_id = await centre.say("ada", "/playbook plain")
    monkeypatch.setattr(people, "operator", cut_off)
    card = await centre.answer(message_id, 30)
    assert "Done" in card.model_dump_json()
    assert len(lost) == 2
    assert centre.plugin.calls == ["one:salt"]


async def test_a_run_cancelled_amid_parallel_steps_stops_them_all_and_begins_no_other(centre: Centre) -> None:
    message_id = await centre.say("ada", "/playbook parallel")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.steps WHERE step = 'swift' AND state = 'done'", 1)
    card = await centre.ask("ada", "/runs", "desk")
    short = next(block for block in card.blocks if block.type == "table").rows[0][0]
    await centre.ask("ada", f"/cancel {short}", "desk")
    assert "cancelled by ada" in (await centre.answer(message_id)).model_dump_json().lower()
    centre.plugin.gate.set()
    await centre.ask("ada", "/whoami", "desk")
    assert sorted(centre.plugin.calls) == ["swift:salt", "waiting", "waiting"]
    assert await centre.row("SELECT state, holder, lease_until FROM vtoc_engine.runs") == {
        "state": "cancelled",
        "holder": None,
        "lease_until": None,
    }


async def test_a_worker_that_dies_between_the_last_step_and_the_end_leaves_that_step_alone_to_be_repeated(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = centre.runtime.runner._rows
    whole, died = rows.move, []

    async def die_once(move: Move) -> bool:
        if not died:
            died.append(move)
            raise asyncio.CancelledError
        return await whole(move)

    monkeypatch.setattr(rows, "move", die_once)
    card = await centre.answer(await centre.say("ada", "/playbook three"), 30)
    assert "Done" in card.model_dump_json()
    assert len(died) == 1
    assert centre.plugin.calls == ["one:", "two:", "three:", "three:"]
    assert len([o for o in centre.transport.sends if o.kind == "result"]) == 1


async def test_a_run_cancelled_as_its_last_step_ends_is_cancelled_and_keeps_the_step(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, store = centre.runtime.runner._rows, centre.runtime.store
    whole, moves = rows.move, []

    async def cancel_first(move: Move) -> bool:
        if not moves:
            await store.execute("UPDATE vtoc_engine.runs SET cancel_by = 'bob', wake_seq = wake_seq + 1")
        moves.append(move.state)
        return await whole(move)

    monkeypatch.setattr(rows, "move", cancel_first)
    card = await centre.answer(await centre.say("ada", "/playbook three"))
    assert "cancelled by bob" in card.model_dump_json().lower()
    assert moves == ["succeeded", "cancelled"]
    steps = "SELECT array_agg(step || ' ' || state ORDER BY index) FROM vtoc_engine.steps"
    assert await store.fetchval(steps) == ["one done", "two done", "three done"]
    assert centre.plugin.calls == ["one:", "two:", "three:"]


async def test_what_a_step_did_is_kept_though_the_end_can_not_be_written(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = centre.runtime.runner._rows
    whole, failed = rows.move, []

    async def fail_once(move: Move) -> bool:
        if not failed:
            failed.append(move)
            raise ValueError("no such card")
        return await whole(move)

    monkeypatch.setattr(rows, "move", fail_once)
    card = await centre.answer(await centre.say("ada", "/playbook three"), 30)
    assert "Done" in card.model_dump_json()
    assert centre.plugin.calls == ["one:", "two:", "three:"]


async def test_what_its_writer_died_before_taking_up_is_found_by_the_sweep(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = centre.runtime.inbox_rows._hands
    whole, dropped = hands.take, []

    def drop_first(hints: Iterable[Hint]) -> None:
        for hint in hints:
            if hint.entrypoint in dropped:
                whole([hint])
            else:
                dropped.append(hint.entrypoint)

    monkeypatch.setattr(hands, "take", drop_first)
    assert "Done" in (await centre.answer(await centre.say("ada", "/playbook three"))).model_dump_json()
    assert dropped == ["handle", "advance", "deliver.room"]
    assert centre.plugin.calls == ["one:", "two:", "three:"]
    assert len([o for o in centre.transport.sends if o.kind == "result"]) == 1


async def test_a_run_whose_hint_a_dead_worker_took_along_is_resumed_with_its_lease(centre: Centre) -> None:
    """The sweep hints once at a row: the dead one's job must not hold the place of the next for long."""
    store = centre.runtime.store
    run_id = new_id()
    playbook = centre.runtime.library.get("plain")
    await store.execute(
        "INSERT INTO vtoc_engine.pgqueuer (priority, entrypoint, payload, dedupe_key, status, queue_manager_id)"
        " VALUES (10, 'advance', convert_to($1, 'UTF8'), 'sweep:advance:' || $1, 'picked', gen_random_uuid())",
        str(run_id),
    )
    await store.execute(
        "INSERT INTO vtoc_engine.runs (id, key, playbook, title, station, source, digest, inputs, attempt, holder,"
        " lease_until, correlation_id) VALUES ($1, 'test', $2, 'Plain', 'toc-s1', $3, $4, '{}', 1, gen_random_uuid(),"
        " now() + interval '2 seconds', $1)",
        run_id,
        playbook.id,
        playbook.source,
        playbook.digest,
    )
    # PgQueuer's own half minute would be too late.
    await centre.wait_for("SELECT state FROM vtoc_engine.runs", "succeeded", 20)


async def test_a_runtime_stopped_in_the_middle_of_work_leaves_no_task_and_no_traceback(
    database_urls: DatabaseUrls, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    before = asyncio.all_tasks()
    with caplog.at_level(logging.WARNING):
        async with open_centre(database_urls, tmp_path, PLAYBOOKS) as centre:
            await centre.person("ada")
            for room in range(5):
                await centre.say("ada", "/playbook parallel", f"room{room}")
            await centre.wait_for("SELECT count(*) FROM vtoc_engine.steps WHERE state = 'done'", 5)
    await asyncio.sleep(0)
    left = {repr(task.get_coro()) for task in asyncio.all_tasks() - before}
    assert left == set()
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err + caplog.text
