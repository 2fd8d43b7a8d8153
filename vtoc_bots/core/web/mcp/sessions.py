"""Sessions of the MCP server: bounded in number, ended when idle, each its credential's alone; and the one of stdio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventStore
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from vtoc_bots.core.ports import Clock
from vtoc_bots.core.web.mcp.asgi import Application, Message, Receive, Send
from vtoc_bots.core.web.mcp.caller import Caller
from vtoc_bots.core.web.mcp.event_memory import EventMemory
from vtoc_bots.core.web.mcp.looks import Lookers, Still
from vtoc_bots.core.web.mcp.server import Context, make_server
from vtoc_bots.core.web.mcp.session_book import IDLE_SECONDS, SessionBook
from vtoc_bots.core.web.mcp.subscriptions import Subscriptions

MOST_SESSIONS: Final = 200
RETRY_MILLISECONDS: Final = 1000
"""After which a client is to take up a stream that broke."""
_WHOSE: Final[ContextVar[str]] = ContextVar("vtoc_mcp_whose")
"""Who sends the request that is being answered."""
_CALLER: Final = "vtoc_caller"
_STILL: Final = "vtoc_still"


class Serving:
    """The server over HTTP, while its sessions are held."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def scope(self, caller: Caller, still: Still) -> dict[str, Any]:
        """What a request's scope says of who asks: the SDK keeps sessions to their owner by `user`."""
        token = AccessToken(token="", client_id=caller.principal.actor, scopes=[])
        return {_CALLER: caller, _STILL: still, "user": AuthenticatedUser(token)}


class _Manager(StreamableHTTPSessionManager):
    """Gives every session a memory of its own: the SDK would give all of them one, in which their streams mix."""

    def __init__(self, server: Server[Any], memory: EventMemory) -> None:
        self._memory = memory
        super().__init__(
            server, max_sessions=MOST_SESSIONS, session_idle_timeout=IDLE_SECONDS, retry_interval=RETRY_MILLISECONDS
        )

    @property
    def event_store(self) -> EventStore | None:
        """Another one whenever a session is made."""
        return self._memory.part(_WHOSE.get())

    @event_store.setter
    def event_store(self, given: EventStore | None) -> None:
        """The SDK's constructor sets what it was given, which is none."""


@asynccontextmanager
async def open_sessions(clock: Clock, dropped: Callable[[], None]) -> AsyncIterator[Serving]:
    """Hold the sessions; `dropped` counts the events that were let go to keep within bounds."""
    book, lookers = SessionBook(clock), Lookers(clock)
    server = make_server(_caller_of, book, Subscriptions(_whose, book, lookers))
    manager = _Manager(server, EventMemory(dropped))
    async with manager.run(), lookers.held():

        async def application(scope: Message, receive: Receive, send: Send) -> None:
            _WHOSE.set(_owner_of(scope))
            await manager.asgi_app(scope, receive, send)

        yield Serving(book.before(application, _owner_of))


async def speak_stdio(caller: Caller, clock: Clock) -> None:
    """Serve stdin and stdout for one caller, until stdin ends."""

    async def known(ctx: Context) -> Caller:
        return caller

    async def holds() -> bool:
        return True

    async def whose(ctx: Context) -> tuple[Caller, Still]:
        return caller, holds

    book, lookers = SessionBook(clock), Lookers(clock)
    server = make_server(known, book, Subscriptions(whose, book, lookers))
    async with lookers.held(), stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def _owner_of(scope: Message) -> str:
    caller: Caller = scope[_CALLER]
    return caller.principal.actor


async def _caller_of(ctx: Context) -> Caller:
    """Who sent the request that is being answered."""
    caller: Caller = ctx.request.scope[_CALLER]  # type: ignore[union-attr]  # every request comes through the bridge
    return caller


async def _whose(ctx: Context) -> tuple[Caller, Still]:
    """And whether their credential holds."""
    still: Still = ctx.request.scope[_STILL]  # type: ignore[union-attr]  # every request comes through the bridge
    return await _caller_of(ctx), still
