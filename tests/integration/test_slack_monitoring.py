"""Monitored channels: what is seen becomes telemetry without what must not be stored, and severe signals alert once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest_asyncio

from tests import slack_payloads as payloads
from tests.slack_kit import ADA, BOB, EVE, HALL, LAB, SlackCentre, open_slack, words
from tests.slack_server import BOT_ID, BOT_USER, TEAM
from vtoc_bots.core.access import Level
from vtoc_bots.core.audit import verify
from vtoc_bots.core.store.urls import DatabaseUrls

STATIONS = f"""
stations:
  toc-s1: {{callsign: TOC-S1, role: ops, notices: ["slack:{TEAM}:{LAB}"]}}
"""
CARD = "4111 1111 1111 1111"


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[SlackCentre]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "stations.yml").write_text(STATIONS)
    environ = {"MONITORED_CHANNELS": f"{HALL}, #hal", "VTOC_SLACK_REDACT": "email"}
    async with open_slack(database_urls, tmp_path, environ=environ) as opened:
        yield opened


async def events(centre: SlackCentre) -> list[dict[str, Any]]:
    """The telemetry that was stored, oldest first."""
    await centre.settled()
    station = await centre.runtime.people.station("toc-s1")
    async with centre.runtime.services.session(station) as session:
        rows = await session.fetch(
            "SELECT payload, entity_id, category FROM ops.telemetry_events WHERE entity_namespace = 'slack'"
            " ORDER BY event_time"
        )
    return [{**row["payload"], "entity": row["entity_id"], "category": row["category"]} for row in rows]


async def alerts(centre: SlackCentre) -> list[dict[str, Any]]:
    """What the station's notices say of monitored channels."""
    await centre.settled()
    return [message for message in centre.slack.shown(LAB) if "monitored channel" in words(message)]


async def test_messages_replies_and_reactions_become_telemetry_with_their_signals(centre: SlackCentre) -> None:
    first = await centre.say(EVE, "Contact N123AB at 47.3769, 8.5417 on 121.5 MHz")
    await centre.say(BOB, "copied", thread=first["ts"])
    liked = payloads.reaction(BOB, "eyes", HALL, first["ts"], centre.slack.ts(), EVE)
    await centre.deliver(payloads.callback(centre.slack, liked))
    posted, reply, reaction = await events(centre)
    assert (posted["type"], posted["channel"], posted["workspace"], posted["actor"]) == (
        "message.posted",
        HALL,
        TEAM,
        EVE,
    )
    assert posted["category"] == "message.posted"
    signals = {signal["signal"]: signal["values"] for signal in posted["detected_signals"]}
    assert signals["callsign"] == ["N123AB"]
    assert signals["coordinates"] == ["47.3769, 8.5417"]
    assert signals["frequency"] == ["121.5 MHz"]
    assert posted["permalink"] == f"https://centre.slack.com/archives/{HALL}/p{first['ts'].replace('.', '')}"
    assert (reply["type"], reply["thread"], reply["actor"]) == ("message.thread_reply", first["ts"], BOB)
    assert reply["permalink"].endswith(f"?thread_ts={first['ts']}&cid={HALL}")
    assert (reaction["type"], reaction["reaction"], reaction["to"]) == ("message.reaction", "eyes", first["ts"])


async def test_other_channels_and_our_own_words_are_not_stored(centre: SlackCentre) -> None:
    await centre.say(EVE, "mayday", LAB)
    ours = payloads.said(centre.slack, BOT_USER, "mayday", HALL, bot_id=BOT_ID)
    await centre.deliver(payloads.callback(centre.slack, ours))
    assert await events(centre) == []
    assert await alerts(centre) == []


async def test_another_bots_message_is_telemetry_but_no_command(centre: SlackCentre) -> None:
    other = payloads.said(
        centre.slack, "U0GRAFANA1", "<@U0BOTUSER> whoami", HALL, bot_id="B0GRAFANA", subtype="bot_message"
    )
    await centre.deliver(payloads.callback(centre.slack, other))
    assert [event["actor"] for event in await events(centre)] == ["U0GRAFANA1"]
    assert centre.slack.shown(HALL) == []


async def test_what_a_data_loss_rule_flags_is_stored_nowhere(centre: SlackCentre) -> None:
    secret = "xoxb-" + "1234567890-abcdef"
    await centre.say(EVE, f"card {CARD}, token {secret}, <mailto:eve@example.org|eve@example.org>")
    [event] = await events(centre)
    assert event["text"] == "card [redacted card], token [redacted key], [redacted email]"
    assert event["redacted"] == ["card", "key", "email"]
    bodies = await centre.runtime.store.fetch("SELECT body FROM vtoc_engine.inbox")
    kept = b"".join(orjson.dumps(row["body"]) for row in bodies).decode()
    assert len(bodies) == 2
    assert not any(part in kept for part in (CARD, secret, "eve@example.org"))


async def test_what_a_command_in_a_monitored_channel_holds_is_redacted_too(centre: SlackCentre) -> None:
    await centre.mention(ADA, f"log paid with {CARD}")
    await centre.settled()
    bodies = await centre.runtime.store.fetch("SELECT body FROM vtoc_engine.inbox")
    kept = b"".join(orjson.dumps(row["body"]) for row in bodies).decode()
    assert "log paid with [redacted card]" in kept
    assert CARD not in kept


async def test_a_severe_message_alerts_the_station_with_its_address_and_first_words(centre: SlackCentre) -> None:
    event = await centre.say(EVE, "MAYDAY *engine* fire " + "x" * 900)
    [alert] = await alerts(centre)
    said = words(alert)
    assert "distress" in said
    assert "high" in said
    assert "MAYDAY *engine* fire" in said
    assert f"https://centre.slack.com/archives/{HALL}/p{event['ts'].replace('.', '')}" in said
    assert len(said) < 1200


async def test_the_same_signal_alerts_once_in_ten_minutes_whatever_says_it(centre: SlackCentre) -> None:
    await centre.say(EVE, "mayday")
    await centre.say(BOB, "Mayday! Mayday!")
    assert len(await alerts(centre)) == 1
    await centre.say(BOB, "pan pan")
    assert len(await alerts(centre)) == 2, "another value is another signal"
    station = await centre.runtime.people.station("toc-s1")
    async with centre.runtime.services.session(station) as session:
        assert await session.execute(
            "UPDATE ops.telemetry_latest SET event_time = event_time - $1::interval"
            " WHERE entity_namespace = 'slack.signal'",
            timedelta(minutes=10),
        )
    await centre.say(EVE, "mayday")
    assert len(await alerts(centre)) == 3
    assert len(await events(centre)) == 4


async def test_an_event_that_slack_sends_again_is_one_record_and_one_alert(centre: SlackCentre) -> None:
    payload = payloads.callback(centre.slack, payloads.said(centre.slack, EVE, "mayday", HALL))
    for _ in range(3):
        await centre.deliver(payload)
    assert len(await events(centre)) == 1
    assert len(await alerts(centre)) == 1


async def test_an_alert_that_was_cut_off_is_sent_when_its_message_is_handled_again(centre: SlackCentre) -> None:
    await centre.say(EVE, "mayday")
    assert len(await alerts(centre)) == 1
    store = centre.runtime.store
    await store.execute("DELETE FROM vtoc_engine.outbox")
    await store.execute("UPDATE vtoc_engine.inbox SET state = 'new', due_at = now() WHERE body ->> 'kind' = 'event'")
    await centre.found(lambda: centre.slack.shown(LAB)[1:], "monitored channel")
    assert len(await alerts(centre)) == 2
    assert len(await events(centre)) == 1


async def test_a_persons_records_are_deleted_on_an_admins_request_which_is_in_the_audit_log(
    centre: SlackCentre,
) -> None:
    await centre.operator("U0LEAD0001", Level.LEAD)
    await centre.say(EVE, "mayday from the quay")
    await centre.say(EVE, "two barges")
    await centre.say(BOB, "three buoys")
    await centre.mention(BOB, "status")
    assert len(await alerts(centre)) == 1
    await centre.command("U0LEAD0001", f"slack forget {EVE}", LAB)
    centre.slack.channels[LAB].members.add("U0LEAD0001")
    assert len(await events(centre)) == 4
    await centre.command(ADA, f"slack forget {EVE}", LAB)
    assert "2 records" in words(await centre.whispered("Deleted"))
    assert [event["actor"] for event in await events(centre)] == [BOB, BOB]
    kept = await centre.runtime.store.fetch(
        "SELECT body::text AS text FROM vtoc_engine.inbox UNION ALL SELECT card::text FROM vtoc_engine.outbox"
    )
    all_of_it = "\n".join(row["text"] for row in kept)
    assert "quay" not in all_of_it
    assert "barges" not in all_of_it
    assert "buoys" in all_of_it
    async with centre.runtime.services.session(await centre.runtime.people.station("toc-s1")) as session:
        assert await session.fetch("SELECT * FROM ops.alerts") == []
    logged = await centre.runtime.store.fetch(
        "SELECT detail FROM vtoc_engine.audit WHERE subject = 'command:slack forget' ORDER BY at"
    )
    assert [row["detail"]["verdict"] for row in logged] == ["deny", "allow"]
    assert logged[1]["detail"]["arguments"] == {"user": EVE}
    assert (await verify(centre.runtime.store)).ok


async def test_nobody_can_call_what_is_for_events(centre: SlackCentre) -> None:
    await centre.command(ADA, 'slack event {"type":"message.posted"}')
    await centre.settled()
    assert await events(centre) == []


async def test_a_busy_channel_is_seen_whole_though_its_people_are_no_operators(centre: SlackCentre) -> None:
    for number in range(40):
        await centre.say(EVE, f"number {number}")
    assert len(await events(centre)) == 40
