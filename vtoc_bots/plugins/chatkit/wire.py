"""Converts a channel's events to messages. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from vtoc_bots import Attachment, ConversationId, Message, MessageKind, Sender, media_type

TRANSPORT: Final = "chatkit"
SAID: Final = "chatkit said"
CLIENT_PREFIX: Final = "vtoc:"
"""Before an outbound's key in the `client_id` of what we post."""
WEBHOOK_USER: Final = "webhook"
"""Who sends the quick-start's bare form, which names nobody."""
LONGEST_NAME: Final = 200
MOST_ATTACHMENTS: Final = 20
_AGENT: Final = re.compile(r"(?<![\w@])@agent\b", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,}")
_CREATED, _UPDATED, _ACTION = "message.created", "message.updated", "action.invoked"
_TYPES: Final = frozenset((_CREATED, _UPDATED, _ACTION))


class Malformed(ValueError):
    """An event that is none."""


def message_from_event(
    event: Mapping[str, Any], account: str, bare_id: Callable[[], str], trace: str | None = None
) -> Message | None:
    """The message of an event, None for one that is no concern of ours (other types, what we posted ourselves).

    `bare_id` makes the id of an event that has none. Raises Malformed.
    """
    kind = event.get("type", _CREATED)
    if not isinstance(kind, str) or kind not in _TYPES:
        _text(event, "type")
        return None
    if str(event.get("client_id") or "").startswith(CLIENT_PREFIX):
        return None
    channel, thread = _text(event, "channel"), _text(event, "thread_id", required=False)
    slug, station = channel.lower().replace("_", "-"), _text(event, "station", required=False)
    pressed = kind == _ACTION
    text, heard = ("", False) if pressed else _words(event.get("text"))
    return Message(
        transport=TRANSPORT,
        account=account,
        event_id=_event_id(event, bare_id),
        conversation=ConversationId(TRANSPORT, account, slug, thread or None),
        sender=_sender(event.get("user"), account),
        text=text,
        kind=MessageKind.BUTTON if pressed else MessageKind.TEXT,
        arguments={"channel": slug, "thread": thread} if heard else {},
        token=_token(event.get("action")) if pressed else None,
        message_ref=thread or None,
        attachments=() if pressed else _attachments(event.get("attachments")),
        sent_at=_moment(event.get("created_at")),
        edited=kind == _UPDATED,
        station_names=(slug, station) if station else (slug,),
        overheard=SAID if heard else None,
        trace=trace,
    )


def _words(said: Any) -> tuple[str, bool]:
    """A message's text, and whether it is one for the log: no command."""
    if not isinstance(said, str):
        raise Malformed("text must be a text")
    text = command_text(said)
    return text, not is_command(text)


def command_text(text: str) -> str:
    """A text that mentions the agent, from there on: what comes before is for people. Others as they are."""
    found = _AGENT.search(text)
    if found is None or text.lstrip().startswith("/"):
        return text
    return "@agent" + text[found.end() :]


def is_command(text: str) -> bool:
    """Whether a text is written as a command; others are for the log where nobody waits for them."""
    return text.lstrip().startswith(("/", "@agent"))


def _event_id(event: Mapping[str, Any], bare_id: Callable[[], str]) -> str:
    given = event.get("id")
    if given is None and "type" not in event:
        return f"bare:{bare_id()}"
    return f"event:{_id(given, 'id')}"


def _sender(user: Any, account: str) -> Sender:
    if user is None:
        return Sender(WEBHOOK_USER, WEBHOOK_USER, account)
    if not isinstance(user, dict):
        raise Malformed("user must be an object")
    given, name = _id(user.get("id"), "user.id"), user.get("name")
    return Sender(given, name[:LONGEST_NAME] if isinstance(name, str) else given, account)


def _id(value: Any, name: str) -> str:
    """An id, which some write as a number."""
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not text.strip():
        raise Malformed(f"{name} must be a text")
    return text[:LONGEST_NAME]


def _token(action: Any) -> str:
    """The button's token: what the organisation sends back of a card's button as the action's value or id."""
    if not isinstance(action, dict):
        raise Malformed("action must be an object")
    for value in (action.get("value"), action.get("id")):
        if isinstance(value, str) and _TOKEN.fullmatch(value):
            return value
    fallback = action.get("id")
    if not isinstance(fallback, str) or not fallback:
        raise Malformed("action.id must be a text")
    return fallback[:LONGEST_NAME]


def _attachments(given: Any) -> tuple[Attachment, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise Malformed("attachments must be a list")
    found = []
    for each in given[:MOST_ATTACHMENTS]:
        if not isinstance(each, dict):
            raise Malformed("an attachment must be an object")
        name, kind, size, url = each.get("name"), each.get("content_type"), each.get("size"), each.get("url")
        found.append(
            Attachment(
                str(name or "file")[:LONGEST_NAME],
                media_type(str(kind)),
                size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else 0,
                url if isinstance(url, str) else None,
            )
        )
    return tuple(found)


def _text(event: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    value = event.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise Malformed(f"{name} must be a text")
    if len(value) > LONGEST_NAME:
        raise Malformed(f"{name} is too long")
    return value.strip()


def _moment(value: Any) -> datetime | None:
    """An aware time; None for any other, which says nothing certain."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
