"""The HTTP endpoint: signatures, verification, retries, floods, and the 200 that comes only after the commit."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from tests import slack_payloads as payloads
from tests.slack_kit import ADA, EVE, HALL, SlackCentre, open_slack
from tests.slack_server import TEAM
from vtoc_bots.core.store.urls import DatabaseUrls

JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[SlackCentre]:
    async with open_slack(database_urls, tmp_path) as opened:
        yield opened


async def stored(centre: SlackCentre) -> int:
    return int(await centre.runtime.store.fetchval("SELECT count(*) FROM vtoc_engine.inbox"))


def mention(centre: SlackCentre, text: str = "whoami", user: str = ADA) -> dict[str, Any]:
    return payloads.callback(centre.slack, payloads.said(centre.slack, user, f"<@U0BOTUSER> {text}", HALL))


async def test_what_slack_did_not_sign_is_refused_and_not_stored(centre: SlackCentre) -> None:
    body, now = json.dumps(mention(centre)), centre.slack.now()
    good = payloads.signed(body, now)
    forged = [
        {},
        {"X-Slack-Signature": good["X-Slack-Signature"]},
        {**good, "X-Slack-Signature": "v0=" + "0" * 64},
        {**good, "X-Slack-Signature": "v0=ü"},
        {**good, "X-Slack-Request-Timestamp": str(int(now) + 1)},
        {**good, "X-Slack-Request-Timestamp": "yesterday"},
        {**good, "X-Slack-Request-Timestamp": "9" * 40},
        payloads.signed(body, now, "another-secret"),
        payloads.signed(f"{body} ", now),
    ]
    for headers in forged:
        assert (await centre.post(body, {**headers, **JSON}))[0] == 401, headers
    assert await stored(centre) == 0
    assert (await centre.post(body, {**good, **JSON}))[0] == 200


async def test_a_signature_is_good_for_five_minutes(centre: SlackCentre) -> None:
    body, now = json.dumps(mention(centre)), centre.slack.now()
    for age in (-310, 310):
        assert (await centre.post(body, {**payloads.signed(body, now + age), **JSON}))[0] == 401
    assert (await centre.post(body, {**payloads.signed(body, now - 290), **JSON}))[0] == 200


async def test_slacks_verification_of_the_address_is_answered(centre: SlackCentre) -> None:
    challenge = {"type": "url_verification", "token": "t", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7t"}
    assert await centre.deliver(challenge) == (200, challenge["challenge"])


async def test_what_can_not_be_read_is_refused(centre: SlackCentre) -> None:
    for body in ("{", "[1, 2]", '{"type": "event_callback", "event": 5}', "payload=%7B", "\x00"):
        headers = {**payloads.signed(body, centre.slack.now()), **JSON}
        assert (await centre.post(body, headers))[0] == 400, body
    assert await stored(centre) == 0


async def test_signed_bodies_that_are_huge_or_in_another_charset_are_refused(centre: SlackCentre) -> None:
    good = json.dumps(mention(centre, "whoämi"), ensure_ascii=False)
    url, now = f"{centre.runtime.address}/slack/events", centre.slack.now()
    answered = []
    async with aiohttp.ClientSession() as session:
        for body in (good.encode("utf-16"), good.encode("latin-1"), b"payload=\xff", b"x" * (17 * 2**20)):
            headers = {**payloads.signed(body, now), **JSON}
            async with session.post(url, data=io.BytesIO(body), headers=headers) as answer:
                answered.append(answer.status)
    assert all(400 <= status < 500 for status in answered), answered
    assert answered[-1] == 413
    assert await stored(centre) == 0


async def test_what_is_not_for_us_is_acknowledged_and_not_stored(centre: SlackCentre) -> None:
    ours = payloads.said(centre.slack, "U0BOTUSER", "hello", HALL, bot_id="B0BOT0001", subtype="bot_message")
    joined = {"type": "message", "subtype": "channel_join", "user": ADA, "channel": HALL, "ts": "1.1"}
    unfurled = payloads.edited(payloads.said(centre.slack, ADA, "same", HALL), "same", centre.slack.ts())
    others = [ours, joined, unfurled, {"type": "team_join", "user": {}}, {"type": "app_uninstalled"}]
    for event in others:
        assert (await centre.deliver(payloads.callback(centre.slack, event)))[0] == 200
    assert await centre.deliver({"type": "view_closed", "view": {}}) == (200, "")
    assert await stored(centre) == 0


async def test_a_retry_with_slacks_headers_is_the_same_message(centre: SlackCentre) -> None:
    payload = mention(centre)
    assert (await centre.deliver(payload))[0] == 200
    headers = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
    assert (await centre.deliver(payload, **headers))[0] == 200
    await centre.shown("Who you are")
    await centre.settled()
    assert len(centre.slack.shown(HALL)) == 1
    assert await stored(centre) == 1


async def test_what_can_not_be_stored_is_answered_503_and_taken_when_slack_sends_it_again(centre: SlackCentre) -> None:
    payload = mention(centre)
    await rename(centre, "inbox", "inbox_away")
    assert (await centre.deliver(payload))[0] in (500, 503)
    await rename(centre, "inbox_away", "inbox")
    assert (await centre.deliver(payload, **{"X-Slack-Retry-Num": "1"}))[0] == 200
    await centre.shown("Who you are")


async def rename(centre: SlackCentre, table: str, name: str) -> None:
    """Move a table of the engine away, as its owner."""
    from vtoc_bots.core.store.connection import connect

    owner = await connect(centre.runtime.store.urls.admin)
    try:
        await owner.execute(f"ALTER TABLE vtoc_engine.{table} RENAME TO {name}")
    finally:
        await owner.close()


async def test_an_edited_message_is_a_new_one_and_its_retry_is_not(centre: SlackCentre) -> None:
    event = await centre.mention(ADA, "whoa")
    await centre.shown("whoami")
    change = payloads.callback(centre.slack, payloads.edited(event, "<@U0BOTUSER> whoami", centre.slack.ts()))
    for _ in range(2):
        assert (await centre.deliver(change))[0] == 200
    shown = await centre.shown("Who you are")
    assert shown["thread_ts"] == event["ts"]
    assert await stored(centre) == 2


async def test_a_strangers_flood_is_dropped_before_it_is_stored_and_operators_are_heard(centre: SlackCentre) -> None:
    await asyncio.gather(*(centre.deliver(mention(centre, "status", EVE)) for _ in range(100)))
    assert 0 < await stored(centre) <= 30
    await centre.mention(ADA, "whoami")
    await centre.shown("Who you are")


async def test_a_hundred_at_once_are_each_answered_once(centre: SlackCentre) -> None:
    texts = [mention(centre) for _ in range(100)]
    answers = await asyncio.gather(*(centre.deliver(each) for each in texts + texts))
    assert {status for status, _ in answers} == {200}
    await centre.settled()
    assert len(centre.slack.shown(HALL)) == 100
    accounts = await centre.runtime.store.fetch("SELECT DISTINCT account FROM vtoc_engine.inbox")
    assert [row["account"] for row in accounts] == [TEAM]
