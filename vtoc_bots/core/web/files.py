"""Signed links to stored files, for what is too large to be sent in chat."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.media_types import media_type
from vtoc_bots.core.ports import Blobs, Clock

VALID_SECONDS: Final = 24 * 3600
_PATH: Final = "/files/{blob:[0-9a-f]{64}}/{name}"
SHOWN: Final[Mapping[str, str]] = MappingProxyType(
    {"image/png": ".png", "image/jpeg": ".jpg", "text/plain": ".txt", "application/pdf": ".pdf"}
)
"""Types a browser may show, and how their names end; anything else is only saved, so that no stored page runs under
our address."""


class FileLinks:
    """Makes links and serves what they name.

    `password` is the engine's database password, which all processes of an installation share; the key is derived from
    it. Without one links are only good in this process. `base` is the address people reach us at, None where they
    can't.
    """

    def __init__(self, blobs: Blobs, clock: Clock, password: str | None, base: str | None) -> None:
        self._blobs, self._clock, self._base = blobs, clock, base
        self._key = hmac.digest((password or secrets.token_hex()).encode(), b"vtoc-bots file links", hashlib.sha256)

    def address(self, blob: str, name: str, content_type: str) -> str | None:
        """A link that is good for a day; None where people can't reach us."""
        if self._base is None:
            return None
        until = int(self._clock.now().timestamp()) + VALID_SECONDS
        query = urlencode(
            {"type": content_type, "until": until, "sig": self._signature(blob, name, content_type, until)}
        )
        return f"{self._base}/files/{blob}/{quote(name, safe='')}?{query}"

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        app.router.add_get(_PATH, self._serve)

    def _signature(self, blob: str, name: str, content_type: str, until: int) -> str:
        text = "\n".join((blob, name, content_type, str(until)))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    async def _serve(self, request: web.Request) -> web.Response:
        blob, name = request.match_info["blob"], request.match_info["name"]
        content_type, until = request.query.get("type", ""), request.query.get("until", "")
        number = int(until) if until.isdecimal() and len(until) < 12 else 0
        expected = self._signature(blob, name, content_type, number)
        if not hmac.compare_digest(expected.encode(), request.query.get("sig", "").encode()):
            raise web.HTTPForbidden(text="this link was not made here")
        if number < self._clock.now().timestamp():
            raise NotFound("this link is too old; ask again for the file")
        data = await self._blobs.get(blob)
        kind = "inline" if content_type in SHOWN else "attachment"
        headers = {"Content-Disposition": f"{kind}; filename*=UTF-8''{quote(name, safe='')}"}
        return web.Response(body=data, headers={**headers, "Content-Type": media_type(content_type)})
