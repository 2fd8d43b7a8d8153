"""Which thread a card belongs in: the one it answers in, its mission's, its alert's or the channel's own."""

from __future__ import annotations

from typing import Final, NamedTuple

from vtoc_bots import Outbound, OutboundKind, Receipt, markup

MISSION: Final = "mission:"
"""Before a mission's code, where a conversation names its thread so: it is made when first needed."""
CHANNEL: Final = "channel"
LONGEST_TITLE: Final = 80


class Purpose(NamedTuple):
    """What a thread is for: `name` is one thread of its channel, `kind` is ``mission`` or ``alert``."""

    name: str
    kind: str
    title: str
    mission: str | None = None


def purpose_of(outbound: Outbound) -> Purpose | None:
    """The purpose of a card's thread; None where its conversation names a thread."""
    channel, thread = outbound.conversation.channel, outbound.conversation.thread
    title = markup.clean_line(outbound.card.title).strip()[:LONGEST_TITLE]
    if thread is not None and thread.startswith(MISSION):
        code = thread.removeprefix(MISSION)
        return Purpose(thread, "mission", f"{code}: {title}" if title else code, code)
    if thread is not None:
        return None
    if outbound.kind is OutboundKind.NOTICE or outbound.message_id is None:
        return Purpose(f"alert:{outbound.key}", "alert", title or channel.upper())
    return Purpose(CHANNEL, "mission", channel.upper())


def thread_of_receipt(receipt: Receipt | None) -> str | None:
    """The thread in which something was shown."""
    return None if receipt is None else receipt.detail.get("thread")
