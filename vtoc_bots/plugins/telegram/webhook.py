"""The webhook: Telegram posts updates here, and is told that one arrived only after it was accepted."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from vtoc_bots import read_body
from vtoc_bots.plugins.telegram.intake import Intake

PATH: Final = "/telegram/webhook"
HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
MOST_BYTES: Final = 2**20


class Webhook:
    """Checks and takes in what is posted. `intake` is None until the transport runs."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret
        self.intake: Intake | None = None

    async def handle(self, request: web.Request) -> web.Response:
        """200 once the update is accepted; 401 or 403 without the secret, 413 or 400 for what is no update, 503 where
        it can't be stored now: Telegram then sends it again."""
        self._check(request.headers.get(HEADER))
        if self.intake is None:
            raise web.HTTPServiceUnavailable(text="not receiving yet", headers={"Retry-After": "1"})
        await self.intake.take(_update(await read_body(request, MOST_BYTES)))
        return web.Response()

    def _check(self, given: str | None) -> None:
        if given is None:
            raise web.HTTPUnauthorized(text=f"{HEADER} is missing")
        # Bytes, because text that is not ASCII can't be compared in constant time.
        expected = (self._secret or "").encode()
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), expected) or not expected:
            raise web.HTTPForbidden(text=f"{HEADER} is wrong")


def _update(body: bytes) -> Mapping[str, Any]:
    try:
        update = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise web.HTTPBadRequest(text="this is not JSON in UTF-8") from None
    if not isinstance(update, dict) or type(update.get("update_id")) is not int:
        raise web.HTTPBadRequest(text="this is not an update of the Bot API")
    return update
