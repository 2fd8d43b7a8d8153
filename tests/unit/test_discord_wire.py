"""What Discord sends, of every kind that is handled, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import discord_payloads as payloads
from tests.discord_payloads import APP, HALL, ME, OUR_ROLE, THREAD
from tests.discord_rules import problems_of_modal
from tests.discord_schema import problems_of_request
from vtoc_bots import Choices, ConversationId, Form, FormField, Message, MessageKind, Sender
from vtoc_bots.plugins.discord.answers import choices_response, cut, deferred, form_response, told
from vtoc_bots.plugins.discord.wire import (
    focused_type,
    id_at,
    is_edit,
    is_for_us,
    message_of_event,
    message_of_interaction,
    place_of_channel,
    sending_channel,
    time_of_id,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = payloads.user("1300000000000000101", "Ada")
CALLBACK = "/interactions/1/t/callback"


def made(kind: int, data: dict[str, Any], channel: dict[str, Any] | None = None, **parts: Any) -> Message:
    where = channel or payloads.text_channel(HALL, "hall")
    message = message_of_interaction(payloads.interaction(kind, ADA, where, data, NOW.timestamp(), **parts), APP, NOW)
    assert message is not None
    return message


def test_a_slash_command_comes_with_its_values_as_they_were_given() -> None:
    options = [{"name": "dry-run", "type": 5, "value": True}, {"name": "id", "type": 3, "value": "x"}]
    message = made(2, {"id": "1", "name": "playbook", "type": 1, "options": options})
    assert (message.kind, message.command, message.text) == (MessageKind.COMMAND, "playbook", "")
    assert message.arguments == {"dry_run": True, "id": "x"}
    assert message.sender == Sender(ADA["id"], "Ada")
    assert message.conversation == ConversationId("discord", APP, HALL)
    assert message.event_id.startswith("interaction:")
    assert message.sent_at == NOW
    assert datetime.fromisoformat(message.reply_context["until"]) - NOW == timedelta(minutes=15)


def test_subcommands_groups_and_joined_words_are_one_name() -> None:
    inner = {"name": "all_of_it", "type": 1, "options": [{"name": "n", "type": 4, "value": 3}]}
    data = {"id": "1", "name": "track", "type": 1, "options": [{"name": "watch", "type": 2, "options": [inner]}]}
    message = made(2, data)
    assert (message.command, message.arguments) == ("track watch all of it", {"n": 3})


def test_free_values_are_handed_over_as_text_behind_the_typed_ones() -> None:
    options = [
        {"name": "id", "type": 3, "value": 'say "hi" \\'},
        {"name": "dry-run", "type": 5, "value": False},
        {"name": "limit", "type": 4, "value": 3},
        {"name": "with", "type": 3, "value": "area=40nm note='two words'"},
    ]
    message = made(2, {"id": "1", "name": "playbook", "type": 1, "options": options})
    assert message.arguments == {}
    assert message.text == 'id="say \\"hi\\" \\\\" dry_run=no limit=3 area=40nm note=\'two words\''


def test_what_is_being_typed_names_the_parameter() -> None:
    options = [{"name": "dry-run", "type": 5, "value": True}, {"name": "id", "type": 3, "value": "op", "focused": True}]
    data = {"id": "1", "name": "playbook", "type": 1, "options": options}
    message = made(4, data)
    assert (message.kind, message.focused, message.arguments["id"]) == (MessageKind.CHOICES, "id", "op")
    assert focused_type({"data": data}) == 3


def test_buttons_and_menus_bring_their_token() -> None:
    shown = payloads.message(payloads.BOT, HALL)
    assert made(3, {"custom_id": "x" * 21, "component_type": 2}, message=shown).token == "x" * 21
    chosen = {"custom_id": "menu:0:t", "component_type": 3, "values": ["y" * 21]}
    message = made(3, chosen, message=shown)
    assert (message.kind, message.token) == (MessageKind.BUTTON, "y" * 21)


@pytest.mark.parametrize("wrap", ["label", "row"])
def test_a_form_brings_its_values_from_labels_and_from_rows(wrap: str) -> None:
    inputs = [{"type": 4, "custom_id": "area", "value": "40nm"}, {"type": 3, "custom_id": "kind", "values": ["adsb"]}]
    empty = {"type": 3, "custom_id": "other", "values": []}
    components = [
        {"type": 18, "id": 1, "component": each} if wrap == "label" else {"type": 1, "components": [each]}
        for each in (*inputs, empty)
    ]
    message = made(5, {"custom_id": "form:abc", "components": components})
    assert (message.kind, message.token) == (MessageKind.FORM, "abc")
    assert message.arguments == {"area": "40nm", "kind": "adsb", "other": ""}


def test_a_thread_is_a_conversation_of_its_channel() -> None:
    message = made(2, {"id": "1", "name": "x", "type": 1}, payloads.thread_channel(THREAD, HALL, "t"))
    assert message.conversation == ConversationId("discord", APP, HALL, THREAD)
    assert sending_channel(message.conversation) == THREAD
    assert sending_channel(ConversationId("discord", APP, HALL)) == HALL


def test_direct_messages_are_known_as_such() -> None:
    message = made(2, {"id": "1", "name": "x", "type": 1}, payloads.direct_channel("77", ADA))
    assert message.reply_context["direct"] is True
    assert message.sender.user_id == ADA["id"]


@pytest.mark.parametrize(("kind", "data"), [(2, {"id": "1", "name": "x", "type": 3}), (9, {}), (1, {})])
def test_what_was_never_offered_is_no_message(kind: int, data: dict[str, Any]) -> None:
    payload = payloads.interaction(kind, ADA, payloads.text_channel(HALL, "hall"), data, NOW.timestamp())
    assert message_of_interaction(payload, APP, NOW) is None


def event(content: str, *, guild: bool = True, **parts: Any) -> dict[str, Any]:
    where = {"guild_id": payloads.GUILD, "member": payloads.member(ADA)} if guild else {}
    return payloads.message(ADA, HALL, NOW, content=content, **where, **parts)


MENTIONED = {"mentions": [payloads.BOT]}


@pytest.mark.parametrize(
    ("payload", "ours"),
    [
        (event("hello"), False),
        (event("/status"), True),
        (event("hello", guild=False), True),
        (event(f"<@{ME}> status", **MENTIONED), True),
        (event(f"<@&{OUR_ROLE}> status", mention_roles=[OUR_ROLE]), True),
        (event("", type=7), False),
        (event("/status", webhook_id="5"), False),
        (event("/status") | {"author": payloads.BOT}, False),
        (event("a reply", type=19, **MENTIONED), True),
    ],
)
def test_only_what_is_meant_for_the_bot_is_taken(payload: dict[str, Any], ours: bool) -> None:
    assert is_for_us(payload, ME, frozenset({OUR_ROLE})) is ours


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (f"<@{ME}> status", "status"),
        (f"<@!{ME}>, status", "status"),
        (f"hey <@{ME}> : status", "hey status"),
        (f"<@&{OUR_ROLE}> status <@5>", "status <@5>"),
    ],
)
def test_the_bot_s_name_is_no_part_of_what_is_said(content: str, text: str) -> None:
    payload = event(content, **MENTIONED)
    message = message_of_event(payload, place_of_channel({"id": HALL, "type": 0}), APP, ME, frozenset({OUR_ROLE}))
    assert (message.text, message.mentions_us, message.edited) == (text, True, False)
    assert message.event_id.startswith(f"message:{payload['id']}:")
    assert message.message_ref == payload["id"]
    assert message.sent_at == NOW


def taken(payload: dict[str, Any]) -> Message:
    return message_of_event(payload, place_of_channel({"id": HALL, "type": 0}), APP, ME, frozenset())


def test_an_edit_is_an_event_of_its_own_where_the_words_changed() -> None:
    said = event("/status")
    at = (NOW + timedelta(minutes=3)).isoformat()
    edited = said | {"content": "/help", "edited_timestamp": at}
    message = taken(edited)
    assert (message.text, message.edited, message.message_ref) == ("/help", True, said["id"])
    assert message.sent_at == NOW + timedelta(minutes=3)
    assert message.event_id != taken(said).event_id
    assert taken(edited | {"pinned": True}).event_id == message.event_id
    assert taken(said | {"flags": 4, "edited_timestamp": at}).event_id == taken(said).event_id


EDITED = {"id": "5", "channel_id": HALL, "author": ADA, "content": "/help", "edited_timestamp": NOW.isoformat()}


@pytest.mark.parametrize(
    ("payload", "is_one"),
    [
        (EDITED, True),
        (EDITED | {"edited_timestamp": None}, False),
        ({"id": "5", "channel_id": HALL, "embeds": [{"type": "link"}]}, False),
        ({key: EDITED[key] for key in EDITED if key != "content"}, False),
        ({key: EDITED[key] for key in EDITED if key != "author"}, False),
        (EDITED | {"pinned": True, "edited_timestamp": (NOW - timedelta(days=400)).isoformat()}, False),
    ],
)
def test_only_words_that_a_person_has_just_changed_are_an_edit(payload: dict[str, Any], is_one: bool) -> None:
    assert is_edit(payload, NOW + timedelta(minutes=5)) is is_one


def test_files_come_with_their_addresses() -> None:
    given = {"id": "1", "filename": "a.csv", "size": 12, "url": "https://cdn.example/a.csv", "content_type": "text/csv"}
    payload = event("/log", attachments=[given])
    message = message_of_event(payload, place_of_channel({"id": HALL, "type": 0}), APP, ME, frozenset())
    [attachment] = message.attachments
    assert (attachment.name, attachment.size, attachment.url) == ("a.csv", 12, "https://cdn.example/a.csv")


def test_ids_tell_their_time() -> None:
    assert time_of_id(id_at(NOW)) == NOW


def test_forms_have_at_most_five_inputs_and_menus_where_the_choices_fit() -> None:
    many = tuple((f"v{n}", f"Value {n}") for n in range(26))
    fields = (
        FormField("area", "Area " * 20, "Where " * 40),
        FormField("kind", "Kind", choices=many[:25], default="v3"),
        FormField("other", "Other", choices=many, required=False),
        FormField("long", "Long", default="x" * 5000, long=True),
        FormField("twice", "Twice", choices=(("a", "A"), ("a", "B"))),
        FormField("sixth", "Sixth"),
    )
    response = dict(form_response(Form("t" * 32, "/a very long name of a command that nobody would give", fields)))
    assert problems_of_modal(response["data"]) == []
    assert problems_of_request("POST", CALLBACK, response) == []
    inner = [label["component"] for label in response["data"]["components"]]
    assert [each["type"] for each in inner] == [4, 3, 4, 4, 4]
    assert [each["value"] for each in inner[1]["options"] if each["default"]] == ["v3"]


@pytest.mark.parametrize(("kind", "values"), [(3, ["5", "x"]), (4, [5]), (10, [5.0])])
def test_choices_have_the_option_s_type(kind: int, values: list[Any]) -> None:
    many = Choices((("5", "five"), ("x", "an x"), ("y" * 101, "too long")))
    response = dict(choices_response(many, kind))
    assert [each["value"] for each in response["data"]["choices"]] == values
    assert problems_of_request("POST", CALLBACK, response) == []
    assert len(choices_response(Choices((("a", "b"),) * 30), 3)["data"]["choices"]) == 25


def test_acknowledgements_are_what_discord_takes() -> None:
    for response in (deferred(True), deferred(False), told("x" * 3000)):
        assert problems_of_request("POST", CALLBACK, dict(response)) == []


@pytest.mark.parametrize(
    ("text", "result"), [("abc", "abc"), ("abcdef", "abcd…"), ("", "–"), ("😀😀😀", "😀😀…"), ("  a ", "a")]
)
def test_labels_are_cut_between_characters(text: str, result: str) -> None:
    assert cut(text, 5) == result
