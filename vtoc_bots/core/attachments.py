"""Files that come with messages: fetched within bounds into blobs, and what is said of those that can't be had."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

import aiohttp
import structlog
from yarl import URL

from vtoc_bots.core.cards import Card, Severity, Text
from vtoc_bots.core.errors import NotFound, TransientError, VtocError
from vtoc_bots.core.markup import clean_line
from vtoc_bots.core.media_types import media_type
from vtoc_bots.core.messages import Attachment, Message
from vtoc_bots.core.ports import Blobs

logger = structlog.get_logger(__name__)

MOST_BYTES: Final = 10 * 2**20
"""Of a file that is taken."""
MOST_FILES: Final = 10
"""That are taken of one message."""
PARTLY: Final = "only a part of it came"
AT_ONCE: Final = 8
"""Files of one transport that are in memory at a time."""

Fetch = Callable[[Attachment], Awaitable[bytes]]


class Attachments:
    """Takes the files of one transport's messages, each within `seconds`; of those senders whom it `knows`.

    A stranger's are of no use to anybody here, and there may be any number of them.
    """

    def __init__(self, blobs: Blobs, seconds: float, knows: Callable[[Message], Awaitable[bool]] | None = None) -> None:
        self._blobs, self._seconds, self._knows = blobs, seconds, knows
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def taken(self, message: Message, fetch: Fetch) -> Message:
        """The message with its files' blobs. Where one can't be had, its `problem` says why and the rest is whole.

        `fetch` raises VtocError with why, in words that follow the file's name. Raises TransientError where files can't
        be stored now, or nobody can say whose they are: the message is not to be acknowledged then.
        """
        files = message.attachments
        if not files or (self._knows is not None and not await self._knows(message)):
            return message
        most = [self._taken(each, fetch) for each in files[:MOST_FILES]]
        taken = await asyncio.gather(*most, return_exceptions=True)
        for each in taken:
            if isinstance(each, BaseException):
                raise each
        extra = [_left_out(each, f"only {MOST_FILES} files of a message are taken") for each in files[MOST_FILES:]]
        return replace(message, attachments=(*(each for each in taken if isinstance(each, Attachment)), *extra))

    async def _taken(self, attachment: Attachment, fetch: Fetch) -> Attachment:
        if attachment.blob or attachment.problem:  # of a message that could not be stored the last time
            return attachment
        try:
            async with asyncio.timeout(self._seconds) as limit, self._slots:
                try:
                    check_size(attachment.size)
                    data = await fetch(attachment)
                    check_size(len(data))
                    if len(data) < attachment.size:
                        raise TransientError(PARTLY)
                except VtocError as error:
                    return _left_out(attachment, str(error))
                limit.reschedule(None)
                blob = await self._blobs.put(data, media_type(attachment.content_type))
                return replace(attachment, size=len(data), blob=blob)
        except TimeoutError:
            return _left_out(attachment, f"it did not come within {self._seconds:g} s")


def _left_out(attachment: Attachment, problem: str) -> Attachment:
    logger.warning("file_not_taken", size=attachment.size, problem=problem)
    return replace(attachment, problem=problem)


def check_size(size: int) -> None:
    """Raises NotFound where a file of so many bytes is not taken."""
    if size > MOST_BYTES:
        raise NotFound(f"with {size / 2**20:.1f} MiB it is larger than {MOST_BYTES // 2**20} MiB")


async def downloaded(
    http: aiohttp.ClientSession, url: str, *, origins: Collection[str | None], headers: Mapping[str, str] | None = None
) -> tuple[bytes, str]:
    """The bytes at an address, and their content type. Asks no host but those of `origins` (``https://host``, with the
    port where it is not the usual one), and follows no redirect: `headers` may hold a credential.

    Raises TransientError or NotFound saying why not, in words that follow a file's name.
    """
    try:
        origin = origin_of(url)
        if origin is None or origin not in origins:
            raise NotFound("it lies on another server")
        async with http.get(URL(url), headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise NotFound(f"its server does not give it ({response.status})")
            check_size(response.content_length or 0)
            body = bytearray()
            async for chunk in response.content.iter_chunked(2**16):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise NotFound(f"it is larger than {MOST_BYTES // 2**20} MiB")
            return bytes(body), response.content_type
    except aiohttp.ClientPayloadError as error:
        raise TransientError(PARTLY) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise TransientError(f"its server can't be reached ({type(error).__name__})") from error


def origin_of(url: str) -> str | None:
    """The scheme, host and port of an address; None of one that has none, or that names a user."""
    try:
        parsed = URL(url)
        return None if parsed.user is not None or parsed.password is not None else str(parsed.origin())
    except ValueError:
        return None


def with_remarks(card: Card | None, message: Message) -> Card | None:
    """The answer to a message, with a word on each of its files that was not taken."""
    lacking = [each for each in message.attachments if each.problem]
    if not lacking:
        return card
    words = "\n".join(f"- {_quoted(each.name)} was not taken: {each.problem}." for each in lacking)
    if card is None:
        return Card.of("Not every file was taken", words, severity=Severity.WARNING)
    return card.model_copy(update={"blocks": (*card.blocks, Text(text=words))})


def _quoted(name: str) -> str:
    """A file's name as code, so that nothing in it is markup."""
    return f"`{clean_line(name).replace('`', '´')[:100].strip() or 'A file'}`"
