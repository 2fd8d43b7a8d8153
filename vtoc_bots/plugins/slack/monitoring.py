"""What is seen in monitored channels, as messages of kind EVENT: redacted, with the signals found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from vtoc_bots import ConversationId, Message, MessageKind, Sender
from vtoc_bots.plugins.slack.redaction import redacted
from vtoc_bots.plugins.slack.signals import Detector, detected
from vtoc_bots.plugins.slack.wire import TRANSPORT, Me, plain_text, time_of

EVENT: Final = "slack event"
_SEEN_SUBTYPES: Final = frozenset({"", "file_share", "thread_broadcast", "me_message", "bot_message"})


class Monitor:
    """Watches channels; `channels` are their ids and names (names become ids with `know`)."""

    def __init__(self, channels: Sequence[str], rules: Sequence[str], detectors: Sequence[Detector]) -> None:
        self._named = {name.removeprefix("#").casefold() for name in channels if not _is_id(name)}
        self._ids = {name for name in channels if _is_id(name)}
        self._rules, self._detectors = tuple(rules), tuple(detectors)

    @property
    def names(self) -> frozenset[str]:
        """Names whose ids are not known yet."""
        return frozenset(self._named)

    def know(self, name: str, channel: str) -> None:
        """The id of a channel, which is watched if it was asked for by this name."""
        if name.casefold() in self._named:
            self._named.discard(name.casefold())
            self._ids.add(channel)

    def watches(self, channel: str) -> bool:
        """Whether a channel is monitored."""
        return channel in self._ids

    def redacted(self, message: Message) -> Message:
        """A message without what must not be stored."""
        text, flagged = redacted(message.text, self._rules)
        return replace(message, text=text) if flagged else message

    def message_from_event(self, body: Mapping[str, Any], me: Me) -> Message | None:
        """What the Events API reports of a monitored channel; None for anything else."""
        event = body.get("event") or {}
        match event.get("type"):
            case "message" if event.get("channel") in self._ids:
                seen = self._posted(event, me)
            case "reaction_added" if (event.get("item") or {}).get("channel") in self._ids:
                seen = self._reacted(event, me)
            case _:
                return None
        return None if seen is None else self._message(body, seen, me)

    def _posted(self, event: Mapping[str, Any], me: Me) -> dict[str, Any] | None:
        actor = event.get("user") or event.get("bot_id")
        if event.get("subtype", "") not in _SEEN_SUBTYPES or actor in (None, me.user, me.bot):
            return None
        if event.get("bot_id") == me.bot:
            return None
        thread, ts = event.get("thread_ts"), str(event["ts"])
        is_reply = thread is not None and thread != ts
        text, flagged = redacted(plain_text(str(event.get("text", ""))).strip(), self._rules)
        return {
            "type": "message.thread_reply" if is_reply else "message.posted",
            "channel": event["channel"],
            "actor": str(actor),
            "ts": ts,
            "thread": thread,
            "text": text,
            "redacted": list(flagged),
            "files": len(event.get("files") or ()),
            "detected_signals": detected(text, self._detectors),
            "permalink": permalink(me, event["channel"], ts, thread if is_reply else None),
        }

    def _reacted(self, event: Mapping[str, Any], me: Me) -> dict[str, Any] | None:
        item = event["item"]
        if item.get("type") != "message" or event.get("user") == me.user:
            return None
        return {
            "type": "message.reaction",
            "channel": item["channel"],
            "actor": str(event["user"]),
            "ts": str(event["event_ts"]),
            "thread": None,
            "reaction": str(event["reaction"]),
            "to": item["ts"],
            "to_actor": event.get("item_user"),
            "detected_signals": [],
            "permalink": permalink(me, item["channel"], item["ts"], None),
        }

    def _message(self, body: Mapping[str, Any], seen: dict[str, Any], me: Me) -> Message:
        at = time_of(seen["ts"]) or datetime.fromtimestamp(float(body.get("event_time", 0)), UTC)
        document = {"event_id": body["event_id"], "workspace": me.team, "at": at.isoformat(), **seen}
        return Message(
            transport=TRANSPORT,
            account=me.team,
            event_id=f"seen:{body['event_id']}",
            conversation=ConversationId(TRANSPORT, me.team, seen["channel"]),
            sender=Sender(seen["actor"], seen["actor"], me.team),
            kind=MessageKind.EVENT,
            command=EVENT,
            arguments={"document": orjson.dumps(document).decode()},
            sent_at=at,
        )


def permalink(me: Me, channel: str, ts: str, thread: str | None) -> str:
    """The address of a message for people, as Slack makes it."""
    address = f"{me.url}archives/{channel}/p{ts.replace('.', '')}"
    return f"{address}?thread_ts={thread}&cid={channel}" if thread else address


def _is_id(name: str) -> bool:
    return len(name) >= 9 and name[0] in "CG" and name.isalnum() and name == name.upper()
