"""One connection to an MCP server, owned by a task of its own, since the SDK's client must end where it began."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final, cast

import httpx2
import structlog
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.session import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import (
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    Implementation,
    InputRequiredResult,
    RequestParamsMeta,
    Tool,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from vtoc_bots.core.clients.answers import Service, error_of_status
from vtoc_bots.core.clients.mcp.config import ServerConfig
from vtoc_bots.core.clients.mcp.stderr import Stderr
from vtoc_bots.core.errors import ActionError, TransientError, VtocError

logger = structlog.get_logger(__name__)

ALIVE_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 4.5
"""The SDK gives a program 2 s to end by itself, then 2 s after SIGTERM before SIGKILL."""
MOST_PAGES: Final = 50
MAX_MESSAGE_BYTES: Final = 16 * 2**20

Asks = Callable[[ElicitRequestParams], Awaitable[ElicitResult]]
Called = CallToolResult | InputRequiredResult
Streams = AbstractAsyncContextManager[Any]


class Broken(Exception):
    """The connection ended; what was under way may or may not have been done."""


class Connection:
    """A connection. It carries one call at a time, so that what the server asks meanwhile belongs to that call."""

    def __init__(self, config: ServerConfig, auth: httpx2.Auth | None = None) -> None:
        self._config, self._auth = config, auth
        self.service = Service(f"MCP server {config.name}", config.credential, config.place)
        self._stderr = Stderr(config.name)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._refusal: tuple[int, httpx2.Headers, bytes] | None = None
        self._client: Client | None = None
        self._owner: asyncio.Task[None] | None = None
        self._cause: BaseException | None = None
        self.tools: dict[str, Tool] = {}
        self.asks: Asks | None = None
        """Answers what the server asks during the call; None: nobody is there to be asked."""

    @property
    def is_open(self) -> bool:
        """Whether calls may be made."""
        return self._client is not None and self._owner is not None and not self._owner.done()

    async def open(self) -> None:
        """Start or reach the server, greet it, learn its tools.

        Raises TransientError where trying again may help, ActionError where a person must act.
        """
        self._owner = asyncio.create_task(self._own(), name=f"mcp.{self._config.name}")
        try:
            async with asyncio.timeout(self._config.entry.connect_seconds):
                await asyncio.wait({self._owner, self._ready}, return_when=asyncio.FIRST_COMPLETED)
                if not self.is_open:
                    raise self._unreachable()
                await self._learn_tools()
        except TimeoutError:
            await self.close()
            seconds = self._config.entry.connect_seconds
            words = self._stderr.last_words()
            raise TransientError(f"{self.service.name} did not greet us within {seconds:g} s{words}") from None
        except MCPError as error:
            await self.close()
            raise self._refused(idempotent=True) or TransientError(
                f"{self.service.name} did not list its tools: {error.message[:300]}"
            ) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End it; a program is stopped."""
        self._closing.set()
        if self._owner is not None and not self._owner.done():
            _, hanging = await asyncio.wait({self._owner}, timeout=CLOSE_SECONDS)
            if hanging:
                self._owner.cancel()
                await asyncio.wait({self._owner}, timeout=1.0)

    async def is_alive(self) -> bool:
        """Whether the server answers now."""
        if not self.is_open:
            return False
        assert self._client is not None
        try:
            async with asyncio.timeout(ALIVE_SECONDS):
                if self._client.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
                    await self._client.session.send_ping()
                else:
                    await self._client.list_tools(cache_mode="bypass")
        except (TimeoutError, MCPError, Broken):
            return False
        return self.is_open

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        meta: dict[str, Any],
        progress: ProgressFnT,
        input_responses: Any = None,
        request_state: str | None = None,
    ) -> Called:
        """Call a tool. Without a timeout: it may wait for a person. Raises MCPError, Broken, and what a status says."""
        assert self._client is not None
        assert self._owner is not None
        self._refusal = None
        work: asyncio.Task[Called] = asyncio.ensure_future(
            self._client.session.call_tool(
                tool,
                arguments,
                progress_callback=progress,
                input_responses=input_responses,
                request_state=request_state,
                meta=cast(RequestParamsMeta, meta),  # an open map
                allow_input_required=True,
            )
        )
        try:
            await asyncio.wait({work, self._owner}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Broken(self._why())
            return work.result()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=1.0)

    def refusal(self, *, idempotent: bool) -> VtocError | None:
        """What the HTTP status of a call outside 200 to 299 says; None where there was none."""
        if self._refusal is not None and self._refusal[0] == 404:
            return TransientError(f"{self.service.name} does not know our session any more", after_seconds=0.5)
        return self._refused(idempotent=idempotent)

    def never_reached(self) -> bool:
        """Whether the connection ended because nobody could be reached: then nothing was done."""
        return isinstance(self._cause, httpx2.ConnectError | httpx2.ConnectTimeout)

    async def _own(self) -> None:
        """Hold the client open until `close`, or until it ends by itself."""
        try:
            async with AsyncExitStack() as stack:
                streams = await self._streams(stack)
                client = Client(
                    streams,
                    elicitation_callback=self._elicit,
                    client_info=Implementation(name="vtoc-bots", version=metadata.version("vtoc-bots")),
                    cache=None,
                    mode=self._config.entry.protocol,
                )
                self._client = await stack.enter_async_context(client)
                self._refusal = None  # which versions it speaks is found by what it refuses
                self._ready.set_result(None)
                await self._closing.wait()
        except Exception as error:
            self._cause = _leaf(error)
            logger.info("mcp_connection_ended", server=self._config.name, error=self._why())
        finally:
            self._client = None
            self._stderr.close()

    async def _streams(self, stack: AsyncExitStack) -> Streams:
        entry = self._config.entry
        if entry.command is not None:
            parameters = StdioServerParameters(
                command=entry.command, args=list(entry.args), env=dict(self._config.env), cwd=entry.cwd
            )
            return stdio_client(parameters, errlog=await self._stderr.open())
        assert entry.url is not None
        http = httpx2.AsyncClient(
            auth=self._auth,
            # Without a limit for reading: a call may wait for a person; calls have limits of their own.
            timeout=httpx2.Timeout(10.0, read=None),
            headers={"User-Agent": f"vtoc-bots/{metadata.version('vtoc-bots')}"},
            event_hooks={"response": [self._note_status]},
        )
        await stack.enter_async_context(http)
        return streamable_http_client(entry.url, http_client=http, max_sse_event_size=MAX_MESSAGE_BYTES)

    async def _note_status(self, response: httpx2.Response) -> None:
        """Keep what an HTTP error says: the SDK tells only that there was one."""
        if response.status_code < 400 or response.request.method != "POST":
            return
        body = b""
        if response.headers.get("content-type", "").startswith("application/json"):
            body = (await response.aread())[:4096]
            if b'"jsonrpc"' in body:
                return  # an error of MCP's own, which says more than the status
        self._refusal = (response.status_code, response.headers, body)

    def _refused(self, *, idempotent: bool) -> VtocError | None:
        if self._refusal is None:
            return None
        status, headers, body = self._refusal
        return error_of_status(self.service, status, headers, body, datetime.now(UTC), idempotent=idempotent)

    async def _elicit(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """A question of the server's, in the middle of a call."""
        if self.asks is None:
            return ElicitResult(action="cancel")
        return await self.asks(params)

    async def learn_tools(self) -> dict[str, Tool]:
        """The tools that the server has now; those known before where it does not say."""
        try:
            async with asyncio.timeout(self._config.entry.connect_seconds):
                await self._learn_tools()
        except (TimeoutError, MCPError) as error:
            logger.info("mcp_tools_not_listed", server=self._config.name, error=f"{type(error).__name__}: {error}")
        return self.tools

    async def _learn_tools(self) -> None:
        assert self._client is not None
        cursor: str | None = None
        found: dict[str, Tool] = {}
        for _ in range(MOST_PAGES):
            page = await self._client.list_tools(cursor=cursor, cache_mode="bypass")
            found.update((tool.name, tool) for tool in page.tools)
            cursor = page.next_cursor
            if cursor is None:
                break
        self.tools = found

    def _unreachable(self) -> VtocError:
        """Why the server was not reached, and what to do."""
        cause, name, entry = self._cause, self.service.name, self._config.entry
        refused = self._refused(idempotent=True)
        if refused is not None:
            return refused
        if isinstance(cause, VtocError):
            return cause
        if isinstance(cause, FileNotFoundError | PermissionError | NotADirectoryError):
            command = os.path.basename(entry.command or "")
            return ActionError(f"{name} can't be started: {command}: {cause.strerror}. Correct {self._config.place}")
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
            return TransientError(f"{name} can't be reached ({self._why()}). Is {self._config.place} right?")
        return TransientError(f"{name} did not greet us ({self._why()}){self._stderr.last_words()}")

    def _why(self) -> str:
        if self._cause is None:
            return "the connection ended"
        return (str(self._cause) or type(self._cause).__name__)[:200]


def _leaf(error: BaseException) -> BaseException:
    """The first error inside groups of them."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
