"""Finding out what became of a sending that ended unknown, by the metadata of our own messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from vtoc_bots import Outbound, OutboundKind, Receipt, Refused, TransportContext
from vtoc_bots.plugins.slack.api import SlackApi
from vtoc_bots.plugins.slack.files import files_of, unique_name
from vtoc_bots.plugins.slack.sending import METADATA, Done, SlackSender, created_at
from vtoc_bots.plugins.slack.wire import HOME, time_of

BEFORE_SECONDS: Final = 120.0
"""How much our clock may differ from Slack's."""
PAGE: Final = 200
PAGES: Final = 10


async def found_receipt(
    api: SlackApi, sender: SlackSender, context: TransportContext, outbound: Outbound
) -> Receipt | None:
    """The receipt of an outbound that is shown whole, else None; the sender is told what is there of one shown in part.

    An App Home is published once more: nobody sees that. Raises Refused where Slack can't tell: of an ephemeral
    message, and where the app may not read.
    """
    if outbound.conversation.channel.startswith(HOME):
        if outbound.kind in (OutboundKind.REPLY, OutboundKind.PAGE):
            return None
        raise Refused("slack: what was written to who has the app's home open is not looked up")
    place = await sender.place(api, outbound)
    if place.only is not None:
        raise Refused("slack: an ephemeral message can't be looked up")
    parts: dict[int, str] = {}
    wanted, files, names = 1, 0, set[str]()
    async for message in _messages(api, place.channel, place.thread, outbound):
        metadata = message.get("metadata") or {}
        payload = metadata.get("event_payload") or {}
        names |= {str(file.get("name")) for file in message.get("files") or ()}
        if metadata.get("event_type") == METADATA and payload.get("key") == outbound.key:
            parts[int(payload.get("part", 0))] = str(message["ts"])
            wanted, files = int(payload.get("parts", 1)), int(payload.get("files", 0))
    done = Done(place.channel, [])
    while len(done.parts) in parts:
        done.parts.append(parts[len(done.parts)])
    done.files = files == 0 or _first_name(outbound) in names
    if not done.parts:
        return None
    if len(done.parts) < wanted or not done.files:
        sender.remember(outbound, done)
        return None
    titles = [block.name for block in files_of(outbound.card)]
    detail = {"channel": place.channel, "parts": done.parts, "titles": titles}
    return Receipt(done.parts[0], time_of(done.parts[0]) or context.clock.now(), detail)


def _first_name(outbound: Outbound) -> str:
    files = files_of(outbound.card)
    return unique_name(outbound, 0, files[0].name if files else "reply.txt")


async def _messages(
    api: SlackApi, channel: str, thread: str | None, outbound: Outbound
) -> AsyncIterator[Mapping[str, Any]]:
    """The conversation's messages since shortly before the outbound was made."""
    method = "conversations.replies" if thread else "conversations.history"
    oldest = f"{created_at(outbound.id).timestamp() - BEFORE_SECONDS:.6f}"
    cursor: str | None = None
    for _ in range(PAGES):
        answer = await api.get(
            method,
            channel=channel,
            ts=thread,
            oldest=oldest,
            limit=PAGE,
            include_all_metadata="true",
            cursor=cursor,
        )
        for message in answer.get("messages") or ():
            yield message
        cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
        if not cursor:
            return
