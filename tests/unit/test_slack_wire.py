"""Slack's payloads as messages, signals and redacted texts: pure conversions of recorded-style payloads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import slack_payloads as payloads
from tests.slack_server import BOT_ID, BOT_USER, TEAM, FakeSlack
from vtoc_bots import ConfigError, Form, FormField, Message, MessageKind
from vtoc_bots.plugins.slack.forms import view_from_form
from vtoc_bots.plugins.slack.monitoring import Monitor
from vtoc_bots.plugins.slack.redaction import is_card_number, redacted
from vtoc_bots.plugins.slack.signals import BUILT_IN, detected, load_detectors
from vtoc_bots.plugins.slack.wire import (
    Me,
    message_from_action,
    message_from_command,
    message_from_event,
    message_from_shortcut,
    message_from_submission,
    plain_text,
    typed_text,
)

ME = Me(TEAM, BOT_USER, BOT_ID, "https://centre.slack.com/")
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HALL, ADA = "C0HALL0001", "U0ADA00001"


@pytest.fixture
def slack() -> FakeSlack:
    made = FakeSlack()
    made.now = NOW.timestamp
    made.channel(HALL, "hall", ADA)
    return made


def heard(slack: FakeSlack, event: dict[str, Any]) -> Message | None:
    return message_from_event(payloads.callback(slack, event), ME, NOW)


def test_a_mention_and_its_message_are_one_and_the_same(slack: FakeSlack) -> None:
    event = payloads.said(slack, ADA, f"<@{BOT_USER}> status", HALL)
    first, second = heard(slack, event), heard(slack, payloads.mention_of(event))
    assert first is not None
    assert first == second
    assert (first.text, first.mentions_us, first.kind) == ("status", True, MessageKind.TEXT)
    assert str(first.conversation) == f"slack:{TEAM}:{HALL}:{event['ts']}"
    assert (first.sender.user_id, first.sender.workspace) == (ADA, TEAM)
    assert first.sent_at == NOW + timedelta(microseconds=1)
    assert first.reply_context == {}


def test_a_mention_in_a_thread_stays_in_it(slack: FakeSlack) -> None:
    message = heard(slack, payloads.said(slack, ADA, f"<@{BOT_USER}> status", HALL, "1.000001"))
    assert message is not None
    assert message.conversation.thread == "1.000001"


def test_a_message_to_others_keeps_its_channel_and_is_not_for_us(slack: FakeSlack) -> None:
    message = heard(slack, payloads.said(slack, ADA, "lunch?", HALL))
    assert message is not None
    assert (message.mentions_us, message.conversation.thread) == (False, None)


def test_a_shared_file_comes_with_its_name_type_size_and_address(slack: FakeSlack) -> None:
    file = {
        "id": "F0S43P1CZ",
        "name": "billair.gif",
        "mimetype": "image/gif",
        "size": 144538,
        "url_private": "https://files.slack.com/files-pri/T1-F0S43P1CZ/billair.gif",
        "url_private_download": "https://files.slack.com/files-pri/T1-F0S43P1CZ/download/billair.gif",
    }
    message = heard(slack, payloads.said(slack, ADA, "look", HALL, subtype="file_share", files=[file]))
    assert message is not None
    [attachment] = message.attachments
    assert (attachment.name, attachment.content_type, attachment.size) == ("billair.gif", "image/gif", 144538)
    assert attachment.url == file["url_private_download"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message", "channel": HALL, "ts": "1.1", "text": "x", "user": BOT_USER},
        {"type": "message", "channel": HALL, "ts": "1.1", "text": "x", "user": ADA, "bot_id": "B0ANOTHER"},
        {"type": "message", "channel": HALL, "ts": "1.1", "text": "x", "subtype": "bot_message", "bot_id": "B1"},
        {"type": "message", "channel": HALL, "ts": "1.1", "text": "x", "user": ADA, "subtype": "channel_join"},
        {"type": "message", "channel": HALL, "ts": "1.1", "subtype": "message_deleted", "deleted_ts": "1.0"},
        {"type": "message", "channel": HALL, "ts": "1.1", "text": "x", "user": "USLACKBOT"},
        {"type": "app_home_opened", "user": ADA, "tab": "messages"},
        {"type": "reaction_added", "user": ADA, "item": {}},
        {"type": "team_join"},
        {},
    ],
)
def test_what_no_person_said_is_no_message(slack: FakeSlack, event: dict[str, Any]) -> None:
    assert heard(slack, event) is None


def test_an_edited_message_is_marked_and_named_by_its_edit(slack: FakeSlack) -> None:
    event = payloads.said(slack, ADA, f"<@{BOT_USER}> stat", HALL)
    message = heard(slack, payloads.edited(event, f"<@{BOT_USER}> status", "1790000001.000100"))
    assert message is not None
    assert (message.edited, message.text) == (True, "status")
    assert message.event_id == f"message:{HALL}:{event['ts']}:1790000001.000100"
    assert heard(slack, payloads.edited(event, event["text"], "1790000002.000100")) is None, "a link was unfurled"


def test_a_slash_command_names_its_command_and_where_to_answer(slack: FakeSlack) -> None:
    payload = payloads.slash(slack, ADA, "/vtoc", "track watch “A1” —radius 10nm &amp; more", HALL)
    message = message_from_command(payload, NOW)
    assert (message.command, message.text) == ("track", 'watch "A1" --radius 10nm & more')
    assert message.event_id == f"command:{payload['trigger_id']}"
    assert message.reply_context["response_url"] == payload["response_url"]
    assert message.reply_context["until"] == NOW.timestamp() + 29 * 60


@pytest.mark.parametrize(
    ("command", "text", "named", "rest"),
    [
        ("/vtoc", "", "help", ""),
        ("/vtoc", "  /status  ", "status", ""),
        ("/vtoc-status", "M-12", "vtoc-status", "M-12"),
        ("/vtoc-help", "playbook", "vtoc-help", "playbook"),
    ],
)
def test_the_slash_commands_have_the_names_of_commands(
    slack: FakeSlack, command: str, text: str, named: str, rest: str
) -> None:
    message = message_from_command(payloads.slash(slack, ADA, command, text, HALL), NOW)
    assert (message.command, message.text) == (named, rest)


def button(slack: FakeSlack, block_id: str, shown: dict[str, Any], action_id: str = "vtoc:1") -> dict[str, Any]:
    element = {"action_id": action_id, "type": "button", "text": {"type": "plain_text", "text": "Go"}}
    return payloads.pressed(slack, ADA, shown, HALL, element, block_id, "t" * 21)


def test_a_press_is_answered_in_the_thread_of_its_message(slack: FakeSlack) -> None:
    shown = {"ts": "2.1", "thread_ts": "1.1", "bot_id": BOT_ID, "user": BOT_USER}
    message = message_from_action(button(slack, "vtoc1|", shown), NOW)
    assert message is not None
    assert (message.token, message.conversation.thread, message.message_ref) == ("t" * 21, "1.1", "2.1")
    assert message.reply_context["pressed"] is True


def test_a_press_of_an_ephemeral_message_finds_its_thread_in_the_blocks_id(slack: FakeSlack) -> None:
    message = message_from_action(button(slack, "vtoc2|1.1", {"ts": "2.1", "user": ADA}), NOW)
    assert message is not None
    assert message.conversation.thread == "1.1"


def test_a_press_of_a_button_that_is_not_ours_is_nothing(slack: FakeSlack) -> None:
    assert message_from_action(button(slack, "b", {"ts": "2.1", "user": ADA}, "another"), NOW) is None


def test_a_modal_brings_back_what_it_was_opened_for(slack: FakeSlack) -> None:
    asked = message_from_command(payloads.slash(slack, ADA, "/vtoc", "playbook", HALL), NOW)
    choices = (("a", "Alpha"), ("b", "Beta"))
    form = Form(
        "f" * 32, "/playbook", (FormField("id", "Playbook", choices=choices), FormField("why", "Why", long=True))
    )
    view = {**view_from_form(form, asked), "id": "V1"}
    message = message_from_submission(payloads.submitted(slack, ADA, view, {"id": "b", "why": ""}), NOW)
    assert message is not None
    assert (message.token, message.arguments) == ("f" * 32, {"id": "b"})
    assert message.conversation == asked.conversation
    assert message.reply_context == asked.reply_context
    assert message.event_id == "form:V1"
    assert message_from_submission({"view": {"callback_id": "another"}}, NOW) is None


def test_a_shortcut_is_a_command_in_direct_messages(slack: FakeSlack) -> None:
    message = message_from_shortcut(payloads.shortcut(slack, ADA, "vtoc_playbook"), "D1", NOW)
    assert message is not None
    assert (message.command, message.conversation.channel) == ("playbook", "D1")
    unknown = message_from_shortcut(payloads.shortcut(slack, ADA, "vtoc_status"), None, NOW)
    assert unknown is not None
    assert unknown.conversation.channel == ADA
    assert message_from_shortcut(payloads.shortcut(slack, ADA, "another"), None, NOW) is None


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<@U1> and <@U2|bob>", "@U1 and @bob"),
        ("<#C1|general> <#C2>", "#general #C2"),
        ("<!here> <!subteam^S1|@crew> <!date^1^{date}|today>", "@here @crew today"),
        ("<https://a.example/x>", "https://a.example/x"),
        ("<http://a.example|a.example>", "a.example"),
        ("<https://a.example|our page>", "our page (https://a.example)"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_what_slack_writes_is_read_as_a_person_reads_it(raw: str, shown: str) -> None:
    assert plain_text(raw) == shown


def test_a_mention_of_us_is_no_part_of_the_command() -> None:
    assert typed_text(f"<@{BOT_USER}> status", ME) == "status"
    assert typed_text(f"<@{BOT_USER}|vtoc>  /status", ME) == "/status"


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    typed_text(text, ME)
    redacted(text, ("card", "key", "email", "phone"))
    detected(text, load_detectors(None))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("pay with 4111-1111-1111-1111 today", "pay with [redacted card] today"),
        ("378282246310005", "[redacted card]"),
        ("4111 1111 1111 1112 is no card", "4111 1111 1111 1112 is no card"),
        ("0000 0000 0000 0000", "0000 0000 0000 0000"),
        ("MMSI 211234560, 1790000000.123456", "MMSI 211234560, 1790000000.123456"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted key]"),
        ("password: hunter2! ok", "password: [redacted key] ok"),
        ("token=abc123", "token=[redacted key]"),
        ("the password is lost", "the password is lost"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nend", "[redacted key]\nend"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4", "[redacted key]"),
        ("mail a.b@c.example", "mail a.b@c.example"),
    ],
)
def test_cards_and_keys_are_redacted_and_nothing_like_them(text: str, left: str) -> None:
    assert redacted(text)[0] == left


def test_addresses_and_numbers_of_people_are_redacted_where_it_is_set() -> None:
    text = "a.b@c.example or +41 44 668 18 00, 047.3769"
    assert redacted(text, ("email", "phone"))[0] == "[redacted email] or [redacted phone], 047.3769"


@given(st.integers(10**12, 10**18))
def test_one_wrong_digit_makes_no_card(number: int) -> None:
    valid = next(f"{number}{digit}" for digit in range(10) if is_card_number(f"{number}{digit}") or digit == 9)
    if is_card_number(valid):
        assert not is_card_number(valid[:-1] + str((int(valid[-1]) + 1) % 10))


def signals(text: str) -> dict[str, list[str]]:
    return {found["signal"]: found["values"] for found in detected(text, load_detectors(None))}


def test_the_detectors_find_what_they_are_named_for() -> None:
    found = signals("PAN PAN, squawking 7700 at 32TMT 12345 67890, 47.37N 8.54E, LX1234 SWR12AB on 7.030 MHz, urgent")
    assert found["distress"] == ["PAN PAN"]
    assert found["squawk"] == ["7700"]
    assert found["grid"] == ["32TMT 12345 67890"]
    assert found["coordinates"] == ["47.37N 8.54E"]
    assert "SWR12AB" in found["callsign"]
    assert found["frequency"] == ["7.030 MHz"]
    assert found["warning"] == ["urgent"]
    assert signals("nothing to see here, at 12.5 percent") == {}


def test_detectors_of_ones_own_replace_the_others(tmp_path: Path) -> None:
    path = tmp_path / "detectors.yml"
    path.write_text("detectors:\n  - {signal: pigeon, severity: high, pattern: 'pigeon (\\w+)'}\n")
    assert detected("Pigeon Bert, pigeon bert", load_detectors(path)) == [
        {"signal": "pigeon", "severity": "high", "values": ["Bert", "bert"]}
    ]


WRONG = ("5", "[", "\n  - {signal: a, pattern: '('}", "\n  - {signal: A b, pattern: x}")


@pytest.mark.parametrize("text", [f"detectors: {each}" for each in WRONG])
def test_wrong_detectors_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "detectors.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"detectors\.yml"):
        load_detectors(path)
    with pytest.raises(ConfigError, match="can't be read"):
        load_detectors(tmp_path / "none.yml")
    assert BUILT_IN.is_file()


def test_a_named_channel_is_monitored_once_its_id_is_known(slack: FakeSlack) -> None:
    monitor = Monitor(("#Hall",), ("card", "key"), load_detectors(None))
    payload = payloads.callback(slack, payloads.said(slack, ADA, "mayday", HALL))
    assert monitor.message_from_event(payload, ME) is None
    monitor.know("hall", HALL)
    seen = monitor.message_from_event(payload, ME)
    assert seen is not None
    assert (seen.kind, seen.command) == (MessageKind.EVENT, "slack event")
    document = json.loads(seen.arguments["document"])
    assert document["detected_signals"] == [{"signal": "distress", "severity": "high", "values": ["mayday"]}]
