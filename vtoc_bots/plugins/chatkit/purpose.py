"""Which thread a card belongs in: the one it answers in, its mission's, its alert's or the channel's own."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from vtoc_bots import Outbound, OutboundKind, Receipt, ThreadRows, TransportContext, markup

MISSION: Final = "mission:"
"""Before a mission's code, where a conversation names its thread so: it is made when first needed."""
CHANNEL: Final = ThreadRows.CHANNEL
LONGEST_TITLE: Final = 80
MOST_KNOWN: Final = 4096


class Purpose(NamedTuple):
    """What a thread is for: `name` is one thread of its channel, `kind` is ``mission`` or ``alert``."""

    name: str
    kind: str
    title: str
    mission: str | None = None


class Threads:
    """The threads that stand for something: remembered by what they are for, and the other way about."""

    def __init__(self, context: TransportContext) -> None:
        self._context = context
        self._known: OrderedDict[str, str] = OrderedDict()

    async def of(self, channel: str, purpose: Purpose) -> str | None:
        """The thread of a purpose; None before it is made. Raises TransientError."""
        return await self._context.recall(f"{channel}/{purpose.name}")

    async def made(self, channel: str, purpose: Purpose, thread: str) -> str:
        """Remember a thread that was made for a purpose; the one that was first. Raises TransientError."""
        first = await self._context.recall(f"{channel}/{purpose.name}", thread) or thread
        if purpose.kind == "mission":
            await self._context.recall(f"thread:{first}", purpose.name)
            self._know(first, purpose.name)
        return first

    async def named(self, thread: str) -> str | None:
        """A thread as conversations name it: a mission's by its code, the channel's own not at all, others by their
        ids. Raises TransientError."""
        name = self._known.get(thread) or await self._context.recall(f"thread:{thread}")
        if name is None:
            return thread
        self._know(thread, name)
        return None if name == CHANNEL else name

    def _know(self, thread: str, name: str) -> None:
        self._known[thread] = name
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def purpose_of(outbound: Outbound) -> Purpose | None:
    """The purpose of a card's thread; None where its conversation names a thread."""
    channel, thread = outbound.conversation.channel, outbound.conversation.thread
    title = markup.clean_line(outbound.card.title).strip()[:LONGEST_TITLE]
    if thread is not None and thread.startswith(MISSION):
        code = thread.removeprefix(MISSION)
        return Purpose(thread, "mission", f"{code}: {title}" if title else code, code)
    if thread == CHANNEL:
        return Purpose(CHANNEL, "mission", channel.upper())
    if thread is not None:
        return None
    if outbound.kind is OutboundKind.NOTICE or outbound.message_id is None:
        return Purpose(f"alert:{outbound.key}", "alert", title or channel.upper())
    return Purpose(CHANNEL, "mission", channel.upper())


def thread_of_receipt(receipt: Receipt | None) -> str | None:
    """The thread in which something was shown."""
    return None if receipt is None else receipt.detail.get("thread")
