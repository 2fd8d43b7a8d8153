"""The HTTP endpoint for events, slash commands and interactivity: signatures are verified before anything is read."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from vtoc_bots import Clock, read_body

PATH: Final = "/slack/events"
MOST_BYTES: Final = 2**20
SIGNED_SECONDS: Final = 300
"""For which a signature is good."""


def slack_route(app: AsyncApp, signing_secret: str, clock: Clock) -> web.RouteDef:
    """The endpoint. 401 for what is not signed by Slack, 400 for what can't be read, else what the app answers."""
    secret = signing_secret.encode()

    async def handle(request: web.Request) -> web.Response:
        data = await read_body(request, MOST_BYTES)
        if not _is_signed(secret, data, request.headers, clock.now().timestamp()):
            return web.json_response({"error": "this request was not signed by Slack"}, status=401)
        repeat = request.headers.get("X-Slack-Retry-Num")
        try:
            # What is verified and read is to Bolt what comes by Socket Mode: it neither verifies nor reads it again.
            received = AsyncBoltRequest(
                mode="socket_mode", body=payload_of(data), headers={"x-slack-retry-num": repeat} if repeat else None
            )
        except (ValueError, AttributeError, TypeError, IndexError):  # Bolt's own, of a body that is no payload
            return web.json_response({"error": "this body can't be read"}, status=400)
        return _response(await app.async_dispatch(received))

    return web.post(PATH, handle)


def payload_of(data: bytes) -> dict[str, Any]:
    """The payload of a request's body: JSON, a form with JSON in it, or a form. Raises ValueError for anything else."""
    if data.startswith(b"{"):
        payload = orjson.loads(data)
    else:
        form = dict(parse_qsl(data.decode(), keep_blank_values=True))
        if not {"payload", "command", "ssl_check"} & form.keys():
            raise ValueError("neither a payload nor a command")
        payload = orjson.loads(form["payload"]) if "payload" in form else form
    if not isinstance(payload, dict):
        raise ValueError("a payload is an object")
    return payload


def _response(answer: BoltResponse) -> web.Response:
    """Bolt's answer as the server's."""
    if not answer.body:
        return web.Response(status=answer.status)
    kind = "application/json" if answer.body.startswith("{") else "text/plain"
    return web.Response(status=answer.status, text=answer.body, content_type=kind)


def _is_signed(secret: bytes, data: bytes, headers: Mapping[str, str], now: float) -> bool:
    """Whether Slack signed it at most five minutes ago: HMAC-SHA256 of version, time and body, in hexadecimal
    (docs.slack.dev, "Verifying requests from Slack")."""
    timestamp, signature = headers.get("X-Slack-Request-Timestamp", ""), headers.get("X-Slack-Signature", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16 and signature.isascii()):
        return False
    expected = hmac.digest(secret, b"v0:" + timestamp.encode() + b":" + data, "sha256").hex()
    return hmac.compare_digest(f"v0={expected}", signature) and abs(now - int(timestamp)) <= SIGNED_SECONDS
