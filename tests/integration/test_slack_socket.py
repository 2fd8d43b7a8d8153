"""Socket Mode: acknowledged after the commit, opened again when it is lost, renewed without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests import slack_payloads as payloads
from tests.platform_kit import until
from tests.slack_kit import ADA, HALL, SlackCentre, open_slack
from vtoc_bots.core.store.urls import DatabaseUrls


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[SlackCentre]:
    async with open_slack(database_urls, tmp_path, mode="socket") as opened:
        yield opened


async def connections(centre: SlackCentre, count: int) -> None:
    """Wait until so many addresses of sockets were asked for, and the newest is open."""

    async def there() -> bool:
        return len(centre.slack.of("apps.connections.open")) >= count and bool(centre.slack.sockets)

    await until(there, 20, lambda: f"{len(centre.slack.of('apps.connections.open'))} connections")


async def test_an_envelope_is_acknowledged_only_after_its_message_is_stored(centre: SlackCentre) -> None:
    store = centre.runtime.store
    async with store.transaction() as held:
        await held.execute("LOCK TABLE vtoc_engine.inbox IN ACCESS EXCLUSIVE MODE")
        payload = payloads.callback(centre.slack, payloads.said(centre.slack, ADA, "<@U0BOTUSER> whoami", HALL))
        acknowledged = await centre.send_envelope(payload)
        done, _ = await asyncio.wait({acknowledged}, timeout=0.3)
        assert not done
    await asyncio.wait_for(acknowledged, 10)
    assert await store.fetchval("SELECT count(*) FROM vtoc_engine.inbox") == 1
    await centre.shown("Who you are")


async def test_a_socket_that_is_lost_is_opened_again_with_a_new_address(centre: SlackCentre) -> None:
    await centre.slack.sockets[-1].close()
    await connections(centre, 2)
    await centre.mention(ADA, "whoami")
    await centre.shown("Who you are")


async def test_a_socket_that_slack_renews_is_read_to_its_end_beside_its_successor(centre: SlackCentre) -> None:
    old = centre.slack.sockets[-1]
    await old.send_json({"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "wss-111"}})
    await connections(centre, 2)

    async def both() -> bool:
        return len(centre.slack.sockets) == 2

    await until(both, 10, lambda: f"{centre.slack.sockets}")
    centre.slack.sockets.remove(old)
    centre.slack.sockets.append(old)  # what is still sent by the old one is acknowledged by it
    await centre.mention(ADA, "whoami")
    await centre.shown("Who you are")


async def test_an_envelope_that_slack_sends_again_is_handled_once(centre: SlackCentre) -> None:
    payload = payloads.callback(centre.slack, payloads.said(centre.slack, ADA, "<@U0BOTUSER> whoami", HALL))
    await centre.envelope(payload)
    await centre.envelope(payload, retry_attempt=1, retry_reason="timeout")
    await centre.shown("Who you are")
    await centre.settled()
    assert len(centre.slack.shown(HALL)) == 1


async def test_a_wrong_app_token_is_one_clear_line_and_the_rest_runs_on(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    from tests.slack_server import FakeSlack

    slack = FakeSlack()
    slack.app_token = "xapp-another"

    async def refused(opened: SlackCentre) -> bool:
        probes = {probe.name: probe for probe in await opened.runtime.health.check()}
        return "SLACK_APP_LEVEL_TOKEN was refused" in probes["transport.slack"].detail

    environ = {"SLACK_SIGNING_SECRET": "secret", "VTOC_API_HOST": "127.0.0.1"}
    async with open_slack(database_urls, tmp_path, environ=environ, mode="bare-socket", slack=slack) as opened:
        await until(lambda: refused(opened), 20, lambda: "no refusal")
        await opened.centre.person("ada")
        assert (await opened.centre.ask("ada", "/whoami")).title == "Who you are"
