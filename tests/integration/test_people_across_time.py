"""What people began goes on after hours and a killed process: results in their thread, dialogs, limits."""

from __future__ import annotations

from typing import Any

import pytest

from vtoc_bots import ActionContext, Card, Context, Level, action, command, hookimpl
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.testing import DISCORD, SLACK, TELEGRAM, World
from vtoc_bots.testing.plugin import OpensWorld

GUARDED = """
id: guarded
title: Guarded
approval: {quorum: 1, level: lead, exclude_requester: true, expires: 12h}
steps: [{id: one, uses: time.note}]
"""


class Plugin:
    """A command with two values, and an action that notes its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @hookimpl
    def vtoc_actions(self) -> list[Any]:
        @action("time.note")
        async def note(ctx: ActionContext) -> None:
            """Note a call."""
            self.calls.append(ctx.idempotency_key)

        return [note]

    @hookimpl
    def vtoc_commands(self) -> list[Any]:
        @command("aim", level="observer")
        async def aim(ctx: Context, target: str, speed: int) -> Card:
            """Aim at something."""
            return Card.of(f"{target} at {speed}")

        return [aim]


@pytest.fixture
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture
async def world(open_world: OpensWorld, plugin: Plugin) -> World:
    return await open_world(
        plugins={"mine": plugin}, playbooks={"guarded": GUARDED}, platforms=(TELEGRAM, SLACK, DISCORD)
    )


@pytest.mark.parametrize("platform", ["telegram", "slack", "discord"])
async def test_a_result_comes_back_in_the_askers_thread_after_hours_and_a_restart(
    world: World, plugin: Plugin, platform: str
) -> None:
    ada = await world.person("ada", "lead", on=platform)
    bob = await world.person("bob", "lead", on="slack")
    asked = await ada.says("/playbook guarded", thread="77")
    await world.becomes("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    await world.settled()
    await world.crash()
    await world.start()
    await world.advance(hours=7)
    short = (await bob.asks("/approvals")).card.blocks[0].rows[0][0]  # type: ignore[union-attr]  # a table
    await bob.asks(f"/approve {short}")
    await world.reply_to(asked)
    await world.settled()
    [result] = [shown for shown in ada.sees() if "Done" in shown.text]
    assert (result.room, result.thread) == ("hall", "77")
    assert len(plugin.calls) == 1
    [closed] = [shown for shown in ada.sees() if "Approval approved" in shown.text and shown.thread == "77"]
    assert "bob" in closed.text


async def test_invitations_join_three_accounts_to_one_operator_who_is_one_person_in_approvals_too(world: World) -> None:
    operators = Operators(world.store)
    await operators.add("ada", {"*": Level.LEAD})
    accounts = [world.stranger(f"ada on {platform}", platform) for platform in ("telegram", "slack", "discord")]
    for account in accounts:
        assert "do not know you" in (await account.asks("/whoami")).text
        code, _ = await operators.invite("ada", "the test", 1)
        assert "ada" in (await account.asks(f"/link {code}")).text
        assert "unknown, used or expired" in (await account.asks(f"/link {code}")).text
    for account in accounts:
        assert "ada" in (await account.asks("/whoami")).text
    assert await world.store.fetchval("SELECT count(DISTINCT operator_id) FROM vtoc.identities") == 1
    await accounts[0].says("/playbook guarded")
    await world.becomes("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    short = (await accounts[1].asks("/approvals")).card.blocks[0].rows[0][0]  # type: ignore[union-attr]  # a table
    await world.advance(minutes=1)  # the three together have given a minute's commands
    for account in accounts:
        assert "asked for" in (await account.asks(f"/approve {short}")).text
    assert await world.store.fetchval("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'") == 1


async def test_a_dialog_goes_on_after_a_restart_and_is_over_after_its_time(world: World) -> None:
    ada = await world.person("ada", on="telegram")
    assert "Target" in (await ada.asks("/aim")).text
    await world.crash_and_restart()
    await world.advance(seconds=5)
    assert "Speed" in (await ada.asks("A1")).text
    await world.crash_and_restart()
    await world.advance(minutes=20)
    late = await ada.says("7")
    await ada.asks("/whoami")
    assert late.message_id not in [outbound.message_id for outbound in ada.platform.outbounds]


async def test_the_limit_is_the_operators_on_whatever_platform(open_world: OpensWorld, plugin: Plugin) -> None:
    world = await open_world(
        plugins={"mine": plugin}, platforms=(TELEGRAM, SLACK), environ={"VTOC_COMMANDS_PER_MINUTE": "3"}
    )
    here = await world.person("ada", "admin", on="telegram")
    there = await world.person("ada", "admin", on="slack")
    for person in (here, there, here):
        assert "ada" in (await person.asks("/whoami")).text
    refused = await there.asks("/whoami")
    assert refused.title == "Slow down"
    assert "again in" in refused.text
    await world.advance(minutes=1)
    assert "ada" in (await there.asks("/whoami")).text
