"""Where an outbound goes, and by which of Discord's ways: each once, also when the answer to a request was lost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from vtoc_bots import (
    Card,
    File,
    Image,
    NotFound,
    Outbound,
    OutboundKind,
    RateLimited,
    Receipt,
    Refused,
    SendError,
    TransportContext,
)
from vtoc_bots.plugins.discord.acks import Acks
from vtoc_bots.plugins.discord.answers import EPHEMERAL, LOADING
from vtoc_bots.plugins.discord.api import DiscordApi, Upload
from vtoc_bots.plugins.discord.failures import CLOSED_CHANNEL, GONE_TOKEN, UNKNOWN_MESSAGE, DiscordRefused
from vtoc_bots.plugins.discord.render import Rendered, Stored, is_marked, mark_of, rendered_card
from vtoc_bots.plugins.discord.wire import TOKEN_LIVES, id_at, sending_channel

MOST_BYTES: Final = 2**20
"""Files above it become links."""
NONCE_CHARACTERS: Final = 25
_MARGIN: Final = timedelta(seconds=10)
"""A token is not used in its last seconds: the request must still arrive."""
_SETTLING: Final = timedelta(seconds=10)
"""Time after an interaction in which its acknowledgement may still be under way, in another process."""
_SOON_SECONDS: Final = 0.3
_SKEW: Final = timedelta(minutes=2)
_MOST_PAGES: Final = 5

_STANDS: Final = (OutboundKind.PROGRESS, OutboundKind.APPROVAL)
"""Kinds whose edit is pointless once the message is gone."""


@dataclass(frozen=True, slots=True)
class _Interaction:
    """The interaction that an outbound answers, while it can be answered."""

    id: str
    token: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Original:
    """What stands as the answer of an interaction."""

    waits: bool
    """Whether it is the deferred message, still without content."""
    private: bool
    message: Mapping[str, Any]


class Sender:
    """Sends and edits messages, and finds out what became of one."""

    def __init__(self, api: DiscordApi, context: TransportContext, acks: Acks) -> None:
        self._api, self._context, self._acks = api, context, acks

    async def send(self, outbound: Outbound) -> Receipt:
        """Send or edit. Raises NotSent, Unknown, RateLimited or Refused."""
        rendered = await self._rendered(outbound)
        if outbound.edits is not None:
            return await self._edit(outbound, outbound.edits, rendered)
        interaction = self._interaction(outbound)
        if interaction is not None:
            receipt = await self._answer(outbound, interaction, rendered)
            if receipt is not None:
                return receipt
        if outbound.private_to is not None and not _is_direct(outbound):
            if outbound.kind is OutboundKind.PROGRESS:
                raise Refused("discord: progress for one person ends with the interaction")
            return await self._post(outbound, await self._api.direct(outbound.private_to), rendered, private=True)
        return await self._post(outbound, sending_channel(outbound.conversation), rendered)

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """Whether Discord has it: as the answer of its interaction, or among the messages since it was made.

        Raises Refused where Discord can't tell: of a private message that came after the answer.
        """
        mark = mark_of(outbound.id, outbound.key)
        interaction = self._interaction(outbound)
        original = None if interaction is None else await self._original(interaction)
        if original is not None and is_marked(original.message, mark):
            return self._receipt(original.message, private=original.private)
        channel = sending_channel(outbound.conversation)
        if outbound.private_to is not None and not _is_direct(outbound):
            channel = await self._api.direct(outbound.private_to)
        me, nonce, after = await self._api.me(), nonce_of(outbound), id_at(mark - _SKEW)
        for _ in range(_MOST_PAGES):
            messages = await self._api.recent(channel, after)
            for message in messages:
                ours = str(message.get("author", {}).get("id")) == me
                if ours and (message.get("nonce") == nonce or is_marked(message, mark)):
                    return self._receipt(message, private=outbound.private_to is not None, hook=False)
            if len(messages) < 100:
                break
            after = max((str(message["id"]) for message in messages), key=int)
        still_waits = original is not None and original.waits and original.private
        if interaction is not None and outbound.private_to is not None and not still_waits:
            raise Refused("discord: a private message after an interaction's answer can't be looked up")
        return None

    # Answers of interactions

    def _interaction(self, outbound: Outbound) -> _Interaction | None:
        context = outbound.reply_context
        try:
            until = datetime.fromisoformat(context["until"])
            found = _Interaction(str(context["interaction"]), str(context["token"]), until)
        except (KeyError, TypeError, ValueError):
            return None
        return found if self._context.clock.now() < until - _MARGIN else None

    async def _answer(self, outbound: Outbound, interaction: _Interaction, rendered: Rendered) -> Receipt | None:
        """Send as the answer of the interaction or after it; None where that can't be, any more."""
        private = outbound.private_to is not None
        first = outbound.kind is OutboundKind.REPLY or (outbound.kind is OutboundKind.PAGE and outbound.revision == 0)
        kind = await self._acks.kind(interaction.id)
        try:
            if first and (kind == "private" or (kind == "deferred" and not private)):
                # The first to answer: doing it twice is doing it once.
                edited = await self._api.edit_by_hook(interaction.token, "@original", *_parts(rendered))
                return self._receipt(edited, private=kind == "private")
            original = await self._original(interaction)
            if original is None:
                return None
            mark = mark_of(outbound.id, outbound.key)
            if is_marked(original.message, mark) and not original.waits:
                return self._receipt(original.message, private=original.private)
            if original.waits and (original.private or not private) and (first or private == original.private):
                edited = await self._api.edit_by_hook(interaction.token, "@original", *_parts(rendered))
                return self._receipt(edited, private=original.private)
            receipt = await self._after(outbound, interaction, rendered)
            if original.waits:
                await self._taken_away(interaction)
            return receipt
        except DiscordRefused as refusal:
            if refusal.code in GONE_TOKEN or refusal.code == UNKNOWN_MESSAGE:
                return None
            raise

    async def _after(self, outbound: Outbound, interaction: _Interaction, rendered: Rendered) -> Receipt:
        """One more message: for one person by the interaction, for all by the bot, which can be made unrepeatable."""
        if outbound.private_to is not None:
            body, files = _parts(rendered)
            sent = await self._api.follow_up(interaction.token, {**body, "flags": EPHEMERAL}, files)
            return self._receipt(sent, private=True)
        try:
            return await self._post(outbound, sending_channel(outbound.conversation), rendered)
        except DiscordRefused as refusal:
            if refusal.code not in CLOSED_CHANNEL:
                raise
            # Commands also work where the bot itself may not write.
            return self._receipt(await self._api.follow_up(interaction.token, *_parts(rendered)), private=False)

    async def _original(self, interaction: _Interaction) -> _Original | None:
        """What stands as the answer; None where Discord knows none. Raises RateLimited while it may be under way."""
        try:
            message = await self._api.original(interaction.token)
        except DiscordRefused as refusal:
            if refusal.code not in GONE_TOKEN and refusal.code != UNKNOWN_MESSAGE:
                raise
            if await self._acks.kind(interaction.id) is None:
                self._check_settled(interaction, refusal)
            return None
        flags = int(message.get("flags") or 0)
        return _Original(bool(flags & LOADING), bool(flags & EPHEMERAL), message)

    async def _taken_away(self, interaction: _Interaction) -> None:
        """The waiting message, where the answer came another way. If that fails it says by itself that it waited."""
        try:
            await self._api.delete_original(interaction.token)
        except SendError:
            return

    # Messages

    async def _post(self, outbound: Outbound, channel: str, rendered: Rendered, *, private: bool = False) -> Receipt:
        """Send by the bot. Within minutes Discord itself drops a repeat, by the nonce."""
        body, files = _parts(rendered)
        made: dict[str, Any] = {**body, "nonce": nonce_of(outbound), "enforce_nonce": True}
        if outbound.reply_to is not None and not private:
            made["message_reference"] = {"message_id": outbound.reply_to, "fail_if_not_exists": False}
        return self._receipt(await self._api.create(channel, made, files), private=private, hook=False)

    async def _edit(self, outbound: Outbound, edits: Receipt, rendered: Rendered) -> Receipt:
        """Replace a message: by the interaction while its token lives, else by the bot, else by a new one."""
        private, direct = bool(edits.detail.get("private")), bool(edits.detail.get("direct"))
        channel = str(edits.detail.get("channel") or sending_channel(outbound.conversation))
        interaction = self._interaction(outbound)
        try:
            if interaction is not None and (outbound.kind is OutboundKind.PAGE or edits.detail.get("hook")):
                edited = await self._edit_by_hook(outbound, edits, interaction, rendered)
                if edited is not None:
                    return edited
            if not private or direct:
                return self._again(edits, await self._api.edit(channel, edits.ref, *_parts(rendered)))
        except DiscordRefused as refusal:
            if refusal.code != UNKNOWN_MESSAGE:
                raise
        if outbound.kind in _STANDS:
            return edits
        if private and outbound.private_to is not None:
            channel = await self._api.direct(outbound.private_to)
        return await self._post(outbound, channel, rendered, private=private)

    async def _edit_by_hook(
        self, outbound: Outbound, edits: Receipt, interaction: _Interaction, rendered: Rendered
    ) -> Receipt | None:
        """Edit by the interaction; None where that can't be, any more. Raises RateLimited where it can't be yet."""
        # A page's button was acknowledged by an edit to come: its message is the original.
        which = "@original" if outbound.kind is OutboundKind.PAGE else edits.ref
        known = await self._acks.kind(interaction.id) is not None
        try:
            return self._again(edits, await self._api.edit_by_hook(interaction.token, which, *_parts(rendered)))
        except DiscordRefused as refusal:
            if refusal.code not in GONE_TOKEN and refusal.code != UNKNOWN_MESSAGE:
                raise
            if not known:
                self._check_settled(interaction, refusal)
            return None

    def _check_settled(self, interaction: _Interaction, refusal: DiscordRefused) -> None:
        """Raises RateLimited while another process may still be acknowledging the interaction."""
        made_at = interaction.until - TOKEN_LIVES
        if self._context.clock.now() - made_at < _SETTLING:
            raise RateLimited("discord: the interaction is not acknowledged yet", _SOON_SECONDS) from refusal

    def _receipt(self, message: Mapping[str, Any], *, private: bool, hook: bool = True) -> Receipt:
        """Proof of a message, and what it takes to edit it. An ephemeral one can only be edited by its interaction."""
        ephemeral = bool(int(message.get("flags") or 0) & EPHEMERAL)
        detail: dict[str, Any] = {"channel": str(message["channel_id"]), **({"hook": True} if hook else {})}
        if private:
            detail |= {"private": True, "direct": not ephemeral}
        return Receipt(str(message["id"]), self._context.clock.now(), detail)

    def _again(self, edits: Receipt, message: Mapping[str, Any]) -> Receipt:
        detail = {**edits.detail, "channel": str(message["channel_id"])}
        return Receipt(str(message["id"]), self._context.clock.now(), detail)

    # Files

    async def _rendered(self, outbound: Outbound) -> Rendered:
        stored = {block.blob: await self._stored(block) for block in _file_blocks(outbound.card)}
        mark = mark_of(outbound.id, outbound.key)
        direct = _is_direct(outbound)
        return rendered_card(outbound.card, mark, stored, may_be_repeat=outbound.may_be_repeat, direct=direct)

    async def _stored(self, block: Image | File) -> Stored:
        """Small files themselves, large ones as links."""
        if block.size <= MOST_BYTES:
            try:
                data = await self._context.blobs.get(block.blob)
            except NotFound:
                return Stored(problem="it is kept no longer")
            if len(data) <= MOST_BYTES:
                return Stored(data)
        link = await self._context.link(block.blob, block.name, block.content_type)
        return Stored(
            link=link, problem="" if link else "it is too large to be sent here; set VTOC_PUBLIC_URL for links"
        )


def nonce_of(outbound: Outbound) -> str:
    """What Discord knows a repeat by: at most 25 characters, the same for every try of the same revision."""
    text = f"{outbound.key}#{outbound.revision}"
    return hashlib.sha256(text.encode()).hexdigest()[:NONCE_CHARACTERS]


def _parts(rendered: Rendered) -> tuple[Mapping[str, Any], Sequence[Upload]]:
    return rendered.body, rendered.files


def _is_direct(outbound: Outbound) -> bool:
    """Whether the conversation is one of direct messages, where everything is for one person."""
    return bool(outbound.reply_context.get("direct"))


def _file_blocks(card: Card) -> list[Image | File]:
    return [block for block in card.blocks if isinstance(block, Image | File)]
