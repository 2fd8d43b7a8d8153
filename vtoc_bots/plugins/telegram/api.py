"""The Bot API through python-telegram-bot: its requests, and what its failures mean."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from telegram import Bot
from telegram.error import NetworkError, TelegramError
from telegram.request import HTTPXRequest

from vtoc_bots import NotSent, RateLimited, Refused, SendError, StartupError, Unknown
from vtoc_bots.plugins.telegram.settings import TelegramSettings

CONNECTIONS: Final = 32
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
UPLOAD_SECONDS: Final = 20.0
POOL_SECONDS: Final = 5.0
UNSAID_WAIT_SECONDS: Final = 5.0
"""How long to wait where Telegram limits us without saying for how long."""
UPDATE_KINDS: Final = ("message", "edited_message", "callback_query")

_NOT_REACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class ApiError(TelegramError):
    """The Bot API refused a call: HTTP `status`, its own words, and what it adds to them."""

    def __init__(self, status: int, words: str, retry_after: float | None, migrated_to: int | None) -> None:
        super().__init__(f"{words} ({status})")
        self.status, self.words = status, words
        self.retry_after, self.migrated_to = retry_after, migrated_to

    def says(self, *parts: str) -> bool:
        """Whether its words hold one of these."""
        words = self.words.casefold()
        return any(part in words for part in parts)


class NotReached(NetworkError):
    """There was no connection: the call certainly did not arrive."""


class CutOff(NetworkError):
    """The connection ended or went silent mid-call: it may have arrived."""


class BotRequest(HTTPXRequest):
    """Requests whose failures keep what is known of the call."""

    async def do_request(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        """As the parent's, for answers of status 2xx. Raises ApiError, NotReached or CutOff."""
        try:
            status, payload = await super().do_request(*args, **options)
        except NetworkError as error:
            cause = error.__cause__
            kind = type(cause or error).__name__
            if isinstance(cause, _NOT_REACHED):
                raise NotReached(f"no connection to the Bot API ({kind})") from error
            raise CutOff(f"the connection to the Bot API ended mid-call ({kind})") from error
        if 200 <= status < 300:
            return status, payload
        raise _api_error(status, payload)


def _api_error(status: int, payload: bytes) -> ApiError:
    try:
        answer = json.loads(payload)
        words, parameters = str(answer.get("description") or "no reason"), answer.get("parameters") or {}
        retry_after, migrated_to = parameters.get("retry_after"), parameters.get("migrate_to_chat_id")
        return ApiError(status, words, None if retry_after is None else float(retry_after), migrated_to)
    except (ValueError, AttributeError, TypeError):  # a proxy's page
        return ApiError(status, "an answer that is not the Bot API's", None, None)


class TelegramBot(Bot):
    """The SDK's bot, with updates as they came."""

    async def raw_updates(self, offset: int | None, seconds: float) -> list[dict[str, Any]]:
        """Updates from `offset` on as JSON; asking for an offset confirms all before it.

        Not parsed by the SDK: one that it can't read would hold up all that follow.
        """
        asked = {"offset": offset, "timeout": int(seconds), "limit": 100, "allowed_updates": list(UPDATE_KINDS)}
        updates = await self._post("getUpdates", asked, read_timeout=seconds + READ_SECONDS)
        return [each for each in updates if isinstance(each, dict)]


class BotApi:
    """A bot and its connections, which are open while anybody uses it."""

    def __init__(self, bot: TelegramBot, requests: tuple[BotRequest, BotRequest]) -> None:
        self.bot, self._requests = bot, requests
        self._users = 0

    @asynccontextmanager
    async def use(self) -> AsyncIterator[TelegramBot]:
        """The bot, its connections open for the length of the block."""
        self._users += 1
        try:
            for request in self._requests:
                await request.initialize()
            yield self.bot
        finally:
            self._users -= 1
            if not self._users:
                for request in self._requests:
                    await request.shutdown()


def bot_api(settings: TelegramSettings) -> BotApi:
    """The Bot API as it is set. Nothing is connected yet."""
    # Their lines hold addresses with the token in them, and what people write.
    for name in ("httpx", "httpcore", "telegram"):
        logging.getLogger(name).setLevel(logging.WARNING)
    calls, updates = (
        BotRequest(
            connection_pool_size=size,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            write_timeout=READ_SECONDS,
            pool_timeout=POOL_SECONDS,
            media_write_timeout=UPLOAD_SECONDS,
        )
        for size in (CONNECTIONS, 2)
    )
    bot = TelegramBot(
        settings.token.get_secret_value().strip(),
        base_url=f"{settings.api_base_url}/bot",
        base_file_url=f"{settings.api_base_url}/file/bot",
        request=calls,
        get_updates_request=updates,
    )
    return BotApi(bot, (calls, updates))


def refused_token(status: int) -> StartupError:
    """What to tell about a token that Telegram does not know."""
    return StartupError(
        f"telegram: TELEGRAM_BOT_TOKEN was refused ({status}). Make a new one with @BotFather and set it in"
        " .env.station."
    )


def is_token_refused(error: TelegramError) -> bool:
    """Whether the error is about the token: 401, or 404 where it has not a token's form."""
    return isinstance(error, ApiError) and error.status in (401, 404)


def send_error(error: TelegramError) -> SendError:
    """What a failed call means for what was to be sent."""
    if isinstance(error, NotReached):
        return NotSent(f"telegram: {error.message}")
    if not isinstance(error, ApiError):
        # Cut off mid-call, or an answer that could not be read: it may have arrived.
        return Unknown(f"telegram: {error.message}")
    if error.status == 429:
        seconds = UNSAID_WAIT_SECONDS if error.retry_after is None else error.retry_after
        return RateLimited(f"telegram: {error.words}", seconds)
    if is_token_refused(error):
        return NotSent(str(refused_token(error.status)))
    if error.status >= 500:
        # Who answers so may stand before the one that did it: the message may be there.
        return Unknown(f"telegram: {error.message}")
    return Refused(f"telegram: {error.words}")
