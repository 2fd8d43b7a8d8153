"""Serves an ASGI application under a route of aiohttp: the SDK's server speaks ASGI, this process aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[Any]]

LOOK_SECONDS: Final = 0.5
"""How often it is looked whether the client is still there: aiohttp tells a handler only when it writes."""
_EVENTS: Final = b"text/event-stream"
_HOP_BY_HOP: Final = frozenset({b"connection", b"transfer-encoding", b"keep-alive", b"date", b"server"})


class Exchange:
    """One request and its response.

    `still` is asked every `still_seconds` while a response goes on; False ends it as if the client had left.
    """

    def __init__(
        self,
        request: web.Request,
        body: bytes,
        still: Callable[[], Awaitable[bool]],
        still_seconds: float,
    ) -> None:
        self._request, self._body = request, body
        self._still, self._still_seconds = still, still_seconds
        self._given = False
        self._head: Message | None = None
        self._response: web.StreamResponse | None = None
        self._answered = asyncio.Event()

    async def run(self, application: Application, **more: Any) -> web.StreamResponse:
        """Let the application answer; `more` is put into its scope."""
        try:
            await application(self._scope() | more, self._receive, self._send)
        finally:
            self._answered.set()
        if self._response is None:
            raise web.HTTPBadGateway(text="The MCP server gave no answer.")
        if self._response.prepared and not isinstance(self._response, web.Response):
            with suppress(ConnectionError):  # the client left first
                await self._response.write_eof()
        return self._response

    def _scope(self) -> dict[str, Any]:
        request = self._request
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.scheme,
            "path": request.path,
            "raw_path": request.raw_path.encode(),
            "query_string": request.query_string.encode(),
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
            "client": peer[:2] if isinstance(peer, tuple) else None,
            "server": None,
            "state": {},
        }

    async def _receive(self) -> Message:
        """The body, and after it that the client left, once it has."""
        if not self._given:
            self._given = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        waited = 0.0
        while not self._answered.is_set():
            transport = self._request.transport
            if transport is None or transport.is_closing():
                break
            if waited >= self._still_seconds:
                waited = 0.0
                if not await self._still():
                    break
            try:
                await asyncio.wait_for(self._answered.wait(), LOOK_SECONDS)
            except TimeoutError:
                waited += LOOK_SECONDS
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            if any(name.lower() == b"content-type" and value.startswith(_EVENTS) for name, value in message["headers"]):
                await self._begin()
        elif message["type"] == "http.response.body":
            await self._write(message.get("body", b""), bool(message.get("more_body", False)))

    async def _write(self, data: bytes, more: bool) -> None:
        if self._response is None and not more:
            assert self._head is not None
            self._response = web.Response(status=self._head["status"], body=data)
            self._dress(self._response)
            return
        if self._response is None:
            await self._begin()
        assert self._response is not None
        if data:
            with suppress(ConnectionError):  # the application is told by `_receive` that the client left
                await self._response.write(data)

    async def _begin(self) -> None:
        assert self._head is not None
        self._response = web.StreamResponse(status=self._head["status"])
        self._dress(self._response)
        await self._response.prepare(self._request)

    def _dress(self, response: web.StreamResponse) -> None:
        assert self._head is not None
        for name, value in self._head["headers"]:
            if name.lower() not in _HOP_BY_HOP and name.lower() != b"content-length":
                response.headers[name.decode("latin-1")] = value.decode("latin-1")
