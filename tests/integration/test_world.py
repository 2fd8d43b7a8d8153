"""The World: people, platforms, stepped time, crashes and several processes, over the real engine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest

from vtoc_bots import ActionContext, Card, Context, action, command, hookimpl
from vtoc_bots.testing import DISCORD, PLAIN, SLACK, TELEGRAM, Fault, OpensWorld, World

GUARDED = """
id: guarded
title: Guarded
private: false
approval: {quorum: 1, level: lead, exclude_requester: true, expires: 4h}
steps: [{id: one, uses: world.wait}]
"""


class Plugin:
    """An action that waits for the test, and commands about time and targets."""

    def __init__(self) -> None:
        self.gate, self.calls = asyncio.Event(), []  # type: ignore[var-annotated]  # of strings
        self.gate.set()

    @hookimpl
    def vtoc_actions(self) -> list[Any]:
        @action("world.wait")
        async def wait(ctx: ActionContext) -> None:
            """Wait until the test lets it go on."""
            self.calls.append(ctx.idempotency_key)
            await self.gate.wait()

        return [wait]

    @hookimpl
    def vtoc_commands(self) -> list[Any]:
        @command("hour", level="observer")
        async def hour(ctx: Context) -> Card:
            """Tell the time."""
            return Card.of("Hour", ctx.clock.now().isoformat())

        @command("aim", level="observer")
        async def aim(ctx: Context, target: Annotated[str, "What at"], speed: int) -> Card:
            """Aim at something."""
            return Card.of(f"{target} at {speed}")

        return [hour, aim]


@pytest.fixture
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture
async def world(open_world: OpensWorld, plugin: Plugin) -> World:
    return await open_world(
        plugins={"mine": plugin}, playbooks={"guarded": GUARDED}, platforms=(TELEGRAM, SLACK, DISCORD, PLAIN)
    )


async def test_people_ask_and_see_the_answer_on_every_platform(world: World) -> None:
    for name in world.platforms:
        ada = await world.person("ada", "admin", on=name)
        reply = await ada.asks("/whoami")
        assert "ada" in reply.text
        assert any("admin" in shown.text for shown in ada.sees())
    assert await world.row("SELECT count(*) AS n FROM vtoc.operators") == {"n": 1}


async def test_a_stranger_is_told_how_to_be_let_in_and_nobody_else_sees_it(world: World) -> None:
    eve, bob = world.stranger("eve"), await world.person("bob")
    assert "/link" in (await eve.asks("/whoami")).text
    assert eve.sees()
    assert not bob.sees()


async def test_an_approval_is_pressed_on_another_platform(world: World, plugin: Plugin) -> None:
    ada, bob = await world.person("ada", "admin"), await world.person("bob", "admin", on="discord")
    asked = await ada.says("/playbook guarded")
    await world.becomes("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    short = (await bob.asks("/approvals")).card.blocks[0].rows[0][0]  # type: ignore[union-attr]  # a table
    await bob.asks(f"/approve {short}")
    assert "Done" in (await world.reply_to(asked)).text
    assert len(plugin.calls) == 1


async def test_a_form_is_filled_and_its_errors_are_shown(world: World) -> None:
    ada = await world.person("ada", on="slack")
    await ada.gives("aim", target="A1")
    assert ada.form is not None
    await ada.fills(speed="fast")
    assert "speed" in ada.form.errors
    assert (await world.reply_to(await ada.fills(speed="7"))).title == "A1 at 7"
    assert ada.form is None


async def test_a_dialog_asks_for_one_value_after_the_other(world: World) -> None:
    ada = await world.person("ada", on="telegram")
    assert "Target" in (await ada.asks("/aim")).text
    assert "Speed" in (await ada.asks("A1")).text
    assert (await ada.asks("7")).title == "A1 at 7"


async def test_stepped_time_is_the_same_for_handlers_and_for_the_database(world: World) -> None:
    ada = await world.person("ada")
    await world.advance(days=2, hours=3)
    told = datetime.fromisoformat((await ada.asks("/hour")).text.splitlines()[1])
    assert abs((told - datetime.now(UTC)).total_seconds() - 51 * 3600) < 60
    stored = await world.store.fetchval("SELECT max(done_at) FROM vtoc_engine.inbox")
    assert abs((stored - world.clock.now()).total_seconds()) < 60


async def test_an_approval_runs_out_when_its_time_is_stepped_over(world: World) -> None:
    ada = await world.person("ada", "admin")
    asked = await ada.says("/playbook guarded")
    await world.becomes("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    await world.advance(hours=3, minutes=59)
    await world.settled()
    assert await world.row("SELECT state FROM vtoc_engine.approvals") == {"state": "open"}
    await world.advance(minutes=1)
    assert "time" in (await world.reply_to(asked)).text


async def test_a_schedule_fires_at_its_hour(world: World) -> None:
    await world.store.execute(
        "INSERT INTO vtoc_engine.schedules (name, playbook, station, cron, next_at)"
        " VALUES ('daily', 'guarded', 'toc-s1', '0 6 * * *', now() + interval '3 hours')"
    )
    await world.advance(hours=2)
    assert await world.row("SELECT count(*) AS n FROM vtoc_engine.runs") == {"n": 0}
    await world.advance(hours=1)
    await world.becomes("SELECT count(*) FROM vtoc_engine.runs", 1)


async def test_a_limit_is_over_after_its_minute(open_world: OpensWorld, plugin: Plugin) -> None:
    world = await open_world(plugins={"mine": plugin}, environ={"VTOC_COMMANDS_PER_MINUTE": "2"})
    ada = await world.person("ada")
    titles = [(await ada.asks("/hour")).title for _ in range(3)]
    assert titles == ["Hour", "Hour", "Slow down"]
    await world.advance(minutes=1)
    assert (await ada.asks("/hour")).title == "Hour"


async def test_a_send_that_is_limited_is_made_after_the_time_that_was_asked_for(world: World) -> None:
    ada = await world.person("ada")
    ada.platform.fails(Fault.LIMITED, after_seconds=3600)
    said = await ada.says("/hour")
    await world.becomes("SELECT count(*) FROM vtoc_engine.outbox WHERE tries > 0", 1)
    await world.advance(minutes=59)
    await world.settled()
    assert not ada.sees()
    await world.advance(minutes=1)
    await world.reply_to(said)


async def test_a_send_that_is_limited_waits_for_no_sweep(open_world: OpensWorld) -> None:
    world = await open_world(environ={"VTOC_SWEEP_SECONDS": "3600"})
    ada = await world.person("ada")
    ada.platform.fails(Fault.LIMITED, after_seconds=0.2)
    assert (await ada.asks("/whoami")).title == "Who you are"


@pytest.mark.parametrize("name", ["telegram", "slack"])
async def test_a_send_of_unknown_fate_is_looked_up_or_marked(world: World, name: str) -> None:
    ada = await world.person("ada", on=name)
    ada.platform.fails(Fault.DROPPED)
    await ada.asks("/hour")
    await world.becomes("SELECT count(*) FROM vtoc_engine.outbox WHERE state = 'sent'", 1, 30)
    assert [shown.text.startswith("(may be a repeat)") for shown in ada.sees()] == (
        [False] if name == "slack" else [False, True]
    )


async def test_what_a_killed_process_was_doing_is_done_by_the_next_one(world: World, plugin: Plugin) -> None:
    ada, bob = await world.person("ada", "admin"), await world.person("bob", "admin")
    plugin.gate.clear()
    asked = await ada.says("/playbook guarded")
    await world.becomes("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    short = (await bob.asks("/approvals", "room")).card.blocks[0].rows[0][0]  # type: ignore[union-attr]  # a table
    await bob.asks(f"/approve {short}", "room")

    async def at_work() -> bool:
        return len(plugin.calls) == 1

    await world.until(at_work, "the step to begin")
    await world.crash()
    held = await world.row("SELECT lease_until > now() AS held FROM vtoc_engine.runs")
    assert held == {"held": True}, "a killed process let go of its run"
    assert (await ada.says("/hour")).problem, "nobody is there to accept it"
    plugin.gate.set()
    await world.start()
    await world.advance(seconds=3)
    assert "Done" in (await world.reply_to(asked)).text
    assert plugin.calls[0] == plugin.calls[1], "the step in flight is begun again under the same key"


async def test_leases_of_the_living_go_along_when_time_is_stepped(world: World, plugin: Plugin) -> None:
    ada, bob = await world.person("ada", "admin"), await world.person("bob", "admin")
    plugin.gate.clear()
    asked = await ada.says("/playbook guarded")
    await world.becomes("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    short = (await bob.asks("/approvals", "room")).card.blocks[0].rows[0][0]  # type: ignore[union-attr]  # a table
    await bob.asks(f"/approve {short}", "room")
    await world.becomes("SELECT count(*) FROM vtoc_engine.runs WHERE lease_until IS NOT NULL", 1)
    await world.advance(hours=1)
    plugin.gate.set()
    assert "Done" in (await world.reply_to(asked)).text
    assert len(plugin.calls) == 1


async def test_two_processes_share_the_work_and_one_may_die(world: World) -> None:
    ada = await world.person("ada")
    second = await world.start()
    replies = await asyncio.gather(*(ada.asks("/hour", f"room{n}") for n in range(8)))
    assert {reply.title for reply in replies} == {"Hour"}
    await world.crash(second)
    assert (await ada.asks("/hour")).title == "Hour"
    assert len(ada.sees()) == 9


async def test_a_repeated_event_is_answered_once(world: World) -> None:
    ada = await world.person("ada")
    said = await ada.says("/hour")
    again = await ada.repeats(said)
    assert (again.duplicate, again.message_id) == (True, None)
    await world.reply_to(said)
    await world.settled()
    assert len(ada.sees()) == 1
