"""``/mcp``: who may speak MCP to this process over HTTP, and for how long; and the same over stdin and stdout."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vtoc_bots.core.access import Operator, Station
from vtoc_bots.core.errors import TransientError, VtocError
from vtoc_bots.core.settings import Settings, Words
from vtoc_bots.core.web.auth import Principal
from vtoc_bots.core.web.bodies import read_body
from vtoc_bots.core.web.context import station_named, station_of
from vtoc_bots.core.web.mcp.asgi import Exchange
from vtoc_bots.core.web.mcp.caller import OURS, Caller
from vtoc_bots.core.web.parts import Parts
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.core.web.settings import full_origins

logger = structlog.get_logger(__name__)

PATH: Final = "/mcp"
OPEN_SECONDS: Final = 20.0
STILL_SECONDS: Final = 20.0
"""How often the credential of an open stream is looked at again."""
INSTALL: Final = "MCP needs the package mcp: pip install 'vtoc-bots[mcp]', then start again"
SESSIONS: Final = "vtoc_bots.core.web.mcp.sessions"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class McpSettings(BaseModel):
    """The variables of the MCP server; `Settings.read` makes it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    hosts: Words = Field(
        (),
        alias="VTOC_MCP_HOSTS",
        description="Names under which /mcp is reached, besides this machine's own and VTOC_PUBLIC_URL's",
        json_schema_extra={"accepts": "host or host:port, separated by commas or spaces"},
    )
    origins: Annotated[Words, AfterValidator(full_origins)] = Field(
        (),
        alias="VTOC_MCP_ORIGINS",
        description="Web pages whose scripts may use /mcp, besides VTOC_PUBLIC_URL",
        json_schema_extra={"accepts": "origins, https://host or https://host:port, separated by commas or spaces"},
    )


class McpHost:
    """Speaks MCP for one process."""

    def __init__(self, settings: Settings, parts: Parts, dropped: Callable[[], None]) -> None:
        own = settings.read(McpSettings)
        public = None if settings.public_url is None else urlsplit(settings.public_url)
        self._parts, self._dropped = parts, dropped
        self.catalogue = OURS
        """What is offered besides the playbooks; a test may offer more."""
        self._hosts = {*_LOOPBACK, *(name.lower() for name in own.hosts), *([public.netloc] if public else [])}
        self._origins = {*own.origins, *([f"{public.scheme}://{public.netloc}"] if public else [])}
        self._serving: Any = None
        self._wanted, self._settled = asyncio.Event(), asyncio.Event()
        self._why_not = "MCP is ending here"

    def add_routes(self, app: web.Application) -> None:
        """Serve it."""
        for method in ("GET", "POST", "DELETE"):
            app.router.add_route(method, PATH, self.handle)

    async def run(self) -> None:
        """Hold the sessions from the first request on, until cancelled: importing the SDK takes most of a second."""
        await self._wanted.wait()
        try:
            sessions = await _imported()
        except ModuleNotFoundError as error:
            if not _is_sdk(error):
                raise
            self._why_not = INSTALL
            self._settled.set()
            await asyncio.Event().wait()
        async with sessions.open_sessions(self._parts.clock, self._dropped) as serving:
            self._serving = serving
            self._settled.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._serving = None
                self._settled.clear()

    async def _served(self) -> Any:
        """The sessions, opened now where they are not. Raises Refusal."""
        self._wanted.set()
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._settled.wait()
        except TimeoutError:
            raise Refusal(503, "MCP is starting or ending here; try again", {"Retry-After": "2"}) from None
        if self._serving is None:
            raise Refusal(503, self._why_not)
        return self._serving

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the protocol."""
        self._check_place(request)
        authorization = request.headers.get("Authorization")
        principal = await self._parts.authenticator.principal(authorization)
        station = station_of(principal, station_named(None, request.headers), await self._parts.people.stations())
        serving = await self._served()
        body = await read_body(request, request.client_max_size)

        async def still() -> bool:
            try:
                await self._parts.authenticator.principal(authorization)
            except Refusal:
                return False
            except TransientError:  # nobody can say now; it is looked again soon
                return True
            return True

        caller = Caller(self._parts, principal, station, self.catalogue)
        exchange = Exchange(request, body, still, STILL_SECONDS)
        return await exchange.run(serving.application, **serving.scope(caller, still))

    def _check_place(self, request: web.Request) -> None:
        """Refuse what a web page of somebody else's makes a browser send: DNS rebinding, foreign origins."""
        host = request.headers.get("Host", "").lower()
        bare = _without_port(host)
        if host not in self._hosts and bare not in self._hosts:
            raise Refusal(421, f"/mcp is not served under {host[:200]!r}; VTOC_PUBLIC_URL or VTOC_MCP_HOSTS names it")
        origin = request.headers.get("Origin")
        if origin is not None and not self.allows(origin, request):
            raise Refusal(403, f"pages of {origin[:200]} may not use /mcp; VTOC_MCP_ORIGINS names those that may")

    def allows(self, origin: str, request: web.Request) -> bool:
        """Whether pages of this origin may use it: those that are named, and this machine's own on this machine."""
        try:
            host = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        own = (_without_port(host), _without_port(request.headers.get("Host", "").lower()))
        return origin in self._origins or all(name in _LOOPBACK for name in own)

    async def stdio(self, operator: Operator, station: Station) -> None:
        """Speak it on stdin and stdout, until stdin ends. Raises VtocError where the SDK is not installed."""
        try:
            sessions = await _imported()
        except ModuleNotFoundError as error:
            if not _is_sdk(error):
                raise
            raise VtocError(INSTALL) from error
        principal = Principal(operator, station, f"operator:{operator.id}")
        caller = Caller(self._parts, principal, station, self.catalogue)
        await sessions.speak_stdio(caller, self._parts.clock)


def _is_sdk(error: ModuleNotFoundError) -> bool:
    return (error.name or "").partition(".")[0] in ("mcp", "mcp_types", "starlette")


async def _imported() -> Any:
    """The module of the sessions, imported in a thread: it takes most of a second, in which others are served."""
    return await asyncio.get_running_loop().run_in_executor(None, importlib.import_module, SESSIONS)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
