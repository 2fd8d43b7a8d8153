"""A server's shelf of files that people sent: it gives them, or refuses, hangs, breaks off, sends elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

PATH = "/shelf/{name}"
ENDLESS = 64 * 2**20
DATA = b"%PDF-1.7 the plan of the harbour " * 100


class Shelf:
    """`manner` is how it gives: ``well``, ``login`` (a page instead), ``refuse``, ``hang``, ``endless``, ``half``,
    ``drop`` or an address to be redirected to."""

    def __init__(self) -> None:
        self.manner = "well"
        self.asked: list[dict[str, str]] = []
        """The headers of each request."""

    async def give(self, request: web.Request) -> web.StreamResponse:
        """A file."""
        self.asked.append(dict(request.headers))
        match self.manner:
            case "well":
                return web.Response(body=DATA, content_type="application/pdf")
            case "login":
                return web.Response(text="<html>Sign in</html>" * 200, content_type="text/html")
            case "refuse":
                return web.Response(status=403, text="This content is no longer available.")
            case "hang":
                await asyncio.Event().wait()
            case "endless":
                return await self._endless(request)
            case "half":
                response = web.StreamResponse(headers={"Content-Length": str(len(DATA))})
                await response.prepare(request)
                await response.write(DATA[: len(DATA) // 2])
                _abort(request)
                return response
            case "drop":
                _abort(request)
                return web.Response()
        raise web.HTTPFound(self.manner)

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        """More than was said, without a length."""
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(ENDLESS // 2**20):
            await response.write(bytes(2**20))
        return response


def _abort(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


@asynccontextmanager
async def another_server() -> AsyncIterator[tuple[str, Shelf]]:
    """A server that is not the platform's: its address, and what was asked there."""
    shelf, app = Shelf(), web.Application()
    app.router.add_get(PATH, shelf.give)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", shelf
    finally:
        await runner.cleanup()
