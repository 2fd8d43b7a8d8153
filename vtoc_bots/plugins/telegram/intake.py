"""Takes updates in: converts them, fetches the files of those that are for us, hands them over, answers presses."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from telegram.error import TelegramError

from vtoc_bots import (
    Attachment,
    Attachments,
    Inbox,
    Message,
    TransientError,
    TransportContext,
    check_size,
)
from vtoc_bots.plugins.telegram.api import TelegramBot, send_error
from vtoc_bots.plugins.telegram.wire import Me, Migrated, Received, is_for_us, message_from_update

logger = structlog.get_logger(__name__)

MOST_ALBUMS: Final = 256
FETCH_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 5.0


class _Turn:
    """Those of one chat who wait for each other."""

    __slots__ = ("lock", "takers")

    def __init__(self) -> None:
        self.lock, self.takers = asyncio.Lock(), 0


class Intake:
    """One bot's updates, on their way to the inbox."""

    def __init__(
        self,
        bot: TelegramBot,
        me: Me,
        inbox: Inbox,
        context: TransportContext,
        moved: Callable[[int, int], Awaitable[None]],
    ) -> None:
        self._bot, self._me, self._inbox = bot, me, inbox
        self._files, self._clock = Attachments(context.blobs, FETCH_SECONDS, context.knows), context.clock
        self._moved = moved
        self._albums: OrderedDict[str, None] = OrderedDict()
        self._turns: dict[int | None, _Turn] = {}
        """By chat, while anything of it is being taken in."""
        self.seen = 0
        """Updates taken in."""
        self.last_at: float | None = None
        """When the last one came, by the monotonic clock."""

    async def take(self, update: Mapping[str, Any]) -> None:
        """Take one update in; it may be acknowledged once this returns. Raises TransientError where it may not.

        One of a chat after the other, as they came: a file that takes long is not overtaken by what was written later.
        """
        self.seen, self.last_at = self.seen + 1, self._clock.monotonic()
        chat = chat_of(update)
        turn = self._turns.get(chat)
        if turn is None:
            turn = self._turns[chat] = _Turn()
        turn.takers += 1
        try:
            async with turn.lock:
                pressed = await self._taken(update)
        finally:
            turn.takers -= 1
            if not turn.takers:
                del self._turns[chat]
        if pressed is not None:
            await self._answer(pressed)

    async def _taken(self, update: Mapping[str, Any]) -> str | None:
        """Take it in; the press to be answered, where it was one."""
        try:
            received = message_from_update(update, self._me)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            # Sent again it would be the same: to refuse it would hold up all that follow.
            logger.error("update_unreadable", update_id=update.get("update_id"), error=f"{type(error).__name__}")
            return None
        match received:
            case Migrated(old=old, new=new):
                await self._moved(old, new)
            case Received(message=message, files=files, callback_id=callback_id):
                if files and self._is_wanted(received):
                    message = await self._with_files(message, files)
                await self._inbox.accept(message)
                return callback_id
        return None

    def _is_wanted(self, received: Received) -> bool:
        """Whether to fetch the files: they are for us, or belong to an album whose caption is, which only its first
        message has."""
        wanted = is_for_us(received.message)
        if received.album is None:
            return wanted
        if wanted:
            self._albums[received.album] = None
            if len(self._albums) > MOST_ALBUMS:
                self._albums.popitem(last=False)
        return received.album in self._albums

    async def _with_files(self, message: Message, files: tuple[str, ...]) -> Message:
        ids = dict(zip(message.attachments, files, strict=True))

        async def fetch(attachment: Attachment) -> bytes:
            try:
                file = await self._bot.get_file(ids[attachment])
                check_size(file.file_size or 0)  # a self-hosted Bot API gives 2 GB
                return bytes(await file.download_as_bytearray())
            except TelegramError as error:
                logger.warning("file_not_fetched", error=str(send_error(error)))
                raise TransientError("Telegram does not give it") from error

        return await self._files.taken(message, fetch)

    async def _answer(self, callback_id: str) -> None:
        """End the waiting sign on the button; the message is stored already, so nothing is lost where this fails."""
        try:
            await asyncio.wait_for(self._bot.answer_callback_query(callback_id), ANSWER_SECONDS)
        except (TelegramError, TimeoutError) as error:
            logger.info("press_not_answered", error=str(error) or "no answer")


def chat_of(update: Mapping[str, Any]) -> int | None:
    """The chat an update happened in, None for one without."""
    for kind in ("message", "edited_message", "callback_query"):
        body = update.get(kind)
        if isinstance(body, dict):
            held = body.get("message")
            chat = (held if isinstance(held, dict) else body).get("chat")
            number = chat.get("id") if isinstance(chat, dict) else None
            return number if isinstance(number, int) else None
    return None
