"""What Discord sends, as messages: pure conversion of interactions and of message events."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final, NamedTuple

from vtoc_bots import Attachment, ConversationId, Message, MessageKind, Sender

TRANSPORT: Final = "discord"
TOKEN_LIVES: Final = timedelta(minutes=15)
"""How long an interaction can be answered."""
EDIT_LIVES: Final = timedelta(hours=1)
"""How long after an edit it may be reported: a resumed session replays minutes."""
FREE_OPTION: Final = "with"
"""The slash option for free ``key=value`` pairs: a Python keyword, so that no parameter has that name."""
FORM_MARK: Final = "form:"
_EPOCH_MS: Final = 1_420_070_400_000
_THREADS: Final = frozenset({10, 11, 12})
_PLAIN_TYPES: Final = frozenset({0, 19})
"""Messages that people wrote: plain ones and replies."""
_NUMBERS: Final = (int, float)


class InteractionType(IntEnum):
    """Why an interaction came."""

    PING = 1
    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


class OptionType(IntEnum):
    """What a slash command's option holds."""

    SUBCOMMAND = 1
    GROUP = 2
    STRING = 3
    INTEGER = 4
    BOOLEAN = 5
    NUMBER = 10


class Place(NamedTuple):
    """Where a channel is: a thread has a parent."""

    channel: str
    parent: str | None = None

    def conversation(self, account: str) -> ConversationId:
        """The conversation there."""
        if self.parent is None:
            return ConversationId(TRANSPORT, account, self.channel)
        return ConversationId(TRANSPORT, account, self.parent, self.channel)


def place_of_channel(channel: Mapping[str, Any]) -> Place:
    """Where a channel object is."""
    parent = channel.get("parent_id") if channel.get("type") in _THREADS else None
    return Place(str(channel["id"]), None if parent is None else str(parent))


def sending_channel(conversation: ConversationId) -> str:
    """The channel or thread that messages of a conversation go to."""
    return conversation.thread or conversation.channel


def time_of_id(snowflake: str) -> datetime:
    """When Discord made an id."""
    return datetime.fromtimestamp(((int(snowflake) >> 22) + _EPOCH_MS) / 1000, UTC)


def id_at(moment: datetime) -> str:
    """An id as Discord would have made then, to ask for what came after."""
    return str(max(0, int(moment.timestamp() * 1000) - _EPOCH_MS) << 22)


# Interactions


class Shapeless(ValueError):
    """What should be an interaction lacks what every interaction has."""


def message_of_interaction(payload: Mapping[str, Any], account: str, now: datetime) -> Message | None:
    """The message that an interaction is; None for kinds that were never offered. `now` is when it was received.

    Raises Shapeless for what Discord never sends.
    """
    try:
        message = _converted(payload, payload.get("data") or {}, account, now)
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise Shapeless(f"{type(error).__name__}: {error}") from error
    if message is not None and not message.sender.user_id.isdigit():
        raise Shapeless("nobody sent it")
    return message


def _converted(payload: Mapping[str, Any], data: Mapping[str, Any], account: str, now: datetime) -> Message | None:
    kind = payload.get("type")
    if kind in (InteractionType.COMMAND, InteractionType.AUTOCOMPLETE) and data.get("type", 1) == 1:
        return _of_command(payload, data, account, now)
    if kind == InteractionType.COMPONENT:
        token = next(iter(data.get("values") or ()), None) or data.get("custom_id")
        return _message(payload, account, now, MessageKind.BUTTON, token=str(token))
    if kind == InteractionType.MODAL:
        token = str(data.get("custom_id", "")).removeprefix(FORM_MARK)
        fields = dict(_fields(data.get("components") or ()))
        return _message(payload, account, now, MessageKind.FORM, token=token, arguments=fields)
    return None


def focused_type(payload: Mapping[str, Any]) -> int:
    """The type of the option that is being typed."""
    options = _options((payload.get("data") or {}), [])
    return next((int(each["type"]) for each in options if each.get("focused")), int(OptionType.STRING))


def _of_command(payload: Mapping[str, Any], data: Mapping[str, Any], account: str, now: datetime) -> Message:
    path = [str(data["name"])]
    options = _options(data, path)
    command = " ".join(path).replace("_", " ")
    given = {str(each["name"]).replace("-", "_"): each.get("value") for each in options}
    if payload["type"] == InteractionType.AUTOCOMPLETE:
        focused = next((str(each["name"]).replace("-", "_") for each in options if each.get("focused")), None)
        return _message(payload, account, now, MessageKind.CHOICES, command=command, arguments=given, focused=focused)
    free = given.pop(FREE_OPTION, None)
    if free is None:
        return _message(payload, account, now, MessageKind.COMMAND, command=command, arguments=given)
    text = " ".join([*(f"{name}={_quoted(value)}" for name, value in given.items()), str(free)])
    return _message(payload, account, now, MessageKind.COMMAND, command=command, text=text)


def _options(data: Mapping[str, Any], path: list[str]) -> list[Mapping[str, Any]]:
    """The options with values; the names of subcommands on the way to them are added to `path`."""
    options = list(data.get("options") or ())
    while options and options[0].get("type") in (OptionType.SUBCOMMAND, OptionType.GROUP):
        path.append(str(options[0]["name"]))
        options = list(options[0].get("options") or ())
    return options


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, _NUMBERS):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fields(components: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """The values of a submitted form by field; a field stands in a label or, in old forms, in a row."""
    for each in components:
        if isinstance(inner := each.get("component"), Mapping):
            yield from _fields((inner,))
        elif each.get("components"):
            yield from _fields(each["components"])
        elif "custom_id" in each:
            value = each.get("value")
            if value is None:
                value = next(iter(each.get("values") or ()), "")
            yield str(each["custom_id"]), str(value)


def _message(payload: Mapping[str, Any], account: str, now: datetime, kind: MessageKind, **parts: Any) -> Message:
    channel = payload.get("channel") or {"id": payload.get("channel_id") or "0"}
    context = {
        "interaction": str(payload["id"]),
        "token": str(payload["token"]),
        "until": (now + TOKEN_LIVES).isoformat(),
        **({} if payload.get("guild_id") else {"direct": True}),
    }
    return Message(
        transport=TRANSPORT,
        account=account,
        event_id=f"interaction:{payload['id']}",
        conversation=place_of_channel(channel).conversation(account),
        sender=_sender(payload.get("user") or {}, payload.get("member") or {}),
        kind=kind,
        sent_at=time_of_id(str(payload["id"])),
        reply_context=context,
        **parts,
    )


def _sender(user: Mapping[str, Any], member: Mapping[str, Any]) -> Sender:
    """Who it was. Discord's user ids are good everywhere, so there is no workspace."""
    who = member.get("user") or user
    name = member.get("nick") or who.get("global_name") or who.get("username") or "?"
    return Sender(str(who.get("id", "")), str(name))


# Message events


def is_for_us(payload: Mapping[str, Any], me: str, our_roles: frozenset[str]) -> bool:
    """Whether a message that people wrote is meant for the bot: direct, with its name, or a ``/`` command."""
    author = payload.get("author") or {}
    if author.get("bot") or payload.get("webhook_id") or payload.get("type", 0) not in _PLAIN_TYPES:
        return False
    if not payload.get("guild_id") or str(payload.get("content", "")).lstrip().startswith("/"):
        return True
    return _mentions(payload, me, our_roles)


def is_edit(payload: Mapping[str, Any], now: datetime) -> bool:
    """Whether a MESSAGE_UPDATE says that a person has just changed a message's words.

    Discord reports by it too what it does to a message itself, such as a preview, and need not tell the whole message
    then; and a pin, years after an edit perhaps, when nobody knows any more that this command was given.
    """
    edited_at = payload.get("edited_timestamp")
    if not edited_at or "content" not in payload or "author" not in payload:
        return False
    return now - datetime.fromisoformat(edited_at) < EDIT_LIVES


def message_of_event(
    payload: Mapping[str, Any], place: Place, account: str, me: str, our_roles: frozenset[str]
) -> Message:
    """The message of a MESSAGE_CREATE or MESSAGE_UPDATE event: `is_for_us` holds, of the latter `is_edit` too.

    It is the same event as the message before an edit that changes none of its words (a pin, a removed preview).
    """
    edited_at = payload.get("edited_timestamp")
    direct = not payload.get("guild_id")
    content = str(payload.get("content", ""))
    digest = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:16]
    text = _without_us(content, me, our_roles)
    files = tuple(_attachment(each) for each in payload.get("attachments") or ())
    return Message(
        transport=TRANSPORT,
        account=account,
        event_id=f"message:{payload['id']}:{digest}",
        conversation=place.conversation(account),
        sender=_sender(payload["author"], payload.get("member") or {}),
        text=text,
        message_ref=str(payload["id"]),
        attachments=files,
        sent_at=datetime.fromisoformat(edited_at or payload["timestamp"]),
        # Without words (a picture alone) nothing is said that could be answered.
        mentions_us=(direct and bool(text or not files)) or _mentions(payload, me, our_roles),
        edited=bool(edited_at),
        reply_context={"direct": True} if direct else {},
    )


def _mentions(payload: Mapping[str, Any], me: str, our_roles: frozenset[str]) -> bool:
    named = any(str(each.get("id")) == me for each in payload.get("mentions") or ())
    return named or any(str(role) in our_roles for role in payload.get("mention_roles") or ())


def _without_us(text: str, me: str, our_roles: frozenset[str]) -> str:
    ours = "|".join([f"@!?{re.escape(me)}", *(f"@&{re.escape(role)}" for role in sorted(our_roles))])
    return re.sub(rf"\s*<(?:{ours})>[\s,:]*", " ", text).strip()


def _attachment(given: Mapping[str, Any]) -> Attachment:
    content_type = str(given.get("content_type") or "application/octet-stream")
    return Attachment(str(given.get("filename", "file")), content_type, int(given.get("size", 0)), given.get("url"))
