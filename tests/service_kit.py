"""A service over a real socket that answers each request as the test scripted, and keeps what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from vtoc_bots.core.clients.answers import Service
from vtoc_bots.core.clients.http import ServiceHttp

SERVICE = Service("agentkit", "AGENTKIT_API_KEY", "AGENTKIT_API_BASE_URL")


class SteppedClock:
    """A clock that moves when somebody sleeps by it, or when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def answer(status: int, body: bytes = b"{}", *lines: str, length: int | None = None) -> bytes:
    """An HTTP answer; `length` says another length than the body has."""
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", "Connection: close"]
    return "\r\n".join([*head, *lines, "", ""]).encode() + body


class ScriptedService:
    """Answers with the script's next bytes; None hangs until the test ends; an empty answer cuts the connection."""

    def __init__(self) -> None:
        self.script: list[bytes | None] = []
        self.asked: list[Asked] = []
        self.gate: Callable[[], Awaitable[None]] | None = None
        self.most_at_once = self._at_once = 0
        self.url = ""
        self._serving: set[asyncio.Task[Any]] = set()

    async def ended(self) -> None:
        """End what still hangs."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, target, _ = first.split(" ")
            self.asked.append(Asked(method, target, headers, body))
            if self.gate is not None:
                await self.gate()
            reply = self.script.pop(0) if self.script else answer(200)
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._at_once -= 1
            writer.close()


@asynccontextmanager
async def scripted(**options: Any) -> AsyncIterator[tuple[ScriptedService, ServiceHttp, SteppedClock]]:
    """The service, our way to it, and the clock by which we wait."""
    service, clock = ScriptedService(), SteppedClock()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with aiohttp.ClientSession() as session:
        http = ServiceHttp(lambda: session, SERVICE, service.url, clock, chance=lambda: 0.0, **options)
        try:
            yield service, http, clock
        finally:
            server.close()
            await server.wait_closed()
            await service.ended()
