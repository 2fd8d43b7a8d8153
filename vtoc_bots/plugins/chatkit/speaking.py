"""What people do in threads that live here, as messages: said, pressed, answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vtoc_bots import Attachment, Caller, ConversationId, Message, MessageKind, Sender, Viewer, new_id
from vtoc_bots.plugins.chatkit.purpose import CHANNEL, MISSION
from vtoc_bots.plugins.chatkit.wire import SAID, TRANSPORT, command_text, is_command

LONGEST_TITLE: Final = 60


@dataclass(slots=True)
class Request:
    """One request to the server: who asks, and what it has done so far."""

    caller: Caller
    known: set[str] = field(default_factory=set)
    """Items that are told to the client and stored already."""
    since: int | None = None
    """The thread's count of changes before what the request did."""
    accepted: set[str] = field(default_factory=set)
    """Items that were handed over as messages."""
    undecided: str | None = None
    """A question that the request answered, which core has to decide."""

    @property
    def viewer(self) -> Viewer:
        """Whom the rows are shown to."""
        return Viewer(self.caller.station.slug, self.caller.actor)


def conversation_of(row: Mapping[str, Any], account: str) -> ConversationId:
    """The conversation of a thread's row, as cards are sent to it."""
    purpose = row["purpose"]
    thread = None if purpose == CHANNEL else purpose if purpose and purpose.startswith(MISSION) else row["id"]
    return ConversationId(TRANSPORT, account, row["channel"], thread)


def said(
    request: Request, row: Mapping[str, Any], account: str, item_id: str, text: str, files: tuple[Attachment, ...] = ()
) -> Message:
    """A text. In a thread of one's own every text is for us; in a shared one what is no command is for the log."""
    shared, text = row["owner"] is None, command_text(text)
    heard = shared and not is_command(text)
    return Message(
        event_id=f"item:{item_id}",
        text=text,
        attachments=files,
        mentions_us=not shared,
        overheard=SAID if heard else None,
        arguments={"channel": row["channel"], "thread": row["id"]} if heard else {},
        **_whence(request, row, account),
    )


def pressed(request: Request, row: Mapping[str, Any], account: str, token: str) -> Message:
    """A button, or a choice that stands for one."""
    return Message(event_id=f"press:{new_id()}", kind=MessageKind.BUTTON, token=token, **_whence(request, row, account))


def commanded(request: Request, row: Mapping[str, Any], account: str, command: str) -> Message:
    """A command that an action stands for."""
    text = command.strip()
    text = text if text.startswith(("/", "@agent")) else f"/{text}"
    return Message(event_id=f"command:{new_id()}", text=text, **_whence(request, row, account))


def answered(request: Request, row: Mapping[str, Any], account: str, text: str) -> Message:
    """What was typed as the answer to a question."""
    return Message(event_id=f"answer:{new_id()}", text=text, **_whence(request, row, account))


def _whence(request: Request, row: Mapping[str, Any], account: str) -> dict[str, Any]:
    caller = request.caller
    return {
        "transport": TRANSPORT,
        "account": account,
        "conversation": conversation_of(row, account),
        "sender": Sender(caller.actor, caller.name, account),
        "vouched": caller.vouched,
        "station_names": (caller.station.slug,),
    }
