"""Receives for one bot: polls or keeps the webhook set, one process of the installation at a time."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from telegram.error import TelegramError

from vtoc_bots import Backoff, Card, Inbox, Severity, StartupError, TransportContext, VtocError
from vtoc_bots.plugins.telegram.api import (
    UPDATE_KINDS,
    ApiError,
    TelegramBot,
    is_token_refused,
    refused_token,
    send_error,
)
from vtoc_bots.plugins.telegram.intake import Intake
from vtoc_bots.plugins.telegram.poller import Poller
from vtoc_bots.plugins.telegram.sender import Sender
from vtoc_bots.plugins.telegram.settings import TelegramSettings
from vtoc_bots.plugins.telegram.webhook import Webhook
from vtoc_bots.plugins.telegram.wire import Me

logger = structlog.get_logger(__name__)

GUARD_SECONDS: Final = 60.0
"""How often it is looked whether the webhook is still ours."""
ANSWER_SECONDS: Final = 5.0
CONFLICT_SECONDS: Final = 300.0
"""Two conflicts within this time are another program's, not chance."""
CONNECTIONS: Final = 40
"""How many updates Telegram may post at once."""


class Receiver:
    """One bot's way in. `url` is the webhook's address, None to poll."""

    def __init__(
        self,
        bot: TelegramBot,
        sender: Sender,
        webhook: Webhook,
        context: TransportContext,
        settings: TelegramSettings,
        url: str | None,
        poll_seconds: float,
    ) -> None:
        self._bot, self._sender, self._webhook, self._context = bot, sender, webhook, context
        self._settings, self._url, self._poll_seconds = settings, url, poll_seconds
        self._clock = context.clock
        self.me: Me | None = None
        self.intake: Intake | None = None
        self._poller: Poller | None = None
        self._conflict_at = float("-inf")

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled. Raises StartupError where a person must change a setting."""
        self._check_settings()
        me = await self.known()
        self.intake = self._webhook.intake = Intake(self._bot, me, inbox, self._context, self._group_moved)
        logger.info("telegram_receives", bot=me.username, by="webhook" if self._url else "polling")
        if self._settings.secret and not self._url:
            logger.warning("telegram_polls", reason="TELEGRAM_WEBHOOK_SECRET is set and VTOC_PUBLIC_URL is not")
        try:
            await self._context.hold(f"receiver.{me.id}", self._receive)
        finally:
            self._webhook.intake = None

    async def known(self) -> Me:
        """Who the bot is, asked until Telegram answers. Raises StartupError where it does not know the token."""
        backoff = Backoff(0.5, 30.0)
        while self.me is None:
            try:
                user = await self._bot.get_me()
                self.me = Me(user.id, user.username or "")
            except TelegramError as error:
                if isinstance(error, ApiError) and is_token_refused(error):
                    raise refused_token(error.status) from error
                seconds = backoff.failed(self._clock.monotonic())
                logger.warning("telegram_unreachable", error=str(send_error(error)), seconds=round(seconds, 1))
                await self._clock.sleep(seconds)
        return self.me

    async def state(self) -> str:
        """How receiving goes, in words. Raises VtocError with what is wrong, TelegramError, TimeoutError."""
        if self._url:
            return await self._webhook_state(self._url)
        if self._poller is None:
            return "another process polls"
        if self._poller.trouble:
            raise VtocError(f"telegram: polling fails: {self._poller.trouble}")
        return "polling"

    def age(self) -> str:
        """How old the last update is, in words."""
        if self.intake is None or self.intake.last_at is None:
            return "no update yet"
        return f"last update {self._clock.monotonic() - self.intake.last_at:.0f} s ago"

    async def _webhook_state(self, url: str) -> str:
        info = await asyncio.wait_for(self._bot.get_webhook_info(), ANSWER_SECONDS)
        if info.url != url:
            raise VtocError("telegram: the webhook leads elsewhere; another program uses this bot's token")
        if info.pending_update_count and info.last_error_message:
            raise VtocError(
                f"telegram: {info.pending_update_count} updates wait, Telegram says: {info.last_error_message}."
                " Check that VTOC_PUBLIC_URL leads here"
            )
        return f"webhook, {info.pending_update_count} waiting"

    def _check_settings(self) -> None:
        if self._settings.bot_id is None:
            raise StartupError(
                "telegram: TELEGRAM_BOT_TOKEN has not the form of a token (123456:ABC…). Copy it from @BotFather into"
                " .env.station."
            )
        if not self._settings.secret_is_wellformed:
            raise StartupError(
                "telegram: TELEGRAM_WEBHOOK_SECRET takes 1 to 256 letters, digits, - and _. Set such a one in"
                " .env.station."
            )

    async def _receive(self, epoch: int) -> None:
        assert self.intake is not None
        if self._url:
            await self._keep_webhook(self._url)
        self._poller = Poller(self._bot, self.intake, self._clock, self._polled_elsewhere, self._poll_seconds)
        try:
            await self._poller.run()
        finally:
            self._poller = None

    async def _keep_webhook(self, url: str) -> None:
        """Set the webhook, and again whenever somebody has changed it; until cancelled."""
        backoff, ours = Backoff(1.0, 60.0, healthy_seconds=0.0), False
        while True:
            try:
                info = await self._bot.get_webhook_info()
                if ours and info.url != url:
                    await self._conflict("the webhook was changed")
                if not ours or info.url != url:  # at start in any case: the secret may be another one since
                    await self._bot.set_webhook(
                        url,
                        secret_token=self._settings.secret,
                        max_connections=CONNECTIONS,
                        allowed_updates=UPDATE_KINDS,
                    )
                ours = True
                backoff.connected(self._clock.monotonic())
                await self._clock.sleep(GUARD_SECONDS)
            except TelegramError as error:
                if isinstance(error, ApiError) and is_token_refused(error):
                    raise refused_token(error.status) from error
                if isinstance(error, ApiError) and error.status == 400:
                    raise StartupError(
                        f"telegram: Telegram does not take {url} as webhook ({error.words}). VTOC_PUBLIC_URL must be an"
                        " https address that it can reach; without TELEGRAM_WEBHOOK_SECRET we poll instead."
                    ) from error
                seconds = backoff.failed(self._clock.monotonic())
                logger.warning("webhook_not_set", error=str(send_error(error)), seconds=round(seconds, 1))
                await self._clock.sleep(seconds)

    async def _polled_elsewhere(self, words: str) -> None:
        """Tell of it where it goes on: once is what a process leaves behind that has just ended."""
        before, self._conflict_at = self._conflict_at, self._clock.monotonic()
        if self._conflict_at - before < CONFLICT_SECONDS:
            await self._conflict(words)

    async def _conflict(self, words: str) -> None:
        """Tell the station that another program uses the token, once a day."""
        logger.warning("telegram_conflict", error=words)
        text = (
            "Another program receives with this bot's token, so either of us misses what people write. Stop it, or give"
            f" it a bot of its own. Telegram says: {words}"
        )
        card = Card.of("Two programs use one Telegram bot", text, severity=Severity.BAD)
        await self._context.notice(card, f"conflict:{self._settings.bot_id}:{self._clock.now():%Y-%m-%d}")

    async def _group_moved(self, old: int, new: int) -> None:
        """A group became a supergroup: what is due there goes to the new one."""
        self._sender.moved(old, new)
        text = (
            f"Its id is `{new}` now, and was `{old}`. Where stations.yml names the old one, under channels or notices,"
            " put the new one."
        )
        card = Card.of("A Telegram group became a supergroup", text, severity=Severity.WARNING)
        await self._context.notice(card, f"moved:{old}")
