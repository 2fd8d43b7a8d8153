"""Reads a request's body: bounded in bytes and in time, and refused in words where it can't be had."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from vtoc_bots.core.web.problems import Refusal

BODY_SECONDS: Final = 30.0
"""How long a body may take to come."""
_CLOSING: Final = {"Connection": "close"}
"""aiohttp closes a connection whose body was not read to its end; who is not told so would use it again."""


async def read_body(request: web.Request, most: int) -> bytes:
    """The whole body, unpacked. Raises Refusal: 413 above `most` bytes, 408 where it does not come, 400 where it breaks
    off or can't be unpacked."""
    if (request.content_length or 0) > most:
        raise _too_long(most)
    content = request.content
    if content.is_eof() and content.exception() is None:  # it came with its head, as small ones do: nothing to wait for
        body = content.read_nowait()
        if content.at_eof() and len(body) <= most:
            return body
        raise _too_long(most)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _gathered(request, most)
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {BODY_SECONDS:g} s", _CLOSING) from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Refusal(400, "the body broke off or can't be unpacked", _CLOSING) from error


async def _gathered(request: web.Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            raise _too_long(most)
    return bytes(body)


def _too_long(most: int) -> Refusal:
    return Refusal(413, f"a body has at most {most:,} bytes here", _CLOSING)
