"""The connections to one MCP server: opened when needed, kept while they hold, each carrying one call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final

import aiohttp

from vtoc_bots.core.clients.breaker import Breaker
from vtoc_bots.core.clients.http import HttpCounts
from vtoc_bots.core.clients.mcp.call import ToolCall, nobody_answered
from vtoc_bots.core.clients.mcp.caller import Caller
from vtoc_bots.core.clients.mcp.config import ServerConfig
from vtoc_bots.core.clients.mcp.connection import Connection
from vtoc_bots.core.clients.mcp.credentials import auth_of
from vtoc_bots.core.clients.mcp.results import result_of
from vtoc_bots.core.errors import ActionError, TransientError, VtocError
from vtoc_bots.core.observe.tracing import span
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.questions import PersonNeeded
from vtoc_bots.core.tools import ToolResult

MOST_HELD: Final = 16
"""Calls of one server that may wait for people at the same time in one process."""
MOST_WAITING: Final = 64
MOST_IDLE: Final = 2
CANCEL_SECONDS: Final = 2.0


class Pool:
    """The connections to one server."""

    def __init__(
        self, config: ServerConfig, session: Callable[[], aiohttp.ClientSession], clock: Clock, counts: HttpCounts
    ) -> None:
        self.config, self._clock, self.counts = config, clock, counts
        self.breaker = Breaker(clock)
        self._places = asyncio.Semaphore(config.entry.at_once)
        self._idle: list[Connection] = []
        self._held: dict[str, ToolCall] = {}
        self._closings: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[str] | None = None
        self._auth = auth_of(config, session, clock)

    async def call(self, ctx: Caller, tool: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool for a step, or go on with the call that waited for an answer.

        Raises PersonNeeded, TransientError, Uncertain and ActionError, see `ToolCall.go`.
        """
        name = self.config.name
        attributes = {"bot.platform": f"mcp:{name}", "bot.operation": tool}
        with span(f"mcp {name}.{tool}", **attributes):
            call = self._held.pop(ctx.idempotency_key, None)
            if call is not None:
                return await self._finish(ctx, tool, call)
            if self.counts.waiting >= MOST_WAITING:
                self.counts.kept_away += 1
                raise TransientError(f"too many calls wait for MCP server {name} already", after_seconds=1.0)
            async with self._place():
                connection = await self._connection()
                call = ToolCall(self.config, connection, tool, arguments, ctx, self._clock)
                try:
                    await self._check(call, ctx, tool)
                except BaseException:
                    self._keep(connection)
                    raise
                return await self._finish(ctx, tool, call)

    async def probe(self) -> str:
        """Whether the server answers now. Raises what is wrong with it.

        A look goes on when its asker leaves: a program may take longer to start than anybody waits. What it came to is
        for the next who asks.
        """
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)
        look = self._looking
        try:
            return await asyncio.shield(look)
        finally:
            if look.done() and self._looking is look:
                self._looking = None

    async def _look(self) -> str:
        connection = await self._connection()
        self._keep(connection)
        return f"{len(connection.tools)} tools, {self.counts.answered} calls answered, {self.counts.failed} failed"

    def _looked(self, look: asyncio.Task[str]) -> None:
        """What went well is looked at anew; a fault is told once."""
        if look.cancelled() or look.exception() is None:
            self._looking = None

    async def give_up(self, key: str) -> None:
        """Give up a call that waits for a person."""
        call = self._held.pop(key, None)
        if call is not None:
            await call.abandon()

    async def tidy(self) -> None:
        """Give up calls whose answer did not come in time."""
        now = self._clock.monotonic()
        for key, call in list(self._held.items()):
            if call.deadline is not None and call.deadline < now:
                await self.give_up(key)

    async def close(self) -> None:
        """End every connection; calls that wait for people are given up."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking}, timeout=CANCEL_SECONDS)
        idle, held = self._idle, list(self._held.values())
        self._idle, self._held = [], {}
        closing = [*(connection.close() for connection in idle), *(call.abandon() for call in held)]
        await asyncio.gather(*closing, *self._closings)

    def holds(self) -> list[str]:
        """The idempotency keys of calls that wait for people here."""
        return list(self._held)

    def _place(self) -> _Place:
        return _Place(self._places, self.counts, self.config)

    async def _connection(self) -> Connection:
        """An open connection that answers, alone to whoever asks."""
        while self._idle:
            connection = self._idle.pop()
            alive = False
            try:
                alive = await connection.is_alive()
            finally:  # nobody else knows of it, also where whoever asks is cancelled here
                if not alive:
                    self._end(connection)
            if alive:
                return connection
        left = self.breaker.enter()
        if left is not None:
            self.counts.kept_away += 1
            name = self.config.name
            raise TransientError(f"MCP server {name} is left alone for now: {self.breaker.last_fault}", left)
        connection = Connection(self.config, self._auth)
        try:
            await connection.open()
        except VtocError as error:
            self.breaker.failed(str(error))
            self.counts.failed += 1
            raise
        except BaseException:
            self.breaker.left()
            raise
        self.breaker.succeeded()
        return connection

    def _keep(self, connection: Connection) -> None:
        connection.asks = None
        if connection.is_open and len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        else:
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        closing = asyncio.ensure_future(_closed(connection))
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)

    async def _check(self, call: ToolCall, ctx: Caller, tool: str) -> None:
        """Refuse what would be wrong to begin. Raises ActionError."""
        memo, known = ctx.inquiry.memo, call.connection.tools
        if tool not in known:  # some servers have more tools once they know who is there
            known = await call.connection.learn_tools()
        name = self.config.name
        error: str | None = None
        if memo.get("held") and memo.get("question") not in ctx.inquiry.answers:
            error = nobody_answered(f"{name}.{tool} was given up")
        elif memo.get("held") and not call.repeatable:
            error = (
                f"{name}.{tool} waited for an answer in a process that has ended, and is not known to be repeatable."
                " Look there what it did before you start again"
            )
        elif tool not in known:
            near = get_close_matches(tool, known, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            error = f"MCP server {name} has no tool {tool}.{hint}"
        if error is not None:
            raise ActionError(error)

    async def _finish(self, ctx: Caller, tool: str, call: ToolCall) -> ToolResult:
        kept = False
        try:
            answer = await call.go(ctx)
            kept = True
            self.counts.answered += 1
            self._keep(call.connection)
            return await result_of(answer, self.config.name, tool, ctx.blobs)
        except PersonNeeded as needed:
            kept = True
            if needed.held:
                await self._hold(ctx, call)
            else:
                self._keep(call.connection)
            raise
        except VtocError:
            if not kept:
                self.counts.failed += 1
            raise
        finally:
            if not kept:
                await asyncio.shield(asyncio.ensure_future(call.abandon()))

    async def _hold(self, ctx: Caller, call: ToolCall) -> None:
        if len(self._held) >= MOST_HELD:
            await call.abandon()
            raise ActionError(f"too many calls of MCP server {self.config.name} wait for people already")
        self._held[ctx.idempotency_key] = call


class _Place:
    """One of the places for calls under way, waited for no longer than a call may take."""

    def __init__(self, places: asyncio.Semaphore, counts: HttpCounts, config: ServerConfig) -> None:
        self._places, self._counts, self._config = places, counts, config

    async def __aenter__(self) -> None:
        self._counts.waiting += 1
        try:
            async with asyncio.timeout(self._config.entry.timeout_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise TransientError(f"MCP server {self._config.name} is busy with other calls", 2.0) from None
        finally:
            self._counts.waiting -= 1
        self._counts.in_flight += 1

    async def __aexit__(self, *_: object) -> None:
        self._counts.in_flight -= 1
        self._places.release()


async def _closed(connection: Connection) -> None:
    with suppress(Exception):  # nobody waits for it, whatever its end says
        await connection.close()
