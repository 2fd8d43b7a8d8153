"""A channel's events become messages; what is none is refused, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots import MessageKind
from vtoc_bots.plugins.chatkit.wire import LONGEST_NAME, Malformed, command_text, message_from_event

GOOD = {"id": "e1", "type": "message.created", "channel": "TOC_S1", "text": "hello", "user": {"id": 7, "name": "Ada"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def message(**members: Any) -> Any:
    return message_from_event({**GOOD, **members}, "org", lambda: "bare")


def test_an_event_becomes_a_message_of_its_station_and_sender() -> None:
    found = message(thread_id="T1", station="TOC-S9", created_at="2026-01-02T03:04:05Z")
    assert (found.event_id, found.text, found.kind) == ("event:e1", "hello", MessageKind.TEXT)
    assert (found.conversation.channel, found.conversation.thread) == ("toc-s1", "T1")
    assert (found.sender.user_id, found.sender.name, found.sender.workspace) == ("7", "Ada", "org")
    assert found.station_names == ("toc-s1", "TOC-S9")
    assert found.overheard == "chatkit said"
    assert found.arguments == {"channel": "toc-s1", "thread": "T1"}
    assert found.sent_at is not None
    assert found.sent_at.tzinfo is not None


def test_a_time_without_a_zone_says_nothing_certain() -> None:
    assert message(created_at="2026-01-02T03:04:05").sent_at is None
    assert message(created_at="soon").sent_at is None


def test_an_edited_message_says_so() -> None:
    assert message(type="message.updated").edited


def test_the_bare_form_is_known_by_its_body() -> None:
    found = message_from_event({"channel": "TOC-S1", "text": "x"}, "org", lambda: "digest:7")
    assert found is not None
    assert (found.event_id, found.sender.user_id) == ("bare:digest:7", "webhook")


@pytest.mark.parametrize(
    "action",
    [
        {"id": "b", "value": "tokenAAAAAAAAAAAAAAA0"},
        {"id": "tokenAAAAAAAAAAAAAAA0", "value": "Approve"},
        {"id": "tokenAAAAAAAAAAAAAAA0"},
    ],
)
def test_an_actions_token_is_found_in_its_value_or_id(action: Any) -> None:
    found = message(type="action.invoked", action=action)
    assert (found.kind, found.token) == (MessageKind.BUTTON, "tokenAAAAAAAAAAAAAAA0")


def test_what_we_posted_ourselves_and_other_events_are_no_messages() -> None:
    assert message(client_id="vtoc:message:1:reply") is None
    assert message(type="thread.renamed") is None


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("@agent op_x area=40nm", "@agent op_x area=40nm"),
        ("please @AGENT op_x", "@agent op_x"),
        ("/log ask @agent", "/log ask @agent"),
        ("mail me@agent.example", "mail me@agent.example"),
        ("the @agents", "the @agents"),
        ("hello", "hello"),
    ],
)
def test_a_mention_of_the_agent_makes_a_command(text: str, command: str) -> None:
    assert command_text(text) == command


@pytest.mark.parametrize(
    "members",
    [
        {"channel": None},
        {"channel": " "},
        {"channel": "x" * (LONGEST_NAME + 1)},
        {"text": None},
        {"text": 3},
        {"id": None},
        {"id": True},
        {"id": " "},
        {"user": "Ada"},
        {"user": {}},
        {"thread_id": 4},
        {"attachments": {}},
        {"attachments": ["x"]},
        {"type": 5},
        {"type": "action.invoked"},
        {"type": "action.invoked", "action": {"id": ""}},
    ],
)
def test_what_is_no_event_is_malformed(members: Any) -> None:
    with pytest.raises(Malformed):
        message(**members)


@given(members=st.dictionaries(st.sampled_from([*GOOD, "thread_id", "attachments", "action", "station"]), JSON))
def test_whatever_json_comes_is_a_message_nothing_or_malformed(members: dict[str, Any]) -> None:
    try:
        found = message_from_event({**GOOD, **members}, "org", lambda: "bare")
    except Malformed:
        return
    assert found is None or found.event_id
