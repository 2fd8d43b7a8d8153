"""What travels between transports and core: messages in, outbounds out, receipts back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, unquote
from uuid import UUID

from vtoc_bots.core.cards import Card

_PLAIN: Final = re.compile(r"[A-Za-z0-9@#.+\-_~]*")
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ConversationId:
    """Where an exchange lives. Its text form is ``transport:account:channel[:thread]``, each part percent-encoded."""

    transport: str
    account: str
    channel: str
    thread: str | None = None

    def __str__(self) -> str:
        parts = [self.transport, self.account, self.channel]
        if self.thread is not None:
            parts.append(self.thread)
        return ":".join([part if _PLAIN.fullmatch(part) else quote(part, safe="@#.+-_") for part in parts])

    @classmethod
    def parse(cls, text: str) -> ConversationId:
        """The conversation of a text form. Raises ValueError unless it has three or four parts."""
        parts = [unquote(part) for part in text.split(":")]
        if len(parts) == 3:
            return cls(parts[0], parts[1], parts[2])
        if len(parts) == 4:
            return cls(parts[0], parts[1], parts[2], parts[3])
        raise ValueError(f"not a conversation: {text!r} (transport:account:channel[:thread])")


class MessageKind(StrEnum):
    """What a person did. An `EVENT` is for the command of its name that is declared for events, and for no other."""

    TEXT = "text"
    COMMAND = "command"
    BUTTON = "button"
    FORM = "form"
    CHOICES = "choices"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Sender:
    """The platform account a message came from; `workspace` is the Slack team, Discord guild, OS host …"""

    user_id: str
    name: str
    workspace: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message. `blob` is its SHA-256 once stored."""

    name: str
    content_type: str
    size: int
    url: str | None = None
    blob: str | None = None
    problem: str | None = None
    """Why it could not be stored, for its sender to read: words that follow its name."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a chat platform, converted. `event_id` is unique within transport and account, for ever."""

    transport: str
    account: str
    event_id: str
    conversation: ConversationId
    sender: Sender
    text: str = ""
    kind: MessageKind = MessageKind.TEXT
    command: str | None = None
    """Of a native command: its name, e.g. ``track watch``."""
    arguments: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    """Of a native command or form: values by parameter name, as the platform gave them."""
    focused: str | None = None
    """Of a native command being typed (`CHOICES`): the parameter whose value is wanted."""
    token: str | None = None
    """Of a button or form: the token that names its stored value."""
    message_ref: str | None = None
    """The platform's id of this message, for replies to it."""
    attachments: tuple[Attachment, ...] = ()
    sent_at: datetime | None = None
    mentions_us: bool = False
    edited: bool = False
    reply_context: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    """What the transport needs to answer (an interaction token …). Never shown."""
    station_names: tuple[str, ...] = ()
    """What the platform calls the station that it is for, the likeliest first; what is no station is passed over."""
    overheard: str | None = None
    """Of a text: the event command that gets it (as `text`, with `arguments`) where it is no command and nobody waits
    for it. In a conversation with a run that goes on, every text is a command."""
    vouched: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    """Who it is by a credential that core has checked: what `TransportContext.caller` says of them. It holds where the
    account itself is no operator's."""
    trace: str | None = None


class OutboundKind(StrEnum):
    """Why an outbound exists; progress may be dropped, everything else never is.

    A `PAGE` is a reply that the answer to its own buttons replaces.
    """

    REPLY = "reply"
    PAGE = "page"
    RESULT = "result"
    PROGRESS = "progress"
    APPROVAL = "approval"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Outbound:
    """One card to be sent, or to replace one that was. `key` is its identity for ever."""

    id: UUID
    key: str
    conversation: ConversationId
    kind: OutboundKind
    card: Card
    correlation_id: UUID
    revision: int = 0
    reply_to: str | None = None
    private_to: str | None = None
    """The platform user who alone may see it."""
    edits: Receipt | None = None
    """The receipt of the message that this one replaces."""
    may_be_repeat: bool = False
    reply_context: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    message_id: UUID | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a message was sent: the platform's reference, and what is needed to edit it."""

    ref: str
    sent_at: datetime
    detail: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)


def message_json(message: Message) -> dict[str, Any]:
    """A message as it is stored: what `message_from_json` needs, defaults left out."""
    stored: dict[str, Any] = {
        "event_id": message.event_id,
        "sender": [message.sender.user_id, message.sender.name, message.sender.workspace],
        "kind": message.kind.value,
    }
    for name in ("text", "command", "token", "message_ref", "mentions_us", "edited", "overheard"):
        if value := getattr(message, name):
            stored[name] = value
    if message.station_names:
        stored["station_names"] = list(message.station_names)
    for name in ("arguments", "reply_context", "vouched"):
        if value := getattr(message, name):
            stored[name] = dict(value)
    if message.attachments:
        stored["attachments"] = [
            [a.name, a.content_type, a.size, a.url, a.blob, a.problem] for a in message.attachments
        ]
    if message.sent_at is not None:
        stored["sent_at"] = message.sent_at.isoformat()
    return stored


def message_from_json(stored: Mapping[str, Any], conversation: ConversationId, trace: str | None) -> Message:
    """The message of a stored row."""
    sent_at = stored.get("sent_at")
    return Message(
        transport=conversation.transport,
        account=conversation.account,
        event_id=stored["event_id"],
        conversation=conversation,
        sender=Sender(*stored["sender"]),
        text=stored.get("text", ""),
        kind=MessageKind(stored["kind"]),
        command=stored.get("command"),
        arguments=stored.get("arguments", _EMPTY),
        token=stored.get("token"),
        message_ref=stored.get("message_ref"),
        attachments=tuple(Attachment(*a) for a in stored.get("attachments", ())),
        sent_at=datetime.fromisoformat(sent_at) if sent_at else None,
        mentions_us=stored.get("mentions_us", False),
        edited=stored.get("edited", False),
        reply_context=stored.get("reply_context", _EMPTY),
        station_names=tuple(stored.get("station_names", ())),
        overheard=stored.get("overheard"),
        vouched=stored.get("vouched", _EMPTY),
        trace=trace,
    )
