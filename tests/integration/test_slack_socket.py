"""Socket Mode: acknowledged after the commit, opened again when it is lost, renewed without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from tests import slack_payloads as payloads
from tests.passing_clock import PassingClock
from tests.platform_kit import until
from tests.slack_kit import ADA, HALL, SlackCentre, open_slack
from tests.slack_server import FakeSlack
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.plugins.slack import sockets
from vtoc_bots.plugins.slack.others import Others
from vtoc_bots.testing import OpenedContext


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


async def test_a_socket_that_is_open_but_deaf_is_given_up(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "HEARTBEAT_SECONDS", 0.2)
    slack = FakeSlack()
    slack.answers_pings = False
    async with open_slack(database_urls, tmp_path, mode="socket", slack=slack) as centre:
        slack.answers_pings = True
        await connections(centre, 2)
        await centre.mention(ADA, "whoami")
        await centre.shown("Who you are")


async def health(centre: SlackCentre) -> str:
    """What health says of Slack now."""
    centre.runtime.health._looked_at = float("-inf")
    return {probe.name: probe for probe in await centre.runtime.health.check()}["transport.slack"].detail


async def renewed(centre: SlackCentre, count: int) -> None:
    """Let Slack renew the connection, so that it counts anew, and wait until the newest is the one of this number."""
    await centre.slack.sockets[-1].send_json({"type": "disconnect", "reason": "refresh_requested"})

    async def counted() -> bool:
        return f"connection {count}," in await health(centre)

    await until(counted, 10, lambda: "not renewed")


async def test_connections_of_our_own_processes_are_nobody_else_s(centre: SlackCentre) -> None:
    async def told() -> bool:
        return "another program has 1 of the app's connections" in await health(centre)

    centre.slack.strangers = 2
    await centre.runtime.parts.leases.take("transport.slack.socket.of-another-process", uuid4(), 60)
    await renewed(centre, 2)
    await until(told, 10, lambda: "health says nothing")
    await centre.runtime.parts.leases.take("transport.slack.socket.of-one-more", uuid4(), 60)
    await renewed(centre, 3)

    async def well() -> bool:
        return not await told()

    await until(well, 10, lambda: "health says it still")


async def test_another_program_with_our_tokens_is_told_of_where_it_is_there_twice_in_a_row(tmp_path: Path) -> None:
    opened = OpenedContext("slack", PassingClock(), tmp_path)
    others = Others(opened.context)
    for connections, ours, notices in ((2, 1, 0), (1, 1, 0), (3, 2, 0), (2, 1, 1), (2, 1, 1)):
        await others.counted(connections, ours)
        assert (len(opened.notices), bool(others.remark)) == (notices, connections > ours)
    [card] = opened.notices.values()
    assert card.title == "Two programs use one Slack app"


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
