"""Stored files in Supabase Storage: each put there when somebody needs a link, for as long as links to it are good."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from http import HTTPStatus
from typing import Final

import structlog

from vtoc_bots.core.clients.answers import Declined
from vtoc_bots.core.clients.storage import SERVICE, Bucket
from vtoc_bots.core.errors import ActionError, NotFound, TransientError, VtocError
from vtoc_bots.core.media_types import UNKNOWN
from vtoc_bots.core.ports import Blobs, Clock
from vtoc_bots.core.web.files import SHOWN, VALID_SECONDS

logger = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 6.0
"""How long a link is waited for: a card has 30 seconds to be sent, and may have several."""
ALONE_TIMES: Final = 2.5
"""Where there is no other link, it is waited for so much longer."""
HURRY_SECONDS: Final = 1.0
HURRIED_SECONDS: Final = 30.0
"""How long no link is waited for as long again, after one took too long."""
MOST_ASKED: Final = 32
UPLOADS: Final = 2
"""At once: each has its file in memory."""
KEPT: Final = timedelta(days=2)
"""A link of one day is good until the end of the next; a day more is for clocks that differ."""
MOST_ROUNDS: Final = 100
LOOK_SECONDS: Final = 60.0
TOLD_SECONDS: Final = 3600.0
"""How long health tells of a fault that has not come again."""


class Shelf:
    """The files in a bucket: ``{day}/{SHA-256}``, the day being that on which links were made.

    So what is there without a good link is told by its folder, and no row has to know of it.
    """

    def __init__(self, bucket: Bucket, blobs: Blobs, clock: Clock, wait_seconds: float = WAIT_SECONDS) -> None:
        self._bucket, self._blobs, self._clock, self._wait_seconds = bucket, blobs, clock, wait_seconds
        self._asking: dict[str, asyncio.Task[str | None]] = {}
        self._places = asyncio.Semaphore(UPLOADS)
        self._hurried_until = self._looked_at = self._troubled_at = float("-inf")
        self._trouble: str | None = None
        self._looked = ""

    async def address(self, blob: str, content_type: str, *, alone: bool = False) -> str | None:
        """A link to a stored file that is good for a day; None where it can't be had now. `alone`: there is no other.

        What takes too long goes on meanwhile, so that who asks again has it at once.
        """
        path = f"{self._clock.now().date().isoformat()}/{blob}{SHOWN.get(content_type, '')}"
        task = self._asking.get(path)
        if task is None:
            if len(self._asking) >= MOST_ASKED:
                self._note(TransientError(f"too many files wait for links of {SERVICE.name}"))
                return None
            task = self._asking[path] = asyncio.create_task(self._signed(path, blob, content_type), name=path)
            task.add_done_callback(lambda _: self._asking.pop(path, None))
        seconds = self._wait_seconds * (ALONE_TIMES if alone else 1.0)
        if self._clock.monotonic() < self._hurried_until:
            seconds = min(seconds, HURRY_SECONDS)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            self._hurried_until = self._clock.monotonic() + HURRIED_SECONDS
            self._note(TransientError(f"{SERVICE.name} gave no link within {seconds:g} s"))
        return task.result() if done and not task.cancelled() else None

    async def tidy(self) -> None:
        """Delete what no good link leads to. Raises what the service's client raises."""
        before = self._clock.now().date() - KEPT
        for folder in await self._bucket.list(""):
            if not _is_day_before(folder, before):
                continue
            for _ in range(MOST_ROUNDS):
                names = await self._bucket.list(folder)
                if not names:
                    break
                await self._bucket.remove([f"{folder}/{name}" for name in names])

    async def probe(self) -> str | None:
        """What `/readyz` shows: how the bucket is, looked at once a minute, and what went wrong with a link of late."""
        now = self._clock.monotonic()
        if self._trouble is not None and now - self._troubled_at < TOLD_SECONDS:
            raise VtocError(self._trouble)
        if now - self._looked_at > LOOK_SECONDS:
            self._looked, self._looked_at = await self._bucket.look(), now
        return self._looked

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _signed(self, path: str, blob: str, content_type: str) -> str | None:
        """The address; a file that is not there is put there first. Raises nothing: the card is sent without."""
        try:
            signed = await self._bucket.sign(path, VALID_SECONDS)
            if signed is None:
                async with self._places:
                    data = await self._blobs.get(blob)
                    # What is not for a browser to show is no page there, whatever somebody does to the link.
                    await self._bucket.upload(path, data, content_type if content_type in SHOWN else UNKNOWN)
                signed = await self._bucket.sign(path, VALID_SECONDS)
            if signed is None:
                raise ActionError(f"{SERVICE.name} does not have what it has just taken. Is {SERVICE.address} right?")
        except NotFound:  # kept no longer, as our own link says
            return None
        except VtocError as error:
            self._note(error)
            return None
        except Exception as error:
            logger.exception("storage_link_failed", error=type(error).__name__)
            return None
        if self._trouble is not None:
            logger.info("storage_link_made_again")
        self._trouble = None
        return signed

    def _note(self, error: VtocError) -> None:
        """Say once what is wrong; health says it too, but of a file that is too large for the project."""
        if isinstance(error, Declined) and error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            logger.warning("storage_link_failed", error=str(error))
            return
        if str(error) != self._trouble:
            logger.warning("storage_link_failed", error=str(error))
        self._trouble, self._troubled_at = str(error), self._clock.monotonic()


def _is_day_before(folder: str, before: date) -> bool:
    """Whether a folder is one of ours and older; whatever else somebody keeps there is left alone."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", folder):
        return False
    try:
        return date.fromisoformat(folder) < before
    except ValueError:
        return False
