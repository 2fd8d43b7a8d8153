"""Sessions of the MCP server: bounded in number, ended when idle, each its credential's alone; and the one of stdio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from vtoc_bots.core.web.mcp.asgi import Application
from vtoc_bots.core.web.mcp.caller import Caller
from vtoc_bots.core.web.mcp.server import Context, make_server

MOST_SESSIONS: Final = 200
IDLE_SECONDS: Final = 600.0
_CALLER: Final = "vtoc_caller"


class Serving:
    """The server over HTTP, while its sessions are held."""

    def __init__(self, manager: StreamableHTTPSessionManager) -> None:
        self.application: Application = manager.asgi_app

    def scope(self, caller: Caller) -> dict[str, Any]:
        """What a request's scope says of who asks: the SDK keeps sessions to their owner by `user`."""
        token = AccessToken(token="", client_id=caller.principal.actor, scopes=[])
        return {_CALLER: caller, "user": AuthenticatedUser(token)}


@asynccontextmanager
async def open_sessions(server: Server[Any] | None = None) -> AsyncIterator[Serving]:
    """Hold the sessions of our server, or of another one that stands in for it in a test."""
    manager = StreamableHTTPSessionManager(
        server or make_server(_caller_of), max_sessions=MOST_SESSIONS, session_idle_timeout=IDLE_SECONDS
    )
    async with manager.run():
        yield Serving(manager)


async def speak_stdio(caller: Caller) -> None:
    """Serve stdin and stdout for one caller, until stdin ends."""

    async def known(ctx: Context) -> Caller:
        return caller

    server = make_server(known)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def _caller_of(ctx: Context) -> Caller:
    """Who sent the request that is being answered."""
    caller: Caller = ctx.request.scope[_CALLER]  # type: ignore[union-attr]  # every request comes through the bridge
    return caller
