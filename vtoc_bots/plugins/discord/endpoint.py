"""Interactions by HTTP: signed by Discord, stored, and answered in the response itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from aiohttp import web
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from vtoc_bots import Clock, read_body
from vtoc_bots.plugins.discord.acks import Acks
from vtoc_bots.plugins.discord.answers import PONG
from vtoc_bots.plugins.discord.receive import Receiver
from vtoc_bots.plugins.discord.wire import InteractionType, Shapeless

logger = structlog.get_logger(__name__)

PATH: Final = "/discord/interactions"
OLDEST_SECONDS: Final = 300.0
MOST_BYTES: Final = 2**20


class Endpoint:
    """The interactions endpoint of one application."""

    def __init__(self, public_key: str, receiver: Receiver, acks: Acks, clock: Clock) -> None:
        self._key = VerifyKey(bytes.fromhex(public_key))
        self._receiver, self._acks, self._clock = receiver, acks, clock

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one interaction. Forged or old ones are refused with 401, before anything of them is read."""
        body = await read_body(request, MOST_BYTES)
        timestamp = request.headers.get("X-Signature-Timestamp", "")
        if not self.is_signed(timestamp, body, request.headers.get("X-Signature-Ed25519", "")):
            raise web.HTTPUnauthorized(text="the signature is not Discord's for this application")
        payload = _payload(body)
        if payload.get("type") == InteractionType.PING:
            return _json(PONG)
        if not self._receiver.is_open:
            raise web.HTTPServiceUnavailable(text="not ready yet")
        interaction = str(payload["id"])
        self._acks.begin(interaction)
        try:
            response, kind = await self._receiver.answer(payload)
        except Shapeless:
            self._acks.end(interaction, "none")
            raise web.HTTPBadRequest(text="not an interaction") from None
        self._acks.end(interaction, kind)
        return _json(response)

    def is_signed(self, timestamp: str, body: bytes, signature: str) -> bool:
        """Whether Discord signed this a short while ago (Ed25519 over timestamp and body)."""
        if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
            return False
        if abs(self._clock.now().timestamp() - int(timestamp)) > OLDEST_SECONDS:
            return False
        try:
            self._key.verify(timestamp.encode() + body, bytes.fromhex(signature))
        except (BadSignatureError, ValueError):
            return False
        return True


def _payload(body: bytes) -> Mapping[str, Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    if not isinstance(payload, dict) or (payload.get("type") != InteractionType.PING and not _has_ids(payload)):
        raise web.HTTPBadRequest(text="not an interaction")
    return payload


def _has_ids(payload: Mapping[str, Any]) -> bool:
    numbered = str(payload.get("id", "")).isdigit() and type(payload.get("type")) is int
    return numbered and isinstance(payload.get("token"), str)


def _json(document: Mapping[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")
