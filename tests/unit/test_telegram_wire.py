"""Telegram updates become messages, and what is not for us becomes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.telegram_kit import ADA, GROUP, chat_of, message, own, press, user
from vtoc_bots import ConversationId, MessageKind
from vtoc_bots.plugins.telegram.wire import Me, Migrated, Received, is_for_us, message_from_update

ME = Me(77001, "vtoc_test_bot")


def received(body: dict[str, Any], kind: str = "message") -> Received:
    found = message_from_update({"update_id": 12, kind: body}, ME)
    assert isinstance(found, Received)
    return found


def said(text: str, chat: int | None = None, **more: Any) -> tuple[str, bool]:
    made = received(message(5, ADA, text, chat, **more)).message
    return made.text, made.mentions_us


def test_a_private_text_is_said_to_us() -> None:
    made = received(message(5, ADA, "status")).message
    assert made.conversation == ConversationId("telegram", "77001", str(ADA))
    assert (made.message_ref, made.text, made.mentions_us) == ("5", "status", True)
    assert (made.sender.user_id, made.sender.name, made.sender.workspace) == (str(ADA), "Ada", "")
    assert made.sent_at is not None
    assert made.sent_at.year == 2026


def test_an_edit_is_an_event_of_its_own_where_the_words_changed() -> None:
    first = received(message(5, ADA, "/staus")).message
    edit = received(message(5, ADA, "/status", edit_date=1_796_000_100), "edited_message").message
    assert (first.edited, edit.edited) == (False, True)
    assert first.event_id != edit.event_id
    assert edit.sent_at is not None
    assert edit.sent_at.timestamp() == 1_796_000_100
    preview = received(message(5, ADA, "/staus", edit_date=1_796_000_050), "edited_message").message
    assert preview.event_id == first.event_id, "a command is not given again by a preview"


def test_events_of_different_messages_differ() -> None:
    bodies = [message(5, ADA, "x"), message(6, ADA, "x"), message(5, ADA, "x", GROUP), message(5, ADA, "y")]
    assert len({received(body).message.event_id for body in bodies}) == 4


def test_a_command_may_name_us_and_only_us() -> None:
    assert said("/status@VTOC_test_bot mission", GROUP) == ("/status mission", True)
    assert said("/vtoc-status@vtoc_test_bot", GROUP) == ("/vtoc-status", True)
    assert said("/status ada@example.org", GROUP) == ("/status ada@example.org", False)
    assert message_from_update({"update_id": 1, "message": message(5, ADA, "/status@other_bot", GROUP)}, ME) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@vtoc_test_bot tracks 40nm", "tracks 40nm"),
        ("@vtoc_test_bot, tracks", "tracks"),
        ("tracks 40nm @VTOC_TEST_BOT", "tracks 40nm"),
        ("hello @vtoc_test_bot there", "hello @vtoc_test_bot there"),
    ],
)
def test_a_mention_in_a_group_is_said_to_us(text: str, expected: str) -> None:
    assert said(text, GROUP) == (expected, True)


@pytest.mark.parametrize("text", ["tracks", "@vtoc_test_bot2 tracks", "mail@vtoc_test_bot tracks"])
def test_other_talk_in_a_group_is_not_said_to_us(text: str) -> None:
    assert said(text, GROUP) == (text, False)


def test_an_answer_to_our_message_is_said_to_us() -> None:
    assert said("twelve", GROUP, reply_to_message=own()) == ("twelve", True)
    assert said("twelve", GROUP, reply_to_message=message(4, ADA, "x", GROUP)) == ("twelve", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/start K7M2P-9QRST-VWX34", "/link K7M2P-9QRST-VWX34"),
        ("/start@vtoc_test_bot K7M2P", "/link K7M2P"),
        ("/start", "/help"),
        ("/started x", "/started x"),
    ],
)
def test_a_start_with_a_code_links_and_a_bare_one_helps(text: str, expected: str) -> None:
    assert said(text)[0] == expected


def test_a_topic_is_a_thread_and_a_thread_of_replies_is_not() -> None:
    topic = received(message(5, ADA, "x", GROUP, message_thread_id=9, is_topic_message=True)).message
    assert topic.conversation.thread == "9"
    replies = received(message(5, ADA, "x", GROUP, message_thread_id=9)).message
    assert replies.conversation.thread is None


def test_a_press_carries_its_token_and_nothing_else() -> None:
    body = press(ADA, "tok-123", {**own(), "message_thread_id": 9, "is_topic_message": True})
    found = received(body, "callback_query")
    assert (found.message.kind, found.message.token) == (MessageKind.BUTTON, "tok-123")
    assert (found.message.event_id, found.callback_id) == (f"callback:{body['id']}", body["id"])
    assert found.message.conversation.thread == "9"
    assert found.message.text == ""


def test_a_press_on_a_message_that_is_too_old_to_be_shown_still_counts() -> None:
    old = {"message_id": 7, "chat": chat_of(GROUP), "date": 0}
    assert received(press(ADA, "t", old), "callback_query").message.conversation.channel == str(GROUP)
    game = {"id": "1", "from": user(ADA), "inline_message_id": "x", "data": "t"}
    assert message_from_update({"update_id": 1, "callback_query": game}, ME) is None


def test_a_photo_is_its_largest_size_with_its_caption() -> None:
    sizes = [
        {"file_id": "small", "file_unique_id": "a", "width": 90, "height": 60, "file_size": 900},
        {"file_id": "large", "file_unique_id": "b", "width": 1280, "height": 853, "file_size": 90_000},
    ]
    found = received(message(5, ADA, None, photo=sizes, caption="/log boat", media_group_id="1"))
    assert found.files == ("large",)
    [attachment] = found.message.attachments
    assert (attachment.name, attachment.content_type, attachment.size) == ("photo-5.jpg", "image/jpeg", 90_000)
    assert (found.message.text, found.message.mentions_us) == ("/log boat", True)


def test_a_picture_alone_says_nothing_that_could_be_answered() -> None:
    document = {"file_id": "d", "file_unique_id": "u", "file_name": "plan.pdf", "mime_type": "application/pdf"}
    found = received(message(5, ADA, None, document=document))
    assert (found.message.text, found.message.mentions_us) == ("", False)
    assert found.message.attachments[0].name == "plan.pdf"
    assert is_for_us(found.message)
    assert not is_for_us(received(message(5, ADA, None, GROUP, document=document)).message)


@pytest.mark.parametrize("kind", ["animation", "video", "video_note", "audio", "voice"])
def test_every_kind_of_file_has_a_name_and_a_type(kind: str) -> None:
    found = received(message(5, ADA, None, **{kind: {"file_id": "f", "file_unique_id": "u", "duration": 3}}))
    assert "." in found.message.attachments[0].name
    assert "/" in found.message.attachments[0].content_type


def test_a_place_is_written_as_people_write_one() -> None:
    place = message(5, ADA, None, location={"latitude": 43.123456789, "longitude": 5.9})
    assert received(place).message.text == "43.123457,5.900000"


@pytest.mark.parametrize(
    "body",
    [
        message(5, ADA, "x", **{"from": user(9, is_bot=True)}),
        message(5, ADA, "x", GROUP, sender_chat={"id": GROUP, "type": "supergroup", "title": "x"}),
        message(5, ADA, None, GROUP, new_chat_members=[user(1)]),
        message(5, ADA, None, sticker={"file_id": "s", "file_unique_id": "u"}),
        {"message_id": 5, "chat": chat_of(GROUP), "date": 1, "text": "x"},
    ],
    ids=["a bot", "an anonymous admin", "a service message", "a sticker", "nobody"],
)
def test_what_nobody_with_rights_said_is_not_heard(body: dict[str, Any]) -> None:
    assert message_from_update({"update_id": 1, "message": body}, ME) is None


def test_what_is_passed_on_is_no_order() -> None:
    origin = {"type": "user", "date": 1, "sender_user": user(9)}
    name = ME.username
    for text in ("/approve 7Z3K9QPM", "@agent op_x", f"@{name} /approve 7Z3K9QPM", f"/approve@{name} 7Z3K9QPM"):
        body = message(5, ADA, text, forward_origin=origin)
        assert message_from_update({"update_id": 1, "message": body}, ME) is None
    assert said("look at this", forward_origin=origin) == ("look at this", False)


def test_a_place_that_moves_is_heard_once() -> None:
    place = message(5, ADA, None, location={"latitude": 43.1, "longitude": 5.9, "live_period": 900})
    assert message_from_update({"update_id": 1, "message": place}, ME) is not None
    assert message_from_update({"update_id": 2, "edited_message": place}, ME) is None


def test_unknown_kinds_of_updates_are_not_heard() -> None:
    assert message_from_update({"update_id": 1, "poll_answer": {"poll_id": "1"}}, ME) is None
    assert message_from_update({"update_id": 1}, ME) is None


def test_a_group_that_became_a_supergroup_is_told_from_both_sides() -> None:
    old = message(5, ADA, None, -44, migrate_to_chat_id=-10044)
    new = message(1, ADA, None, -10044, migrate_from_chat_id=-44)
    for body in (old, new):
        assert message_from_update({"update_id": 1, "message": body}, ME) == Migrated(-44, -10044)
