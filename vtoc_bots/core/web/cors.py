"""Lets web pages of named origins use the API, the ChatKit server and MCP (CORS, Fetch standard §3.2); no others."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from aiohttp.hdrs import VARY

MAX_AGE_SECONDS: Final = 600
_METHODS: Final = "GET, POST, PUT, PATCH, DELETE"
_EXPOSED: Final = (
    "X-Correlation-Id, X-Next-Cursor, Link, Retry-After, Location, Content-Disposition, WWW-Authenticate,"
    " Mcp-Session-Id, Mcp-Protocol-Version"
)
_ALWAYS_HEADERS: Final = (
    "authorization, content-type, idempotency-key, last-event-id, mcp-session-id, mcp-protocol-version"
)
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9-]+(?:\s*,\s*[A-Za-z0-9-]+){0,30}")

Allows = Callable[[str, web.Request], bool]
"""Whether pages of an origin may use what a request asks for."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Cors:
    """Answers preflights and dresses answers for the allowed origins, each named in full and never ``*``.

    `places` says what is allowed where, by the beginning of a path. Credentials are bearer tokens that a page adds
    itself; cookies are nobody's here, so none are allowed.
    """

    def __init__(self, places: Mapping[str, Allows]) -> None:
        self._places = places

    def add(self, app: web.Application) -> None:
        """Work in an application; with no place, nothing is added."""
        if self._places:
            app.middlewares.append(self._handle)
            app.on_response_prepare.append(self._dress)

    @web.middleware
    async def _handle(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or asked is None or self._allowed(request) is None:
            return await handler(request)
        wanted = request.headers.get("Access-Control-Request-Headers", "").strip()
        names = wanted if _HEADER_NAMES.fullmatch(wanted) else _ALWAYS_HEADERS
        headers = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": names,
            "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
        }
        return web.Response(status=204, headers=headers)

    async def _dress(self, request: web.Request, response: web.StreamResponse) -> None:
        if self._at(request.path) is None:
            return
        # Whatever the answer, caches must not give one origin's to another.
        response.headers.add(VARY, "Origin")
        origin = self._allowed(request)
        if origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED

    def _allowed(self, request: web.Request) -> str | None:
        """The request's origin, where its pages may use what it asks for."""
        origin, allows = request.headers.get("Origin"), self._at(request.path)
        return origin if origin is not None and allows is not None and allows(origin, request) else None

    def _at(self, path: str) -> Allows | None:
        found = (each for each in self._places if path == each or path.startswith(f"{each}/"))
        return next((self._places[each] for each in found), None)
