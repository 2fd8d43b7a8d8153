"""Updates of the Bot API as messages: pure conversion."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from vtoc_bots import Attachment, ConversationId, Message, MessageKind, Sender

TRANSPORT: Final = "telegram"
LONGEST_TEXT: Final = 4096
START: Final = re.compile(r"/start(?:\s+(\S+))?\s*\Z")
_ADDRESSED: Final = re.compile(r"(/[^\s@/]+)@(\w+)(?=\s|\Z)")
_COMMANDS: Final = ("/", "@agent")
_FILES: Final = (
    ("document", "", "application/octet-stream"),
    ("animation", "animation-{}.mp4", "video/mp4"),
    ("video", "video-{}.mp4", "video/mp4"),
    ("video_note", "video-{}.mp4", "video/mp4"),
    ("audio", "audio-{}.mp3", "audio/mpeg"),
    ("voice", "voice-{}.ogg", "audio/ogg"),
)
"""Where files stand in a message, and what they are called where they have no name of their own."""


@dataclass(frozen=True, slots=True)
class Me:
    """The bot itself."""

    id: int
    username: str


@dataclass(frozen=True, slots=True)
class Received:
    """What came: the message, the Bot API's ids of its attachments' files in their order, the id of the press to be
    answered where it is one, and of the album that it is a part of."""

    message: Message
    files: tuple[str, ...] = ()
    callback_id: str | None = None
    album: str | None = None


@dataclass(frozen=True, slots=True)
class Migrated:
    """A group became a supergroup, and has another id since."""

    old: int
    new: int


def message_from_update(update: Mapping[str, Any], me: Me) -> Received | Migrated | None:
    """What an update says; None for what is not for us: other bots, anonymous admins, channels, service messages.

    Raises KeyError, TypeError or ValueError where it is no update of the Bot API.
    """
    if "callback_query" in update:
        return _press(update["callback_query"], me)
    for kind in ("message", "edited_message"):
        if kind in update:
            return _message(update[kind], me, edited=kind == "edited_message")
    return None


def conversation_of(message: Mapping[str, Any], me: Me) -> ConversationId:
    """The chat of a message, and its topic where it is in one."""
    thread = message.get("message_thread_id")
    # Replies in a group without topics have a thread's id too.
    topic = str(thread) if thread is not None and message.get("is_topic_message") else None
    return ConversationId(TRANSPORT, str(me.id), str(int(message["chat"]["id"])), topic)


def _press(press: Mapping[str, Any], me: Me) -> Received | None:
    shown = press.get("message")
    if shown is None or "data" not in press:  # of an inline message or a game: not ours
        return None
    message = Message(
        transport=TRANSPORT,
        account=str(me.id),
        event_id=f"callback:{press['id']}",
        conversation=conversation_of(shown, me),
        sender=_sender(press["from"]),
        kind=MessageKind.BUTTON,
        token=str(press["data"]),
        message_ref=str(int(shown["message_id"])),
        mentions_us=True,
    )
    return Received(message, callback_id=str(press["id"]))


def _message(message: Mapping[str, Any], me: Me, *, edited: bool) -> Received | Migrated | None:
    if "migrate_to_chat_id" in message:
        return Migrated(int(message["chat"]["id"]), int(message["migrate_to_chat_id"]))
    if "migrate_from_chat_id" in message:
        return Migrated(int(message["migrate_from_chat_id"]), int(message["chat"]["id"]))
    sender = message.get("from")
    # Behind a chat as sender may be any of its admins: nobody whose rights could be known.
    if sender is None or sender.get("is_bot") or "sender_chat" in message:
        return None
    text, files = _text(message), _files(message)
    if text is None and not files:
        return None
    forwarded = "forward_origin" in message or "forward_date" in message
    if edited and "location" in message:
        return None  # a place that moves is no word
    addressed = _addressed(text or "", message, me)
    if addressed is None:
        return None
    said, mentions_us = addressed
    if forwarded and said.lstrip().startswith(_COMMANDS):
        return None  # passing on what somebody wrote is no order, with our name before it neither
    at = message.get("edit_date") if edited else message.get("date")
    made = Message(
        transport=TRANSPORT,
        account=str(me.id),
        event_id=_event_id(message, text or ""),
        conversation=conversation_of(message, me),
        sender=_sender(sender),
        text=said,
        message_ref=str(int(message["message_id"])),
        attachments=tuple(attachment for attachment, _ in files),
        sent_at=datetime.fromtimestamp(int(at), UTC) if at else None,
        mentions_us=mentions_us and not forwarded,
        edited=edited,
    )
    album = message.get("media_group_id")
    return Received(made, tuple(file_id for _, file_id in files), album=None if album is None else str(album))


def _event_id(message: Mapping[str, Any], text: str) -> str:
    """The same for a message and those of its edits that change nothing of its words: Telegram also reports what it
    does itself to a message, such as a preview, as an edit, and that must not give a command again."""
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"message:{int(message['chat']['id'])}:{int(message['message_id'])}:{digest}"


def is_for_us(message: Message) -> bool:
    """Whether somebody meant us: then its files are fetched."""
    private = not message.conversation.channel.startswith("-")
    return private or message.mentions_us or message.text.startswith("/")


def _addressed(text: str, message: Mapping[str, Any], me: Me) -> tuple[str, bool] | None:
    """The text without our name, and whether it is said to us; None where a command names another bot."""
    command = _ADDRESSED.match(text)
    if command is not None:
        if command[2].casefold() != me.username.casefold():
            return None
        return _started(command[1] + text[command.end() :]), True
    private = message["chat"].get("type") == "private"
    mentioned, text = _without_mention(text, me)
    replied = (message.get("reply_to_message") or {}).get("from") or {}
    # Without words (a picture alone) nothing is said that could be answered.
    return _started(text), bool(text) and (private or mentioned or replied.get("id") == me.id)


def _without_mention(text: str, me: Me) -> tuple[bool, str]:
    """Whether we are mentioned, and the text without our name at its beginning or end."""
    if "@" not in text or not me.username:
        return False, text
    name = rf"@{re.escape(me.username)}(?!\w)"
    if re.search(rf"(?<!\w){name}", text, re.IGNORECASE) is None:
        return False, text
    text = re.sub(rf"\A\s*{name}[\s,:]*", "", text, count=1, flags=re.IGNORECASE)
    return True, re.sub(rf"\s+{name}\s*\Z", "", text, count=1, flags=re.IGNORECASE)


def _started(text: str) -> str:
    """``/start CODE``, which a link with an invitation sends, as ``/link CODE``; a bare one asks for help."""
    start = START.match(text)
    if start is None:
        return text
    return f"/link {start[1]}" if start[1] else "/help"


def _text(message: Mapping[str, Any]) -> str | None:
    """What is said: text, caption, or a shared place as ``latitude,longitude`` in degrees."""
    for name in ("text", "caption"):
        if name in message:
            return str(message[name])
    place = message.get("location")
    return None if place is None else f"{float(place['latitude']):.6f},{float(place['longitude']):.6f}"


def _files(message: Mapping[str, Any]) -> list[tuple[Attachment, str]]:
    """The message's files with their ids: one, whatever its kind; of a photo the largest size."""
    number = int(message["message_id"])
    photos: Sequence[Mapping[str, Any]] = message.get("photo") or ()
    if photos:
        best = max(photos, key=lambda size: int(size["width"]) * int(size["height"]))
        name = f"photo-{number}.jpg"
        return [(Attachment(name, "image/jpeg", int(best.get("file_size", 0))), str(best["file_id"]))]
    for kind, usual_name, usual_type in _FILES:
        file = message.get(kind)
        if file is not None:
            name = str(file.get("file_name") or usual_name.format(number) or f"file-{number}")
            content_type = str(file.get("mime_type") or usual_type)
            return [(Attachment(name, content_type, int(file.get("file_size", 0))), str(file["file_id"]))]
    return []


def _sender(user: Mapping[str, Any]) -> Sender:
    # No workspace: a person is the same in every chat.
    name = " ".join(str(user[part]) for part in ("first_name", "last_name") if user.get(part))
    return Sender(str(int(user["id"])), name or str(user.get("username") or user["id"]))
