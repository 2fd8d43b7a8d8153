"""Long polling: asks for updates, and confirms one only after it was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from telegram.error import TelegramError

from vtoc_bots import Backoff, Clock, TransientError
from vtoc_bots.plugins.telegram.api import ApiError, TelegramBot, is_token_refused, refused_token
from vtoc_bots.plugins.telegram.intake import Intake, chat_of

logger = structlog.get_logger(__name__)

POLL_SECONDS: Final = 25.0
FIRST_SECONDS: Final = 0.5
LAST_SECONDS: Final = 30.0
MOST_FAULTS: Final = 10
"""Faults of ours after which an update is left out: it would hold up all that follow for ever."""


class Poller:
    """Polls while it is run; one in the installation may be.

    `conflict` is called when another program polls with this token.
    """

    def __init__(
        self,
        bot: TelegramBot,
        intake: Intake,
        clock: Clock,
        conflict: Callable[[str], Awaitable[None]],
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._bot, self._intake, self._clock = bot, intake, clock
        self._conflict, self._poll_seconds = conflict, poll_seconds
        self._faults = 0
        self.trouble = ""
        """Why the last poll failed; empty when it did not."""

    async def run(self) -> None:
        """Poll until cancelled. Raises StartupError when the token is refused."""
        backoff = Backoff(FIRST_SECONDS, LAST_SECONDS, healthy_seconds=0.0)
        offset: int | None = None
        with_webhook = True
        while True:
            try:
                if with_webhook:
                    await self._bot.delete_webhook(drop_pending_updates=False)
                    with_webhook = False
                updates = await self._bot.raw_updates(offset, self._poll_seconds)
                offset = await self._taken(updates, offset)
                backoff.connected(self._clock.monotonic())
                self.trouble = ""
            except (TelegramError, TransientError) as error:
                self.trouble = str(error)
                seconds = backoff.failed(self._clock.monotonic())
                if isinstance(error, ApiError):
                    if is_token_refused(error):
                        raise refused_token(error.status) from error
                    with_webhook = error.status == 409 and error.says("webhook")
                    if error.status == 409 and not with_webhook:
                        await self._conflict(error.words)
                    seconds = max(seconds, error.retry_after or 0.0)
                logger.warning("poll_failed", error=str(error), seconds=round(seconds, 1))
                await self._clock.sleep(seconds)

    async def _taken(self, updates: Sequence[Mapping[str, Any]], offset: int | None) -> int | None:
        """Take a batch in: one chat's updates in order, chats side by side; the offset that confirms what is accepted.

        Raises TransientError when nothing is; what was accepted behind a failure comes again and is a duplicate then.
        """
        chats: dict[int | None, list[Mapping[str, Any]]] = {}
        for update in updates:
            chats.setdefault(chat_of(update), []).append(update)
        failed: dict[int, TransientError] = {}

        async def take(some: Sequence[Mapping[str, Any]]) -> None:
            for update in some:
                error = await self._refusal(update)
                if error is not None:
                    failed[int(update["update_id"])] = error
                    return

        await asyncio.gather(*(take(some) for some in chats.values()))
        numbers = [int(update["update_id"]) for update in updates]
        if not failed:
            return max(numbers) + 1 if numbers else offset
        first = min(failed)
        if first == min(numbers):
            raise failed[first]
        return first

    async def _refusal(self, update: Mapping[str, Any]) -> TransientError | None:
        """Why the update could not be taken in; None when it was, or when a fault of ours keeps it from ever being."""
        number = int(update["update_id"])
        try:
            await self._intake.take(update)
        except TransientError as error:
            return error
        except Exception as error:
            self._faults += 1
            logger.exception("update_failed", update_id=number, faults=self._faults)
            if self._faults >= MOST_FAULTS:
                self._faults = 0  # the others have waited long enough
                return None
            return TransientError(f"an update could not be taken in ({type(error).__name__})")
        return None
