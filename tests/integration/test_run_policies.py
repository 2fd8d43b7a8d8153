"""Rules of policies.yml about other people's runs: they may depend on the run's playbook and inputs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.api_kit import Api, open_api
from vtoc_bots import Level
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing.words import words_of

POLICIES = """
rules:
  - {actions: "approve:*", arguments: {what: salt}, operators: bob, effect: deny, reason: Bob approves no salt.}
  - {actions: "cancel:*", arguments: {playbook: gated, what: salt}, effect: deny, reason: Salt goes on.}
"""
PLAYBOOKS = {
    "gated": (
        "inputs: {what: {type: string, default: salt}}\n"
        "approval: {level: operator, exclude_requester: false}\n"
        "steps:\n  - {id: one, uses: centre.count, with: {what: '${{ inputs.what }}'}}\n"
    ),
}


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "policies.yml").write_text(POLICIES)
    async with open_api(database_urls, tmp_path, PLAYBOOKS) as opened:
        for name in ("ada", "bob", "cyd"):
            await opened.centre.person(name, Level.LEAD)
        yield opened


async def waiting(api: Api, what: str) -> tuple[str, str]:
    """A run of Ada's that waits for approval: the approval's and its own short id."""
    await api.centre.say("ada", f"/playbook gated what={what}", f"room-{what}")
    open_now = "SELECT count(*) FROM vtoc_engine.approvals a JOIN vtoc_engine.runs r ON r.id = a.run_id"
    await api.centre.wait_for(f"{open_now} WHERE a.state = 'open' AND r.inputs ->> 'what' = '{what}'", 1)
    table = next(block for block in (await api.centre.ask("ada", "/approvals")).blocks if block.type == "table")
    runs = next(block for block in (await api.centre.ask("ada", "/runs")).blocks if block.type == "table")
    approval = next(row[0] for row in table.rows if f"what={what}" in row[2])
    return approval, runs.rows[0][0]


async def test_a_rule_on_an_input_decides_who_may_approve_that_run(api: Api) -> None:
    salt, _ = await waiting(api, "salt")
    sugar, _ = await waiting(api, "sugar")
    assert "Bob approves no salt" in words_of(await api.centre.ask("bob", f"/approve {salt}"))
    assert "approved" in (await api.centre.ask("bob", f"/approve {sugar}")).title
    assert "approved" in (await api.centre.ask("cyd", f"/approve {salt}")).title


async def test_a_rule_on_playbook_and_input_keeps_a_run_from_being_cancelled_in_chat_and_by_the_api(api: Api) -> None:
    _, salt = await waiting(api, "salt")
    assert "Salt goes on" in words_of(await api.centre.ask("bob", f"/cancel {salt}"))
    row = await api.centre.row("SELECT id FROM vtoc_engine.runs WHERE inputs ->> 'what' = 'salt'")
    refused = await api.post(f"/runs/{row['id']}/cancel", {}, token="lead")
    assert (refused.status, "Salt goes on" in refused.body["detail"]) == (403, True)
    _, sugar = await waiting(api, "sugar")
    assert "Cancelling" in (await api.centre.ask("bob", f"/cancel {sugar}")).title
    assert "Cancelling" in (await api.centre.ask("ada", f"/cancel {salt}")).title, "one's own is asked of nobody"
