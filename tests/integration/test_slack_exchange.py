"""Slack with the whole runtime: asking and answering by HTTP and by Socket Mode, in the best manner of the place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import slack_payloads as payloads
from tests.slack_kit import ADA, BOB, EVE, HALL, SlackCentre, open_slack, words
from vtoc_bots.core.store.urls import DatabaseUrls

PLAYBOOKS = {
    "guarded": (
        "inputs: {what: {type: string, default: salt}}\n"
        "approval: {quorum: 1, level: lead, exclude_requester: true, expires: 4h}\n"
        'steps:\n  - {id: one, uses: centre.count, with: {what: "${{ inputs.what }}"}}\n'
    ),
    "needs": (
        "inputs: {what: {type: string, required: true}, many: {type: int, required: true}}\n"
        'steps:\n  - {id: one, uses: centre.count, with: {what: "${{ inputs.what }}"}}\n'
    ),
    "waiting": "steps:\n  - {id: one, uses: centre.wait}\n",
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


async def test_a_slash_command_is_answered_where_it_was_given(centre: SlackCentre) -> None:
    await centre.command(ADA, "status")
    shown = await centre.shown("Status")
    assert "TOC-S1" in words(shown)
    assert "thread_ts" not in shown
    assert "Status" in shown["text"]


async def test_a_mention_is_answered_once_and_in_a_thread_of_it(centre: SlackCentre) -> None:
    event = await centre.mention(ADA, "whoami")
    shown = await centre.shown("Who you are")
    assert shown["thread_ts"] == event["ts"]
    await centre.settled()
    assert len(centre.slack.shown(HALL)) == 1


async def test_a_direct_message_is_a_command_without_a_slash(centre: SlackCentre) -> None:
    direct = centre.slack.direct(ADA)
    await centre.say(ADA, "whoami", direct.id)
    assert ADA in words(await centre.shown("Who you are", direct.id))


async def test_a_stranger_is_told_how_to_be_let_in_and_others_do_not_see_it(centre: SlackCentre) -> None:
    await centre.command(EVE, "status")
    whispered = await centre.whispered("I do not know you yet")
    assert whispered["user"] == EVE
    assert centre.slack.shown(HALL) == []


async def test_what_people_say_to_each_other_is_not_answered(centre: SlackCentre) -> None:
    await centre.say(ADA, "lunch?")
    await centre.say(BOB, "status is what I would say")
    await centre.command(ADA, "whoami")
    await centre.shown("Who you are")
    await centre.settled()
    assert len(centre.slack.shown(HALL)) == 1, [words(each) for each in centre.slack.shown(HALL)]


async def test_a_file_that_can_not_be_had_is_told_in_the_answer(centre: SlackCentre) -> None:
    there = f"{centre.slack.address}/shelf/plan"
    files = [
        {"id": "F1", "name": "plan.pdf", "size": 5, "url_private": there},
        {"id": "F2", "name": "film.mp4", "size": 99 * 2**20, "url_private": there},
        {"id": "F3", "name": "link", "size": 5, "mode": "external", "url_private": "https://drive.example/x"},
    ]
    direct = centre.slack.direct(ADA)
    for words_said in ("whoami", ""):
        event = payloads.said(centre.slack, ADA, words_said, direct.id, subtype="file_share", files=files)
        assert (await centre.deliver(payloads.callback(centre.slack, event)))[0] == 200
    answer = words(await centre.shown("Who you are", direct.id))
    alone = words(await centre.shown("Not every file was taken", direct.id))
    for text in (answer, alone):
        assert "plan.pdf" not in text
        assert "`film.mp4` was not taken: with 99.0 MiB it is larger than 10 MiB." in text
        assert "`link` was not taken: it lies on another server." in text


async def test_the_same_event_again_is_handled_once(centre: SlackCentre) -> None:
    payload = payloads.callback(centre.slack, payloads.said(centre.slack, ADA, "<@U0BOTUSER> whoami", HALL))
    for _ in range(3):
        assert (await centre.deliver(payload))[0] == 200
    await centre.shown("Who you are")
    await centre.settled()
    assert len(centre.slack.shown(HALL)) == 1
