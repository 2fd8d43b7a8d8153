"""Payloads as Slack sends them: events, slash commands and interactivity, in the shapes of its documentation."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

from tests.slack_server import APP, BOT_USER, SECRET, TEAM, FakeSlack


def callback(slack: FakeSlack, event: dict[str, Any]) -> dict[str, Any]:
    """An Events API callback around an event."""
    return {
        "token": "ZZZZZZWSxiZZZ2yIvs3peJ",
        "team_id": TEAM,
        "context_team_id": TEAM,
        "context_enterprise_id": None,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": slack.id("Ev"),
        "event_time": int(slack.now()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": "4-eyJldCI6Im1lc3NhZ2UifQ",
    }


def said(
    slack: FakeSlack, user: str, text: str, channel: str, thread: str | None = None, **more: Any
) -> dict[str, Any]:
    """A message event; the message is in the channel then."""
    place = slack.channels[channel]
    ts = slack.ts()
    block = {"type": "rich_text", "block_id": "ARFK", "elements": []}
    event = {
        "client_msg_id": f"fa26f0ab-{ts}",
        "type": "message",
        "text": text,
        "user": user,
        "ts": ts,
        "blocks": [block],
        "team": TEAM,
        "channel": channel,
        "event_ts": ts,
        "channel_type": "im" if place.user else "channel",
        **({"thread_ts": thread} if thread else {}),
        **more,
    }
    place.messages.append(
        {key: event[key] for key in ("type", "text", "user", "ts")} | ({"thread_ts": thread} if thread else {})
    )
    return event


def mention_of(event: dict[str, Any]) -> dict[str, Any]:
    """The other event of a message that mentions us: Slack sends both, with ids of their own."""
    kept = ("client_msg_id", "text", "user", "ts", "blocks", "team", "channel", "event_ts", "thread_ts", "files")
    return {"type": "app_mention", **{key: event[key] for key in kept if key in event}}


def edited(event: dict[str, Any], text: str, ts: str) -> dict[str, Any]:
    """The event of a message whose text was changed."""
    before = {key: event[key] for key in ("type", "user", "text", "ts", "team", "client_msg_id")}
    return {
        "type": "message",
        "subtype": "message_changed",
        "message": {**before, "text": text, "edited": {"user": event["user"], "ts": ts}},
        "previous_message": before,
        "channel": event["channel"],
        "hidden": True,
        "ts": ts,
        "event_ts": ts,
        "channel_type": event["channel_type"],
    }


def reaction(user: str, name: str, channel: str, ts: str, at: str, author: str) -> dict[str, Any]:
    """A reaction to a message."""
    return {
        "type": "reaction_added",
        "user": user,
        "reaction": name,
        "item": {"type": "message", "channel": channel, "ts": ts},
        "item_user": author,
        "event_ts": at,
    }


def home_opened(user: str, channel: str, at: str, tab: str = "home") -> dict[str, Any]:
    """A user's look at the app's home."""
    return {"type": "app_home_opened", "user": user, "channel": channel, "tab": tab, "event_ts": at}


def slash(slack: FakeSlack, user: str, command: str, text: str, channel: str) -> dict[str, Any]:
    """A slash command."""
    return {
        "token": "ZZZZZZWSxiZZZ2yIvs3peJ",
        "team_id": TEAM,
        "team_domain": "centre",
        "channel_id": channel,
        "channel_name": "directmessage" if channel.startswith("D") else "hall",
        "user_id": user,
        "user_name": user.lower(),
        "command": command,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": slack.response_url(),
        "trigger_id": slack.trigger(),
    }


def _interaction(slack: FakeSlack, kind: str, user: str) -> dict[str, Any]:
    return {
        "type": kind,
        "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": TEAM},
        "api_app_id": APP,
        "token": "ZZZZZZWSxiZZZ2yIvs3peJ",
        "trigger_id": slack.trigger(),
        "team": {"id": TEAM, "domain": "centre"},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def pressed(
    slack: FakeSlack,
    user: str,
    message: dict[str, Any],
    channel: str,
    element: dict[str, Any],
    block_id: str,
    value: str,
) -> dict[str, Any]:
    """A press of a button, or a choice in a menu, of a message that is shown to all or to one."""
    ephemeral = "user" in message and message.get("bot_id") is None
    container = {
        "type": "message",
        "message_ts": message["ts"],
        "channel_id": channel,
        "is_ephemeral": ephemeral,
        **({"thread_ts": message["thread_ts"]} if message.get("thread_ts") and not ephemeral else {}),
    }
    chosen = next((o for o in element.get("options", ()) if o["value"] == value), None)
    action = {
        "action_id": element["action_id"],
        "block_id": block_id,
        "type": element["type"],
        "action_ts": slack.ts(),
        **({"selected_option": chosen} if chosen else {"value": value, "text": element.get("text")}),
    }
    shown = {} if ephemeral else {"message": {key: message[key] for key in message if key != "metadata"}}
    return {
        **_interaction(slack, "block_actions", user),
        "container": container,
        "channel": {"id": channel, "name": "hall"},
        **shown,
        "state": {"values": {}},
        "response_url": slack.response_url(),
        "actions": [action],
    }


def pressed_at_home(
    slack: FakeSlack, user: str, view: dict[str, Any], element: dict[str, Any], block_id: str, value: str
) -> dict[str, Any]:
    """A press of a button in the App Home, which has neither a channel nor a response_url."""
    action = {"action_id": element["action_id"], "block_id": block_id, "type": "button", "value": value}
    return {
        **_interaction(slack, "block_actions", user),
        "container": {"type": "view", "view_id": view["id"]},
        "view": {**view, "type": "home"},
        "actions": [{**action, "action_ts": slack.ts()}],
    }


def submitted(slack: FakeSlack, user: str, view: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    """A modal that was sent off."""
    state: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] != "input":
            continue
        element, value = block["element"], values.get(block["block_id"])
        given: dict[str, Any] = {"type": element["type"]}
        if element["type"] == "static_select":
            groups = element.get("option_groups", [{"options": element.get("options", [])}])
            options = [option for group in groups for option in group["options"]]
            given["selected_option"] = next((o for o in options if o["value"] == value), None)
        else:
            given["value"] = value
        state[block["block_id"]] = {element["action_id"]: given}
    return {
        **_interaction(slack, "view_submission", user),
        "view": {
            **view,
            "team_id": TEAM,
            "state": {"values": state},
            "hash": "156772938.1827394",
            "bot_id": "B0BOT0001",
        },
        "response_urls": [],
    }


def shortcut(slack: FakeSlack, user: str, callback_id: str) -> dict[str, Any]:
    """A global shortcut."""
    return {**_interaction(slack, "shortcut", user), "callback_id": callback_id, "action_ts": slack.ts()}


def message_shortcut(
    slack: FakeSlack, user: str, callback_id: str, message: dict[str, Any], channel: str
) -> dict[str, Any]:
    """A shortcut of a message."""
    return {
        **_interaction(slack, "message_action", user),
        "callback_id": callback_id,
        "action_ts": slack.ts(),
        "response_url": slack.response_url(),
        "message_ts": message["ts"],
        "channel": {"id": channel, "name": "hall"},
        "message": message,
    }


def encoded(payload: dict[str, Any]) -> tuple[str, str]:
    """A payload as the body of a request, and its content type."""
    if payload.get("type") in ("event_callback", "url_verification"):
        return json.dumps(payload), "application/json"
    if "command" in payload:
        return urlencode(payload), "application/x-www-form-urlencoded"
    return urlencode({"payload": json.dumps(payload)}), "application/x-www-form-urlencoded"


def signed(body: str | bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """The headers that say that Slack sent this."""
    timestamp = str(int(at))
    data = body if isinstance(body, bytes) else body.encode()
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + data, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def envelope_type(payload: dict[str, Any]) -> str:
    """What Socket Mode calls this kind of payload."""
    if payload.get("type") == "event_callback":
        return "events_api"
    return "slash_commands" if "command" in payload else "interactive"
