"""The channel webhook: an organisation posts its events here, and is told that one arrived once it is on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson
from aiohttp import web

from vtoc_bots import Accepted, Clock, Inbox, Message, Refusal, TransientError, check_signature, read_body
from vtoc_bots.plugins.chatkit.files import EventFiles
from vtoc_bots.plugins.chatkit.purpose import Threads
from vtoc_bots.plugins.chatkit.wire import Malformed, message_from_event

PATH: Final = "/api/v1/chatkit/webhook"
TIMESTAMP_HEADER: Final = "X-ChatKit-Timestamp"
MOST_BYTES: Final = 2**20
_PLAIN: Final = ("application/json", "application/json; charset=utf-8")
"""Content types that need no parsing."""


class Webhook:
    """Checks and takes in what is posted. `inbox` is None until the transport runs."""

    def __init__(
        self,
        secret: str | None,
        account: str,
        clock: Clock,
        threads: Threads,
        files: EventFiles,
        note: Callable[[Message], Awaitable[None]] | None,
    ) -> None:
        """`note` shows what was said where the threads live here."""
        self._threads, self._files = threads, files
        self._secret, self._account, self._clock, self._note = secret, account, clock, note
        self.inbox: Inbox | None = None
        self.last_at: float | None = None
        """When the last event came, by the monotonic clock."""

    async def handle(self, request: web.Request) -> web.Response:
        """202 once the event is stored; 401 without its signature, 413 or 400 for what is no event, 503 where it can't
        be stored now: whoever sent it sends it again."""
        inbox = self.inbox
        if inbox is None:
            raise web.HTTPServiceUnavailable(text="not receiving yet", headers={"Retry-After": "1"})
        body = await read_body(request, MOST_BYTES)
        try:
            check_signature(self._secret, request.headers, body, self._clock.now())
        except Refusal as error:
            raise web.HTTPUnauthorized(text=str(error)) from error
        event = _event(request, body)
        message = self._message(request, body, event)
        self.last_at = self._clock.monotonic()
        if message is not None:
            try:
                if message.conversation.thread is not None:
                    message = await self._placed(message, message.conversation.thread)
                if message.attachments:
                    message = await self._files.taken(message, event)
                accepted = await inbox.accept(message)
            except TransientError as error:
                after = {"Retry-After": str(max(1, round(error.after_seconds or 1)))}
                raise web.HTTPServiceUnavailable(text=str(error), headers=after) from error
            if self._note is not None and message.text and isinstance(accepted, Accepted) and not accepted.duplicate:
                await self._note(message)
        return web.Response(status=202)

    async def _placed(self, message: Message, thread: str) -> Message:
        """The message in its conversation as we name it."""
        conversation = replace(message.conversation, thread=await self._threads.named(thread))
        return replace(message, conversation=conversation)

    def age(self) -> str:
        """How old the last event is, in words."""
        if self.last_at is None:
            return "no event yet"
        return f"last event {self._clock.monotonic() - self.last_at:.0f} s ago"

    def _message(self, request: web.Request, body: bytes, event: Mapping[str, Any]) -> Message | None:
        try:
            return message_from_event(
                event, self._account, lambda: self._bare_id(request, body), request.headers.get("traceparent")
            )
        except Malformed as error:
            raise web.HTTPBadRequest(text=f"this is not an event of a channel: {error}") from error

    def _bare_id(self, request: web.Request, body: bytes) -> str:
        """What an event without an id of its own is known again by: its body within the minute it was sent in."""
        stamp = request.headers.get(TIMESTAMP_HEADER)
        minute = int(stamp if stamp is not None else self._clock.now().timestamp()) // 60
        return f"{hashlib.sha256(body).hexdigest()}:{minute}"


def _event(request: web.Request, body: bytes) -> Mapping[str, Any]:
    if request.headers.get("Content-Type") not in _PLAIN and not _is_utf8(request):
        raise web.HTTPBadRequest(text="the body must be UTF-8")
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise web.HTTPBadRequest(text="this is not JSON in UTF-8") from None
    if not isinstance(event, dict):
        raise web.HTTPBadRequest(text="this is not an event of a channel")
    return event


def _is_utf8(request: web.Request) -> bool:
    try:
        return (request.charset or "utf-8").lower() in ("utf-8", "utf8", "us-ascii")
    except ValueError:
        return False
