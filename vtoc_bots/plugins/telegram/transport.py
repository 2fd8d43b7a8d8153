"""The Telegram transport: one bot that receives by polling or webhook, and shows cards in its chats."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from aiohttp import web
from telegram.error import TelegramError

from vtoc_bots import (
    Caps,
    CommandSpec,
    Inbox,
    NotSent,
    Outbound,
    OutboundKind,
    Receipt,
    Refused,
    TransientError,
    TransportContext,
)
from vtoc_bots.plugins.telegram.api import ApiError, bot_api, is_token_refused, refused_token, send_error
from vtoc_bots.plugins.telegram.layout import pieces_from_card
from vtoc_bots.plugins.telegram.menu import publish_menus
from vtoc_bots.plugins.telegram.pace import Pace
from vtoc_bots.plugins.telegram.pieces import Piece, Wording, receipt_of, shown_in
from vtoc_bots.plugins.telegram.poller import POLL_SECONDS
from vtoc_bots.plugins.telegram.receiver import Receiver
from vtoc_bots.plugins.telegram.sender import Place, Sender, Unreachable
from vtoc_bots.plugins.telegram.settings import TelegramSettings
from vtoc_bots.plugins.telegram.supplies import supplies_of
from vtoc_bots.plugins.telegram.webhook import PATH, Webhook

logger = structlog.get_logger(__name__)

PROBE_SECONDS: Final = 5.0


class TelegramTransport:
    """One bot. `public_url`: where people reach our web server; with a secret, Telegram calls us there."""

    caps = Caps(edit=True, threads=True, dialog=True, private=True, buttons=True, files=True, text_limit=4096)

    def __init__(
        self,
        context: TransportContext,
        settings: TelegramSettings,
        public_url: str | None,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        url = f"{public_url}{PATH}" if public_url and settings.secret else None
        self._context, self._clock = context, context.clock
        self._api = bot_api(settings)
        self._pace = Pace(context.clock)
        self._sender = Sender(self._api.bot, self._pace, context.clock)
        self._webhook = Webhook(settings.secret)
        self._receives_posts = url is not None
        self._receiver = Receiver(self._api.bot, self._sender, self._webhook, context, settings, url, poll_seconds)

    def routes(self) -> Sequence[web.RouteDef]:
        """The webhook, where it is set."""
        return (web.post(PATH, self._webhook.handle),) if self._receives_posts else ()

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled: one process of the installation polls or keeps the webhook set; each that serves
        the web takes in what is posted. Raises StartupError for a wrong token or secret."""
        async with self._api.use():
            await self._receiver.run(inbox)

    async def send(self, outbound: Outbound) -> Receipt:
        """Show a card, or make the one that is shown into it.

        One that only the asker may see goes to them directly; where they never wrote to the bot, a note says so in the
        group. Raises NotSent, Unknown, RateLimited or Refused, with the receipt of what is shown by then.
        """
        async with self._api.use():
            return await self._shown(outbound)

    async def _shown(self, outbound: Outbound) -> Receipt:
        pieces = pieces_from_card(outbound.card, await supplies_of(outbound.card, self._context))
        home, edits = _home(outbound), outbound.edits
        noted = edits is not None and bool(edits.detail.get("note"))
        if edits is None or noted:
            place = _private(outbound, home) or home
        else:
            chat = int(edits.detail["chat"])
            place = Place(chat, home.thread_id if chat == home.chat_id else None)
        try:
            shown = await self._sender.show(
                place,
                pieces,
                shown_in(edits.detail) if edits and not noted else (),
                may_be_repeat=outbound.may_be_repeat,
                renew=outbound.kind is not OutboundKind.PROGRESS,
            )
        except Unreachable:
            if noted and edits is not None:
                return edits
            if place.chat_id == home.chat_id or not home.is_group or outbound.kind is OutboundKind.PROGRESS:
                raise
            return await self._noted(home)
        return receipt_of(self._sender.chat_of(place), shown, self._clock.now())

    async def publish(self, commands: Sequence[CommandSpec]) -> None:
        """Set the menus of private chats and groups, where they are not so yet. Raises NotSent."""
        try:
            async with self._api.use() as bot:
                changed = await publish_menus(bot, commands)
        except TelegramError as error:
            raise NotSent(str(send_error(error))) from error
        logger.info("commands_published", changed=changed)

    async def probe(self) -> str:
        """Ask who we are and where updates stand. Raises VtocError with what is wrong."""
        began = self._clock.monotonic()
        try:
            async with self._api.use() as bot:
                me = await asyncio.wait_for(bot.get_me(), PROBE_SECONDS)
                milliseconds = (self._clock.monotonic() - began) * 1000
                state = await self._receiver.state()
        except TimeoutError:
            raise TransientError("telegram: the Bot API does not answer") from None
        except TelegramError as error:
            if isinstance(error, ApiError) and is_token_refused(error):
                raise refused_token(error.status) from error
            raise TransientError(str(send_error(error))) from error
        paced = f"; {self._pace.held_back} sends held back, {self._pace.limited} limited by Telegram"
        return f"@{me.username} answers in {milliseconds:.0f} ms; {state}, {self._receiver.age()}{paced}"

    async def _noted(self, home: Place) -> Receipt:
        """Say in the group, without a word of it, that there is an answer for the asker alone."""
        me = await self._receiver.known()
        words = (
            "There is an answer for you that only you may see, and I can't write to you first. Open"
            f" https://t.me/{me.username}, press Start, then ask again."
        )
        shown = await self._sender.show(home, [Piece("text", Wording(words, words))])
        return receipt_of(self._sender.chat_of(home), shown, self._clock.now(), note=True)


def _home(outbound: Outbound) -> Place:
    """Where the conversation is. Raises Refused for one that Telegram can't have."""
    conversation, reply_to = outbound.conversation, outbound.reply_to
    try:
        thread = int(conversation.thread) if conversation.thread else None
        number = int(reply_to) if reply_to and reply_to.isdecimal() else None
        return Place(int(conversation.channel), thread, number)
    except ValueError:
        raise Refused(f"telegram: {conversation} is no chat of Telegram") from None


def _private(outbound: Outbound, home: Place) -> Place | None:
    """The direct chat with the one person who may see it; None where anybody in the conversation may."""
    user = outbound.private_to
    if user is None or not user.isdecimal() or int(user) == home.chat_id:
        return None
    return Place(int(user))  # a person's id is also the id of the direct chat with them
