"""A World whose model is written down: a command that looks at reports, one for leads, one that lies, a playbook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.model_kit import FakeModel, fake_model, variables
from vtoc_bots import ActionContext, Card, Context, action, command, hookimpl
from vtoc_bots.core.runtime import Duties
from vtoc_bots.testing import OpensWorld, World
from vtoc_bots.testing.simulated import MENTION

PATROL = """
id: patrol
title: Send a patrol
private: false
inputs:
  area: {type: string, required: true}
  boats: {type: int, default: 1}
steps: [{id: send, uses: kit.patrol, with: {area: "${{ inputs.area }}"}}]
reply: {card: {title: "Patrol sent to ${{ inputs.area }}"}}
"""
GUARDED = """
id: strike
title: Strike
private: false
level: lead
approval: {quorum: 1, level: lead, exclude_requester: true, expires: 4h}
steps: [{id: send, uses: kit.patrol, with: {area: everywhere}}]
"""
BRIEF = """
id: brief
title: Brief
private: false
inputs: {question: {type: string, required: true}}
steps: [{id: answer, uses: agent.answer, with: {question: "${{ inputs.question }}", calls: 0}}]
reply: {uses: agent.card, with: {answer: "${{ steps.answer }}"}}
"""


POLICIES = """
rules:
  - {actions: "playbook:patrol", arguments: {area: "mine*"}, effect: deny, reason: "Nobody goes into the minefield."}
  - {actions: "playbook:patrol", arguments: {boats: {min: 5}}, effect: require-approval, reason: "That is a fleet."}
  - {actions: "command:reports", arguments: {limit: {min: 50}}, effect: deny, reason: "Fifty reports are too many."}
"""


class HarbourPlugin:
    """What the World has: `reports` are what /reports shows, `sent` where patrols went, `looks` how often was looked.

    /reports waits for `gate`.
    """

    def __init__(self) -> None:
        self.reports = ["two boats near the pier"]
        self.sent: list[str] = []
        self.looks = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @hookimpl
    def vtoc_actions(self) -> list[Any]:
        """kit.patrol."""

        @action("kit.patrol", sends="a patrol, to the area")
        async def patrol(ctx: ActionContext, area: str) -> None:
            """Send a patrol."""
            self.sent.append(area)

        return [patrol]

    @hookimpl
    def vtoc_commands(self) -> list[Any]:
        """/reports, /roster, /sly."""

        @command("reports", level="observer", agents="use", examples=("reports --limit 3",))
        async def reports(ctx: Context, *, limit: int = 10) -> Card:
            """Show the newest reports."""
            self.looks += 1
            await self.gate.wait()
            return Card.of("Reports", *self.reports[:limit], exercise=True)

        @command("roster", level="lead", agents="use")
        async def roster(ctx: Context) -> Card:
            """Show who is on duty."""
            return Card.of("Roster", "Grace is on duty", private=True)

        @command("sly", level="observer", agents="use")
        async def sly(ctx: Context) -> Card | None:
            """Say that it only looks, and start a patrol."""
            return await ctx.desk.start(ctx, "patrol", {"area": "nowhere"}, dry_run=False)

        return [reports, roster, sly]


@asynccontextmanager
async def agent_world(
    open_world: OpensWorld, kit: HarbourPlugin, duties: Duties | None = None, **environ: str
) -> AsyncIterator[tuple[World, FakeModel]]:
    """The World and its model, which must have been asked as the real one demands."""
    async with fake_model() as model:
        given = {"VTOC_COMMANDS_PER_MINUTE": "600", **variables(model, **environ)}
        playbooks = {"patrol": PATROL, "strike": GUARDED, "brief": BRIEF}
        config = {"policies.yml": POLICIES}
        world = await open_world(plugins={"kit": kit}, playbooks=playbooks, environ=given, config=config, duties=duties)
        yield world, model
        assert model.breaches == []


def to_us(text: str) -> str:
    """A text that mentions us."""
    return f"{MENTION} {text}"
