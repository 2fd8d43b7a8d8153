"""Slack's payloads as messages: pure conversion, from the Events API, slash commands and interactivity alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from vtoc_bots import Attachment, ConversationId, Message, MessageKind, Sender

TRANSPORT: Final = "slack"
RESPONSE_LIFE: Final = timedelta(minutes=29)
"""Slack takes answers at a response_url for half an hour."""
FORM: Final = "vtoc_form"
"""The callback id of our modals."""
HOME: Final = "home:"
"""Of a conversation's channel: the App Home of the user whose id follows."""
SHORTCUTS: Final[Mapping[str, str]] = {
    "vtoc_playbook": "playbook",
    "vtoc_status": "status",
    "vtoc_run_message": "",
}
"""The command that a shortcut gives; that of a message's shortcut is the message's text."""

_HEARD_SUBTYPES: Final = frozenset({"", "file_share", "thread_broadcast", "me_message"})
_MARKUP: Final = re.compile(r"<([@#!]?)([^>|]*)(?:\|([^>]*))?>")
_QUOTES: Final = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "\u00a0": " "})
_DASHES: Final = re.compile(r"(?<!\S)[—–](?=\w)")


@dataclass(frozen=True, slots=True)
class Me:
    """Who we are in a workspace. `url` is the workspace's address, with a slash at its end."""

    team: str
    user: str
    bot: str
    url: str


def message_from_event(body: Mapping[str, Any], me: Me, now: datetime) -> Message | None:
    """The message of an Events API callback; None for what is not said to us or is our own."""
    event = body.get("event") or {}
    match event.get("type"):
        case "app_home_opened" if event.get("tab") == "home":
            return _home_opened(body, event)
        case "app_mention" | "message":
            return _said(body, event, me)
    return None


def message_from_command(body: Mapping[str, Any], now: datetime) -> Message:
    """The message of a slash command: ``/vtoc track watch A1`` and ``/vtoc-status`` are native commands."""
    name, text = str(body["command"]).removeprefix("/"), typed_text(str(body.get("text", "")))
    if name == "vtoc":
        name, _, text = (text or "help").strip().removeprefix("/").partition(" ")
    return Message(
        transport=TRANSPORT,
        account=_team(body),
        event_id=f"command:{body['trigger_id']}",
        conversation=ConversationId(TRANSPORT, _team(body), str(body["channel_id"])),
        sender=_sender(body["user_id"], body.get("user_name"), _team(body)),
        text=text.strip(),
        kind=MessageKind.COMMAND,
        command=name,
        sent_at=now,
        mentions_us=True,
        reply_context=_reply_context(body.get("response_url"), now),
    )


def message_from_action(body: Mapping[str, Any], now: datetime) -> Message | None:
    """The message of a pressed button or a chosen entry of a menu; None for an element that is not ours."""
    action = (body.get("actions") or [{}])[0]
    token = (action.get("selected_option") or {}).get("value") or action.get("value")
    if not str(action.get("action_id", "")).startswith("vtoc:") or not token:
        return None
    container, team, user = body.get("container") or {}, _team(body), body["user"]
    view = body.get("view") or {}
    if view.get("type") == "home":
        conversation = ConversationId(TRANSPORT, team, f"{HOME}{user['id']}")
    else:
        channel = container.get("channel_id") or (body.get("channel") or {})["id"]
        thread = (body.get("message") or {}).get("thread_ts") or container.get("thread_ts")
        thread = thread or str(action.get("block_id", "")).partition("|")[2] or None
        conversation = ConversationId(TRANSPORT, team, channel, thread)
    return Message(
        transport=TRANSPORT,
        account=team,
        event_id=f"action:{body['trigger_id']}",
        conversation=conversation,
        sender=_sender(user["id"], user.get("username") or user.get("name"), user.get("team_id") or team),
        kind=MessageKind.BUTTON,
        token=str(token),
        message_ref=container.get("message_ts"),
        sent_at=now,
        reply_context=_reply_context(body.get("response_url"), now, pressed=True),
    )


def message_from_submission(body: Mapping[str, Any], now: datetime) -> Message | None:
    """The message of a modal that was sent off; None for a modal that is not ours."""
    view = body.get("view") or {}
    if view.get("callback_id") != FORM:
        return None
    stored, team, user = orjson.loads(view.get("private_metadata") or "{}"), _team(body), body["user"]
    context = stored.get("context") or {}
    return Message(
        transport=TRANSPORT,
        account=team,
        event_id=f"form:{view['id']}",
        conversation=ConversationId.parse(stored["conversation"]),
        sender=_sender(user["id"], user.get("username") or user.get("name"), user.get("team_id") or team),
        kind=MessageKind.FORM,
        token=stored["token"],
        arguments=values_of_view(view),
        message_ref=stored.get("ref"),
        sent_at=now,
        reply_context=context,
    )


def values_of_view(view: Mapping[str, Any]) -> dict[str, str]:
    """What was filled in, by block id, which is the field's name; what was left empty is left out."""
    values: dict[str, str] = {}
    for name, elements in ((view.get("state") or {}).get("values") or {}).items():
        for element in elements.values():
            value = element.get("value")
            if element.get("selected_option"):
                value = element["selected_option"].get("value")
            if value not in (None, ""):
                values[name] = str(value)
    return values


def message_from_shortcut(body: Mapping[str, Any], direct: str | None, now: datetime) -> Message | None:
    """The message of a global or message shortcut. `direct` is the channel of the user's direct messages, if known."""
    callback, team, user = str(body.get("callback_id", "")), _team(body), body["user"]
    if callback not in SHORTCUTS:
        return None
    said = body.get("message") or {}
    command, text = SHORTCUTS[callback], ""
    if body.get("type") == "message_action":
        channel, thread = body["channel"]["id"], said.get("thread_ts") or said.get("ts")
        written = typed_text(str(said.get("text", ""))).strip()
        command, _, text = written.removeprefix("@agent ").removeprefix("/").partition(" ")
    else:
        channel, thread = direct or user["id"], None
    return Message(
        transport=TRANSPORT,
        account=team,
        event_id=f"shortcut:{body['trigger_id']}",
        conversation=ConversationId(TRANSPORT, team, channel, thread),
        sender=_sender(user["id"], user.get("username") or user.get("name"), user.get("team_id") or team),
        kind=MessageKind.COMMAND,
        command=command or "help",
        text=text,
        message_ref=said.get("ts"),
        sent_at=now,
        mentions_us=True,
        reply_context=_reply_context(body.get("response_url"), now),
    )


def plain_text(text: str, me: Me | None = None) -> str:
    """What a person reads of mrkdwn: links by their labels, entities as characters; mentions of us are left out."""

    def shown(found: re.Match[str]) -> str:
        sign, target, label = found[1], found[2], found[3]
        if sign == "@":
            return "" if me is not None and target == me.user else f"@{label or target}"
        if sign == "#":
            return f"#{label or target}"
        if sign == "!":
            return label or f"@{target.partition('^')[0]}"
        bare = target.removeprefix("mailto:").removeprefix("tel:")
        if not label or bare.endswith(label):
            return label or bare
        return f"{label} ({bare})"

    text = _MARKUP.sub(shown, text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def typed_text(text: str, me: Me | None = None) -> str:
    """The command that was typed, undoing what clients make of quotes and dashes."""
    return _DASHES.sub("--", plain_text(text, me).translate(_QUOTES)).strip()


def time_of(ts: str) -> datetime | None:
    """The time of a message's ts (seconds, dot, a number)."""
    try:
        return datetime.fromtimestamp(float(ts), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def wants_files(message: Message) -> bool:
    """Whether a message's files are for us: those of what is said to us, and those that somebody sends us directly."""
    return message.kind is MessageKind.TEXT and (message.mentions_us or message.conversation.channel.startswith("D"))


def _said(body: Mapping[str, Any], event: Mapping[str, Any], me: Me) -> Message | None:
    edited = event.get("subtype") == "message_changed"
    said = event.get("message") or {} if edited else event
    if not _is_a_persons(event, said, me, edited):
        return None
    channel, ts, team = str(event["channel"]), str(said["ts"]), _team(body)
    raw = str(said.get("text", ""))
    direct = event.get("channel_type") == "im" or channel.startswith("D")
    mentioned = f"<@{me.user}" in raw
    # Without words (a picture alone) nothing is said that could be answered.
    for_us = (direct and bool(raw or not said.get("files"))) or mentioned
    thread = said.get("thread_ts")
    if mentioned and not direct:
        thread = thread or ts
    # A mention comes as two events, app_mention and message: the message's own identity makes them one.
    edit = f":{(said.get('edited') or {}).get('ts', '')}" if edited else ""
    return Message(
        transport=TRANSPORT,
        account=team,
        event_id=f"message:{channel}:{ts}{edit}",
        conversation=ConversationId(TRANSPORT, team, channel, thread),
        sender=_sender(said["user"], None, said.get("user_team") or said.get("team") or team),
        text=typed_text(raw, me) if for_us else plain_text(raw, me).strip(),
        message_ref=ts,
        attachments=tuple(map(_attachment, said.get("files") or ())),
        sent_at=time_of(ts),
        mentions_us=for_us,
        edited=edited,
    )


def _is_a_persons(event: Mapping[str, Any], said: Mapping[str, Any], me: Me, edited: bool) -> bool:
    """Whether a person said it; of an edited message, whether the words changed (an unfurled link changes it too)."""
    if said.get("bot_id") or said.get("user") in (None, me.user, "USLACKBOT"):
        return False
    if edited:
        return bool(said.get("text") != (event.get("previous_message") or {}).get("text"))
    return event.get("subtype", "") in _HEARD_SUBTYPES


def _home_opened(body: Mapping[str, Any], event: Mapping[str, Any]) -> Message:
    team, user = _team(body), str(event["user"])
    return Message(
        transport=TRANSPORT,
        account=team,
        event_id=f"event:{body['event_id']}",
        conversation=ConversationId(TRANSPORT, team, f"{HOME}{user}"),
        sender=_sender(user, None, team),
        kind=MessageKind.COMMAND,
        command="home",
        sent_at=time_of(str(event.get("event_ts", ""))),
    )


def _team(body: Mapping[str, Any]) -> str:
    """The workspace that the payload is for."""
    team = body.get("team")
    found = (team or {}).get("id") if isinstance(team, dict) else team
    return str(found or body.get("team_id") or (body.get("user") or {}).get("team_id") or "")


def _sender(user: object, name: object, workspace: object) -> Sender:
    return Sender(str(user), str(name or user), str(workspace))


def _attachment(file: Mapping[str, Any]) -> Attachment:
    return Attachment(
        name=str(file.get("name") or file.get("title") or file["id"]),
        content_type=str(file.get("mimetype") or "application/octet-stream"),
        size=int(file.get("size") or 0),
        url=file.get("url_private_download") or file.get("url_private"),
    )


def _reply_context(url: object, now: datetime, *, pressed: bool = False) -> dict[str, Any]:
    """Where to answer; `pressed`: an answer there may replace the message whose button was pressed."""
    if not url:
        return {}
    context: dict[str, Any] = {"response_url": str(url), "until": (now + RESPONSE_LIFE).timestamp()}
    if pressed:
        context["pressed"] = True
    return context
