"""A strict door before the small MCP server: it wants a token of its endpoint, and misbehaves as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.mcp_kit import HttpServer

_DROPPED = {"transfer-encoding", "content-length", "connection", "date", "server"}


class Door:
    """Passes requests on. `fault` is what a call of a tool meets; `expired` refuses every token given so far.

    Faults: hang, 500, 429, garbage, half, cut (before the server has it), late (after the server did it).
    """

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self.fault = ""
        self.token_fault = ""
        self.url = ""
        self.given: list[str] = []
        self.valid: set[str] = set()
        self.calls = 0
        self.seconds = 3600

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return self.url.replace("/mcp", "/token")

    def expire(self) -> None:
        """Refuse every token given so far, whatever was said of its life."""
        self.valid.clear()

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Client credentials for a token."""
        form = await request.post()
        if self.token_fault == "500 once":
            self.token_fault = ""
            return web.json_response({"error": "broken"}, status=500)
        if self.token_fault == "500":
            return web.json_response({"error": "broken"}, status=500)
        if self.token_fault == "garbage":
            return web.Response(text="<html>")
        if (form.get("client_id"), form.get("client_secret")) != ("centre", "a-client-secret"):
            return web.json_response({"error": "invalid_client"}, status=401)
        token = f"token-{len(self.given)}"
        self.given.append(token)
        self.valid.add(token)
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.seconds})

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """The server's answer, or the fault."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.valid:
            return web.json_response({"error": "invalid_token"}, status=401)
        body = await request.read()
        calls = b'"tools/call"' in body
        self.calls += calls
        fault = self.fault if calls else ""
        if fault in ("hang", "500", "429", "garbage", "half", "cut"):
            return await self._misbehave(request, fault)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED | {"host"}}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, self._server.url, headers=headers, data=body) as answer,
        ):
            if fault == "late":
                await answer.read()
                return await self._misbehave(request, "cut")
            response = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _DROPPED:
                    response.headers[name] = value
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _misbehave(self, request: web.Request, fault: str) -> web.StreamResponse:
        match fault:
            case "hang":
                await asyncio.Event().wait()
            case "500":
                return web.json_response({"detail": "out of paper"}, status=500)
            case "429":
                return web.json_response({"detail": "too fast"}, status=429, headers={"Retry-After": "1"})
            case "garbage":
                return web.Response(body=b"\xff\xfe not json", content_type="application/json")
            case "half":
                response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "999"})
                await response.prepare(request)
                await response.write(b'{"jsonrpc": "2.0", "id')
                assert request.transport is not None
                request.transport.close()
                return response
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def open_door(server: HttpServer) -> AsyncIterator[Door]:
    """A door before a running server."""
    door = Door(server)
    app = web.Application()
    app.router.add_post("/token", door.token)
    app.router.add_route("*", "/mcp", door.pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        door.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        yield door
    finally:
        await runner.cleanup()
