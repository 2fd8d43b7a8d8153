"""The HTTP endpoint for events, slash commands and interactivity: signatures are verified before anything is read."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from vtoc_bots import Clock, read_body

PATH: Final = "/slack/events"
MOST_BYTES: Final = 2**20


class _Now(SignatureClock):
    """Our clock, for the five minutes that a signature is good."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.now().timestamp()


def slack_route(app: AsyncApp, signing_secret: str, clock: Clock) -> web.RouteDef:
    """The endpoint. 401 for what is not signed by Slack, 400 for what can't be read, else what the app answers."""
    verifier = SignatureVerifier(signing_secret, _Now(clock))

    async def handle(request: web.Request) -> web.Response:
        data = await read_body(request, MOST_BYTES)
        if not _is_signed(verifier, data, request):
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


def _is_signed(verifier: SignatureVerifier, data: bytes, request: web.Request) -> bool:
    timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
    signature = request.headers.get("X-Slack-Signature", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16 and signature.isascii()):
        return False
    try:
        return verifier.is_valid(data, timestamp, signature)
    except UnicodeDecodeError:
        return False
