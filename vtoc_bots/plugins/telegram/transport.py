"""The Telegram transport: one bot that receives by polling or webhook, and shows cards in its chats."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from aiohttp import web
from telegram.error import TelegramError

from vtoc_bots import (
    Backoff,
    Caps,
    Card,
    CommandSpec,
    Inbox,
    NotSent,
    Outbound,
    OutboundKind,
    Receipt,
    RateLimited,
    Severity,
    StartupError,
    TransientError,
    TransportContext,
    VtocError,
)
from vtoc_bots.plugins.telegram.api import ApiError, bot_api, is_token_refused, refused_token, send_error
from vtoc_bots.plugins.telegram.intake import Intake, age_words
from vtoc_bots.plugins.telegram.layout import pieces_from_card
from vtoc_bots.plugins.telegram.menu import publish_menus
from vtoc_bots.plugins.telegram.pace import Pace
from vtoc_bots.plugins.telegram.pieces import Piece, Words, receipt_of, shown_in
from vtoc_bots.plugins.telegram.poller import POLL_SECONDS, Poller
from vtoc_bots.plugins.telegram.sender import Place, Sender, Unreachable
from vtoc_bots.plugins.telegram.settings import TelegramSettings
from vtoc_bots.plugins.telegram.supplies import supplies_of
from vtoc_bots.plugins.telegram.webhook import PATH, Webhook
from vtoc_bots.plugins.telegram.wire import Me

logger = structlog.get_logger(__name__)

GUARD_SECONDS: Final = 60.0
"""How often it is looked whether the webhook is still ours."""
PROBE_SECONDS: Final = 5.0


class TelegramTransport:
    """One bot."""

    caps = Caps(
        edit=True, threads=True, dialog=True, private=True, buttons=True, files=True, text_limit=4096
    )

    def __init__(
        self,
        context: TransportContext,
        settings: TelegramSettings,
        public_url: str | None,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._context, self._settings, self._poll_seconds = context, settings, poll_seconds
        self._api = bot_api(settings)
        self._bot, self._clock = self._api.bot, context.clock
        self.pace = Pace(context.clock)
        self._sender = Sender(self._bot, self.pace, context.clock)
        self._url = f"{public_url}{PATH}" if public_url and settings.secret else None
        self._webhook = Webhook(settings.secret)
        self._me: Me | None = None
        self._intake: Intake | None = None
        self._poller: Poller | None = None
        self._trouble = ""

    def routes(self) -> Sequence[web.RouteDef]:
        """The webhook, where it is set."""
        return (web.post(PATH, self._webhook.handle),) if self._url else ()

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled: one process of the installation polls or keeps the webhook set, each that serves
        the web takes in what is posted. Raises StartupError for a wrong token or secret."""
        self._check_settings()
        await self._api.open()
        try:
            me = self._me = await self._known()
            self._intake = Intake(self._bot, me, inbox, self._context, self._group_moved)
            self._webhook.intake = self._intake
            logger.info("telegram_receives", bot=me.username, by="webhook" if self._url else "polling")
            await self._context.hold(f"receiver.{me.id}", self._receive)
        finally:
            self._webhook.intake = None
            await self._api.close()

    async def send(self, outbound: Outbound) -> Receipt:
        """Show a card, or make the shown one into it."""
        await self._api.open()
        supplies = await supplies_of(outbound.card, self._context)
        pieces = pieces_from_card(outbound.card, supplies, may_be_repeat=outbound.may_be_repeat)
        home = _home(outbound)
        if outbound.edits is None:
            place = _place(outbound, home)
            begun = []
        else:
            detail = outbound.edits.detail
            if detail.get("note") and outbound.kind is OutboundKind.PROGRESS:
                return outbound.edits
            begun = [] if detail.get("note") else shown_in(detail)
            place = _place(outbound, home) if detail.get("note") else Place(int(detail["chat"]), home.thread_id)
        try:
            shown = await self._sender.show(place, pieces, begun)
        except Unreachable:
            if outbound.edits is not None and outbound.edits.detail.get("note"):
                return outbound.edits
            if not home.is_group or place.is_group or outbound.kind is OutboundKind.PROGRESS:
                raise
            return await self._noted(home)
        return receipt_of(self._sender.chat_of(place), shown, self._clock.now())

    async def publish(self, commands: Sequence[CommandSpec]) -> None:
        """Set the menus of private chats and groups, where they are not so yet. Raises NotSent."""
        await self._api.open()
        try:
            changed = await publish_menus(self._bot, commands)
        except TelegramError as error:
            raise NotSent(str(send_error(error))) from error
        logger.info("commands_published", changed=changed)

    async def probe(self) -> str:
        """Ask who we are, and where updates stand. Raises VtocError with what is wrong."""
        if self._trouble:
            raise VtocError(self._trouble)
        await self._api.open()
        began = self._clock.monotonic()
        try:
            me = await asyncio.wait_for(self._bot.get_me(), PROBE_SECONDS)
            latency = self._clock.monotonic() - began
            state = await self._receiving()
        except TimeoutError:
            raise TransientError("telegram: the Bot API does not answer") from None
        except TelegramError as error:
            if is_token_refused(error):
                raise refused_token(401) from error
            raise TransientError(str(send_error(error))) from error
        age = age_words(self._intake, self._clock) if self._intake else "not receiving"
        held = f", {self.pace.held_back} sends held back, {self.pace.limited} limited" if self.pace.held_back else ""
        return f"@{me.username} answers in {latency * 1000:.0f} ms; {state}, {age}{held}"

    async def _receiving(self) -> str:
        if self._url:
            info = await asyncio.wait_for(self._bot.get_webhook_info(), PROBE_SECONDS)
            if info.url != self._url:
                raise VtocError("telegram: the webhook is not set to our address; another program may use this token")
            if info.last_error_message and info.pending_update_count:
                raise VtocError(
                    f"telegram: {info.pending_update_count} updates wait, Telegram can't reach us:"
                    f" {info.last_error_message}. Check VTOC_PUBLIC_URL"
                )
            return f"webhook, {info.pending_update_count} waiting"
        if self._poller is None:
            return "another process polls"
        if self._poller.trouble:
            raise VtocError(f"telegram: polling fails: {self._poller.trouble}")
        return "polling"

    def _check_settings(self) -> None:
        if self._settings.bot_id is None:
            raise self._stopped(
                "telegram: TELEGRAM_BOT_TOKEN has not the form of a token (123456:ABC…). Get it from @BotFather and"
                " set it in .env.station."
            )
        if not self._settings.secret_is_wellformed:
            raise self._stopped(
                "telegram: TELEGRAM_WEBHOOK_SECRET may have 1 to 256 letters, digits, - and _. Set another one in"
                " .env.station."
            )
        self._trouble = ""

    def _stopped(self, text: str) -> StartupError:
        self._trouble = text
        return StartupError(text)

    async def _known(self) -> Me:
        """Who we are, asked until Telegram answers. Raises StartupError where it does not know us."""
        backoff = Backoff(0.5, 30.0)
        while True:
            try:
                me = await self._bot.get_me()
                return Me(me.id, me.username or "")
            except TelegramError as error:
                if is_token_refused(error):
                    raise self._stopped(str(refused_token(error.status if isinstance(error, ApiError) else 401))) from error
                seconds = backoff.failed(self._clock.monotonic())
                logger.warning("telegram_unreachable", error=str(error), seconds=round(seconds, 1))
                await self._clock.sleep(seconds)

    async def _receive(self, epoch: int) -> None:
        assert self._intake is not None
        if self._url:
            await self._keep_webhook(self._url)
            return
        self._poller = Poller(self._bot, self._intake, self._clock, self._conflict, self._poll_seconds)
        try:
            await self._poller.run()
        except StartupError as error:
            self._trouble = str(error)
            raise
        finally:
            self._poller = None
