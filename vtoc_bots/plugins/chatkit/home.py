"""Shows cards in the threads that live here: each becomes items, written under ids that follow from its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson
import structlog

from vtoc_bots import (
    Card,
    ConversationId,
    File,
    Image,
    Message,
    NotFound,
    NotSent,
    Outbound,
    OutboundKind,
    Receipt,
    Refused,
    ThreadItem,
    ThreadRows,
    TransientError,
    TransportContext,
    VtocError,
)
from vtoc_bots.plugins.chatkit.purpose import CHANNEL, MISSION, Purpose, Threads, purpose_of, thread_of_receipt
from vtoc_bots.plugins.chatkit.widgets import (
    CHOICE,
    Json,
    choices_of_card,
    copy_text_of_card,
    is_finished,
    item_of,
    question_of_card,
    user_message,
    widget_of_card,
    workflow_of_card,
)

logger = structlog.get_logger(__name__)

MOST_BYTES: Final = 1_000_000
"""Of a picture that is within its item; larger ones are a signed link."""
ThreadMade = Callable[[Outbound, Purpose, str], Awaitable[None]]


class Home:
    """Threads that live here. `stations` are those whose channels have their names; others' belong to `own_station`."""

    def __init__(
        self,
        context: TransportContext,
        stations: Mapping[str, str],
        own_station: str,
        threads: Threads,
        made: ThreadMade,
    ) -> None:
        self._context, self._stations, self._own_station = context, stations, own_station
        self._threads, self._made = threads, made

    async def send(self, outbound: Outbound) -> Receipt:
        """Write a card's items, or change those that were written. Raises NotSent or Refused."""
        try:
            thread = thread_of_receipt(outbound.edits) or await self._thread(outbound)
            return await self._written(outbound, thread)
        except NotFound as error:
            raise Refused(f"chatkit: {error}") from error
        except TransientError as error:
            raise NotSent(f"chatkit: {error}") from error

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """None: writing the same items again is the same as finding them."""
        return None

    async def note(self, message: Message) -> None:
        """Show what somebody said where the thread is read; a failure changes nothing but that."""
        at = message.conversation
        try:
            thread = await self._of(at)
            name = hashlib.sha256(message.event_id.encode()).hexdigest()[:24]
            sent_at = (message.sent_at or self._context.clock.now()).isoformat()
            item = user_message(f"msg_{name}", thread, sent_at, [f"{message.sender.name}: {message.text}"])
            await self._rows.write(thread, [ThreadItem(item["id"], _text(item))])
        except VtocError as error:
            logger.info("message_not_shown", error=str(error))

    async def _of(self, at: ConversationId) -> str:
        """The thread of a conversation in which somebody speaks."""
        if at.thread is not None and not at.thread.startswith(MISSION):
            return await self.thread_for(at.channel, at.thread, at.thread, None)
        code = None if at.thread is None else at.thread.removeprefix(MISSION)
        purpose = Purpose(at.thread or CHANNEL, "mission", code or at.channel.upper(), code)
        thread = await self.thread_for(at.channel, None, purpose.title, purpose)
        return await self._threads.made(at.channel, purpose, thread)

    @property
    def _rows(self) -> ThreadRows:
        rows: ThreadRows | None = self._context.threads
        if rows is None:
            raise NotSent("chatkit: there is no store here")
        return rows

    async def _thread(self, outbound: Outbound) -> str:
        purpose = purpose_of(outbound)
        at = outbound.conversation
        if purpose is None:
            return await self.thread_for(at.channel, at.thread, str(at.thread), None)
        thread = await self.thread_for(at.channel, None, purpose.title, purpose)
        await self._threads.made(at.channel, purpose, thread)
        await self._made(outbound, purpose, thread)
        return thread

    async def thread_for(self, channel: str, thread_id: str | None, title: str, purpose: Purpose | None) -> str:
        """The thread of an id, or of a purpose, or the channel's own; made where there is none. Raises NotFound."""
        station = channel if channel in self._stations else self._own_station
        name = purpose.name if purpose else CHANNEL
        now = self._context.clock.now()
        return await self._rows.open(station, channel, title or channel.upper(), now, thread_id, name)

    async def keep_channels(self) -> None:
        """Make the channel that each station lacks. Raises TransientError; none for one that was deleted."""
        for slug, callsign in self._stations.items():
            purpose = Purpose(CHANNEL, "mission", callsign)
            try:
                await self._threads.made(slug, purpose, await self.thread_for(slug, None, callsign, purpose))
            except NotFound as error:
                logger.info("channel_deleted", channel=slug, error=str(error))

    async def _written(self, outbound: Outbound, thread: str) -> Receipt:
        edits = outbound.edits
        before: Sequence[str] = edits.detail.get("items", ()) if edits else ()
        created_at = edits.detail["created_at"] if edits else self._context.clock.now().isoformat()
        items = await self._items(outbound, thread, created_at, before)
        ids = [item.id for item in items]
        await self._rows.write(thread, items, [item_id for item_id in before if item_id not in ids])
        detail = {"thread": thread, "items": ids, "created_at": created_at}
        return Receipt(ids[0], self._context.clock.now(), detail)

    async def _items(self, outbound: Outbound, thread: str, created_at: str, before: Sequence[str]) -> list[ThreadItem]:
        card, own = outbound.card, outbound.id.hex

        def made(kind: str, prefix: str, content: Json, **behind: Any) -> ThreadItem:
            item = item_of(kind, f"{prefix}_{own}", thread, created_at, content)
            return ThreadItem(item["id"], _text(item), outbound.private_to, {"key": outbound.key, **behind})

        if outbound.kind is OutboundKind.PROGRESS:
            content: Json = {"workflow": workflow_of_card(card)}
            return [made("workflow", "wf", content, finished=is_finished(card))]
        choices = choices_of_card(card)
        asks = card.asks or (outbound.kind is OutboundKind.APPROVAL and bool(choices))
        widget = widget_of_card(card, await self._sources(card), may_be_repeat=outbound.may_be_repeat, buttons=not asks)
        items = [made("widget", "msg", {"widget": widget, "copy_text": copy_text_of_card(card)})]
        if asks:
            content = {"status": "pending", "inputs": [question_of_card(card)]}
            kind = "answer" if card.asks else "decision"
            items.append(made("structured_input", "si", content, choices=choices, asks=kind))
        elif f"si_{own}" in before:
            items.append(made("structured_input", "si", _decided(card)))
        return items

    async def _sources(self, card: Card) -> dict[Image | File, str]:
        """Where each picture and file can be had; those that can't be are told by their names."""
        found: dict[Image | File, str] = {}
        for block in card.blocks:
            if isinstance(block, Image):
                source = await self._picture(block)
            elif isinstance(block, File):
                source = await self._linked(block)
            else:
                continue
            if source is not None:
                found[block] = source
        return found

    async def _picture(self, block: Image) -> str | None:
        if block.size > MOST_BYTES:
            return await self._linked(block)
        try:
            data = await self._context.blobs.get(block.blob)
        except NotFound:
            return None
        if len(data) > MOST_BYTES:
            return await self._linked(block)
        return f"data:{block.content_type};base64,{base64.b64encode(data).decode()}"

    async def _linked(self, block: Image | File) -> str | None:
        return await self._context.link(block.blob, block.name, block.content_type)


def _decided(card: Card) -> Json:
    """A question that is decided: what came of it is its answer."""
    question = {
        "type": "freeform",
        "id": CHOICE,
        "question": card.title or "Decision",
        "answer": {"values": [copy_text_of_card(card)], "skipped": False},
    }
    return {"status": "answered", "inputs": [question]}


def _text(item: Mapping[str, Any]) -> str:
    return orjson.dumps(item).decode()
