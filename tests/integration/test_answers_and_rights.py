"""What may be lost or let through around answers: whose they are, which step they end, and what a failure leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.centre_kit import Centre, open_centre
from vtoc_bots import Card, Context, Level, UsageError, command, hookimpl
from vtoc_bots.core.cards import Text
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.runs import Move
from vtoc_bots.core.store.urls import DatabaseUrls

QUESTION = "  - {id: q, wait: {message: 'How many?', for: 1h}}\n"
COUNTED = "  - {id: one, uses: centre.count, with: {what: '${{ steps.q.text }}'}}\n"
PLAYBOOKS = {
    "plain": "steps:\n  - {id: one, uses: centre.count, with: {what: salt}}\n",
    "gated": (
        "steps:\n  - {id: gate, approve: {level: lead}}\n"
        "  - {id: one, uses: centre.count, needs: [gate], with: {what: salt}}\n" + QUESTION
    ),
    "timed": "steps:\n  - {id: pause, wait: {for: 1h}}\n" + QUESTION,
    "asks": "level: lead\nsteps:\n" + QUESTION + COUNTED,
    "secret": "steps:\n" + QUESTION + COUNTED,
}
WAITING = "SELECT count(*) FROM vtoc_engine.runs WHERE state = 'waiting'"
STEPS = "SELECT jsonb_object_agg(step, state) AS steps FROM vtoc_engine.steps"


SCRIBBLE = """INSERT INTO {schema}.mission_logs (id, station_id, logged_at, author, entry, correlation_id)
    VALUES ($1, $2, now(), 'ada', 'scribbled', $1)"""


class Botching:
    """Commands that start a run and then fail."""

    @hookimpl
    def vtoc_commands(self) -> tuple[Any, ...]:
        """/botch."""

        @command("botch", level="observer")
        async def botch(ctx: Context, how: str) -> Card | None:
            """Start a run, then fail."""
            await ctx.desk.start(ctx, "plain", {}, dry_run=False)
            if how == "slowly":
                await asyncio.Event().wait()
            raise UsageError("no, not so") if how == "wrongly" else ZeroDivisionError

        @command("scribble", level="observer")
        async def scribble(ctx: Context, how: str) -> Card | None:
            """Write something at once, then fail."""
            async with ctx.services.session(ctx.station) as session:
                await session.execute(SCRIBBLE.format(schema=session.schema), ctx.message_id, ctx.station.id)
            if how == "slowly":
                await asyncio.Event().wait()
            raise ZeroDivisionError

        return (botch, scribble)


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Centre]:
    environ = {"VTOC_LEASE_SECONDS": "2"}
    plugins = {"botching": Botching()}
    async with open_centre(database_urls, tmp_path, PLAYBOOKS, environ, plugins=plugins) as opened:
        await opened.person("ada")
        await opened.person("bob")
        await opened.person("oli", Level.OPERATOR)
        yield opened


def words(card: Any) -> str:
    return str(card.model_dump_json())


@pytest.mark.parametrize("how", ["wrongly", "badly", "slowly"])
async def test_a_command_that_fails_has_started_nothing(centre: Centre, how: str) -> None:
    card = await centre.ask("ada", f"/botch {how}")
    assert card.title in ("Not understood", "Failed", "Too slow")
    assert await centre.row("SELECT count(*) AS n FROM vtoc_engine.runs") == {"n": 0}
    audited = await centre.row("SELECT count(*) AS n FROM vtoc_engine.audit WHERE subject = 'command:botch'")
    assert audited == {"n": 1}, "that it was allowed stays on record"


@pytest.mark.parametrize("how", ["badly", "slowly"])
async def test_what_a_command_wrote_by_itself_is_not_denied(centre: Centre, how: str) -> None:
    card = await centre.ask("ada", f"/scribble {how}")
    station = await centre.runtime.people.station("toc-s1")
    async with centre.runtime.store.session(station) as session:
        assert await session.fetchval("SELECT entry FROM ops.mission_logs") == "scribbled"
    assert "started nothing; what it had itself written until then stays" in words(card)


async def test_an_answer_is_no_approval(centre: Centre) -> None:
    await centre.say("ada", "/playbook gated")
    await centre.wait_for(WAITING, 1)
    await centre.ask("ada", "seven")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.steps WHERE step = 'q' AND state = 'done'", 1)
    assert (await centre.row(STEPS))["steps"] == {"gate": "waiting", "q": "done"}
    assert centre.plugin.calls == []


async def test_an_answer_does_not_end_a_pause(centre: Centre) -> None:
    await centre.say("ada", "/playbook timed")
    await centre.wait_for(WAITING, 1)
    await centre.ask("ada", "seven")
    assert (await centre.row(STEPS))["steps"] == {"pause": "waiting", "q": "done"}


async def test_a_run_takes_no_answer_of_who_may_not_run_it(centre: Centre) -> None:
    message_id = await centre.say("ada", "/playbook asks")
    await centre.wait_for(WAITING, 1)
    await centre.say("oli", "three")
    await centre.ask("bob", "four")
    await centre.answer(message_id)
    assert centre.plugin.calls == ["one:four"]


async def test_a_private_run_takes_the_answer_of_who_started_it_alone(centre: Centre) -> None:
    message_id = await centre.say("ada", "/playbook secret")
    await centre.wait_for(WAITING, 1)
    await centre.world.row("UPDATE vtoc_engine.runs SET private = true RETURNING 1 AS done")
    await centre.say("bob", "hello all")
    await centre.ask("ada", "four")
    await centre.answer(message_id)
    assert centre.plugin.calls == ["one:four"]


async def test_a_private_question_is_answered_in_the_direct_chat_where_it_is_put(centre: Centre) -> None:
    first, second = [await centre.say("ada", f"/playbook {name}") for name in ("secret", "asks")]
    await centre.wait_for(WAITING, 2)
    await centre.world.row("UPDATE vtoc_engine.runs SET private = true WHERE playbook = 'secret' RETURNING 1 AS done")
    await centre.ask("ada", "four", "ada")
    await centre.answer(first)
    await centre.say("ada", "five", "ada")
    await centre.ask("ada", "six")
    await centre.answer(second)
    assert centre.plugin.calls == ["one:four", "one:six"]


async def test_a_question_is_put_though_its_worker_died_as_it_was_asked(
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
    message_id = await centre.say("ada", "/playbook asks")
    await centre.wait_for(WAITING, 1)
    asked = "SELECT count(*) FROM vtoc_engine.outbox WHERE key LIKE '%:prompt:q' AND state = 'sent'"
    await centre.wait_for(asked, 1)
    await centre.ask("ada", "four")
    await centre.answer(message_id)
    assert len(died) == 1
    assert centre.plugin.calls == ["one:four"]


async def test_a_link_that_is_handled_again_is_a_link(centre: Centre) -> None:
    operators = centre.runtime.operators
    code, _ = await operators.invite("oli", "ada", 1)
    account, message_id = ("room", "", "phone", "phone"), new_id()
    assert await operators.redeem(code, *account, message_id) == "oli"
    assert await operators.redeem(code, *account, message_id) == "oli"
    assert await operators.redeem(code, *account, new_id()) is None
    assert await operators.redeem(code, "room", "", "mallory", "mallory", message_id) is None
    await centre.world.row("DELETE FROM vtoc.identities WHERE user_id = 'phone' RETURNING 1 AS done")
    assert await operators.redeem(code, *account, message_id) is None, "what an admin took away stays away"


async def test_strangers_learn_nothing_of_commands_by_giving_them_wrongly(centre: Centre) -> None:
    for text in ("/count 0", "/count 3 --unit ell", "/count", "/playbooks please", "/nothing"):
        assert "do not know you" in words(await centre.ask("mallory", text)), text


async def test_who_may_not_use_a_command_is_not_told_what_it_takes(centre: Centre) -> None:
    await centre.person("obi", Level.OBSERVER)
    card = await centre.ask("obi", "/approve")
    assert card.title == "Not allowed"
    assert card.blocks == (Text(text=card.blocks[0].text),)  # type: ignore[union-attr]  # and nothing else


async def test_what_is_told_of_a_private_run_is_for_the_asker_alone(centre: Centre) -> None:
    await centre.answer(await centre.say("ada", "/playbook plain"))
    runs = await centre.ask("ada", "/runs")
    short = next(block for block in runs.blocks if block.type == "table").rows[0][0]
    assert not (await centre.ask("ada", f"/run {short}")).private
    await centre.world.row("UPDATE vtoc_engine.runs SET private = true RETURNING 1 AS done")
    assert (await centre.ask("ada", f"/run {short}")).private
