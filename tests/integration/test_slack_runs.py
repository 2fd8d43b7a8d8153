"""Playbooks from Slack: dry run, progress, approvals, pictures in the thread, answers that a run waits for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.slack_kit import ADA, BOB, EVE, HALL, LAB, PICTURE, SlackCentre, open_slack, words
from vtoc_bots.core.store.urls import DatabaseUrls

PLAYBOOKS = {
    "guarded": (
        "approval: {quorum: 1, level: lead, exclude_requester: true, expires: 4h}\n"
        "steps:\n  - {id: one, uses: centre.count, with: {what: salt}}\n"
    ),
    "waiting": "steps:\n  - {id: one, uses: centre.wait}\n",
    "drawn": "steps:\n  - {id: one, uses: centre.count}\nreply: {uses: kit.card}\n",
    "asks": (
        "steps:\n  - {id: q, wait: {message: 'How many?', for: 1h}}\n"
        "  - {id: one, uses: centre.count, with: {what: '${{ steps.q.text }}'}}\n"
    ),
}


@pytest_asyncio.fixture(params=["http", "socket"])
async def centre(
    request: pytest.FixtureRequest, database_urls: DatabaseUrls, tmp_path: Path
) -> AsyncIterator[SlackCentre]:
    async with open_slack(database_urls, tmp_path, PLAYBOOKS, mode=request.param) as opened:
        yield opened


async def test_an_approval_is_decided_by_a_button_and_the_card_says_by_whom(centre: SlackCentre) -> None:
    event = await centre.mention(ADA, "playbook guarded")
    card = await centre.shown("Approve")
    assert card["thread_ts"] == event["ts"]
    await centre.press(ADA, "Approve", card)
    await centre.whispered("you asked for this yourself")
    await centre.press(EVE, "Approve", card)
    await centre.whispered("I do not know you yet")
    assert centre.centre.plugin.calls == []
    await centre.press(BOB, "Approve", card)
    await centre.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)
    await centre.settled()
    assert centre.centre.plugin.calls == ["one:salt"]
    closed = next(message for message in centre.slack.shown(HALL) if message["ts"] == card["ts"])
    assert BOB in words(closed)
    assert "Deny" not in words(closed)


async def test_a_dry_run_shows_the_plan_and_does_nothing(centre: SlackCentre) -> None:
    await centre.command(ADA, "playbook guarded —dry-run")  # clients make dashes of two hyphens
    await centre.whispered("planned")
    assert centre.centre.plugin.calls == []


async def test_a_result_with_a_picture_comes_back_in_the_askers_thread(centre: SlackCentre) -> None:
    event = await centre.mention(ADA, "playbook drawn", LAB)
    result = await centre.shown("The picture", LAB)
    assert result["thread_ts"] == event["ts"]
    picture = await centre.shown("[map.png]", LAB)
    assert picture["thread_ts"] == event["ts"]
    [file] = centre.slack.files.values()
    assert file["data"] == PICTURE
    assert file["alt_txt"] == "Two tracks east of the station"


async def test_progress_is_one_message_that_is_edited(centre: SlackCentre) -> None:
    await centre.mention(ADA, "playbook waiting")
    await centre.shown("running")
    centre.centre.plugin.gate.set()
    await centre.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)
    await centre.settled()
    assert len(centre.slack.shown(HALL)) <= 2


async def test_the_next_words_in_the_thread_answer_a_run_that_waits_for_them(centre: SlackCentre) -> None:
    event = await centre.mention(ADA, "playbook asks")
    await centre.shown("How many?")
    await centre.say(ADA, "5 &amp; a half", thread=event["ts"])
    await centre.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)
    assert centre.centre.plugin.calls == ["one:5 & a half"]
