"""Bodies of requests over real sockets: whole, in pieces, packed, too long, and never coming."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from vtoc_bots import read_body
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.web import bodies
from vtoc_bots.core.web.health import Health
from vtoc_bots.core.web.server import WebServer, make_app

MOST = 100_000


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    """A server that answers how long the body was."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await read_body(request, MOST))))

    def routes(app: web.Application) -> None:
        app.router.add_post("/", handler)

    metrics = Metrics()
    server = WebServer(make_app(Health(SystemClock(), metrics), metrics, [routes]), "127.0.0.1", 0)
    await server.start()
    try:
        yield server.port
    finally:
        await server.close()


async def said(port: int, *pieces: bytes) -> tuple[int, Any]:
    """What is answered to a request written piece by piece on a connection of its own: status, and body or detail."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
    writer.close()
    status = int(head.split()[1])
    return status, body.decode() if status == 200 else json.loads(body)["detail"]


def head(*headers: str) -> bytes:
    return "\r\n".join(("POST / HTTP/1.1", "Host: test", "Connection: close", *headers, "", "")).encode()


def chunks(*bodies: bytes) -> list[bytes]:
    return [b"%x\r\n%s\r\n" % (len(body), body) for body in (*bodies, b"")]


@pytest.mark.parametrize("size", [0, 1, 5000, MOST])
async def test_a_body_is_read_whole(port: int, size: int) -> None:
    body = b"x" * size
    assert await said(port, head(f"Content-Length: {size}") + body) == (200, str(size))
    assert await said(port, head(f"Content-Length: {size}"), body[: size // 2], body[size // 2 :]) == (200, str(size))
    if size:
        assert await said(port, head("Transfer-Encoding: chunked"), *chunks(body)) == (200, str(size))


async def test_a_packed_body_is_unpacked_and_measured_as_it_then_is(port: int) -> None:
    for size, status in ((MOST, 200), (MOST + 1, 413), (50 * MOST, 413)):
        packed = gzip.compress(b"x" * size)
        found = await said(port, head(f"Content-Length: {len(packed)}", "Content-Encoding: gzip") + packed)
        assert found[0] == status, size


async def test_what_is_too_long_is_refused_by_its_head_or_by_what_comes(port: int) -> None:
    refused = (413, f"a body has at most {MOST:,} bytes here")
    assert await said(port, head(f"Content-Length: {MOST + 1}")) == refused
    assert await said(port, head("Transfer-Encoding: chunked"), *chunks(*[b"x" * 20_000] * 6)) == refused


async def test_a_body_that_cannot_be_unpacked_is_refused(port: int) -> None:
    broken = (400, "the body broke off or can't be unpacked")
    packed = b"this was never packed"
    encoded = head(f"Content-Length: {len(packed)}", "Content-Encoding: gzip")
    assert await said(port, encoded + packed) == broken
    assert await said(port, encoded, packed) == broken


async def test_a_body_that_does_not_come_is_waited_for_no_longer_than_it_may_take(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    assert await said(port, head("Content-Length: 10"), b"12345") == (408, "the body did not come within 0.2 s")
