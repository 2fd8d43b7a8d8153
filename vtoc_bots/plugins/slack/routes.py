"""The HTTP endpoint for events, slash commands and interactivity: signatures are verified before anything is read."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from vtoc_bots import Clock

PATH: Final = "/slack/events"


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
        data = await request.read()
        if not _is_signed(verifier, data, request):
            return web.json_response({"error": "this request was not signed by Slack"}, status=401)
        try:
            received = await to_bolt_request(request)
        except (ValueError, AttributeError, TypeError, IndexError):  # what Bolt raises of a body that is no payload
            return web.json_response({"error": "this body can't be read"}, status=400)
        return await to_aiohttp_response(await app.async_dispatch(received))

    return web.post(PATH, handle)


def _is_signed(verifier: SignatureVerifier, data: bytes, request: web.Request) -> bool:
    timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
    signature = request.headers.get("X-Slack-Signature", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16 and signature.isascii()):
        return False
    try:
        return verifier.is_valid(data, timestamp, signature)
    except UnicodeDecodeError:
        return False
