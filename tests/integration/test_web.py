"""The HTTP server over real sockets: health, problems, limits, ports and shutting down."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from vtoc_bots.core.errors import ActionError, Forbidden, NotFound, StartupError, TransientError, UsageError, VtocError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.web.health import Health
from vtoc_bots.core.web.problems import correlation_id
from vtoc_bots.core.web.server import Routes, WebServer, make_app


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Served:
    """A running server, its parts, and a client."""

    def __init__(self, server: WebServer, metrics: Metrics, health: Health, client: aiohttp.ClientSession) -> None:
        self.server, self.metrics, self.health, self.client = server, metrics, health, client

    async def get(self, path: str, method: str = "GET", **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self.client.request(method, self.server.address + path, **options) as response:
            return response, await response.read()

    async def problem(self, path: str, method: str = "GET", **options: Any) -> dict[str, Any]:
        response, body = await self.get(path, method, **options)
        assert response.content_type == "application/problem+json"
        document: dict[str, Any] = json.loads(body)
        assert document["status"] == response.status
        assert set(document) == {"type", "title", "status", "detail", "correlation_id"}
        UUID(document["correlation_id"])
        return document


@asynccontextmanager
async def serving(*routes: Routes, max_body_bytes: int = 1000) -> AsyncIterator[Served]:
    metrics = Metrics()
    health = Health(SystemClock(), metrics, fresh_seconds=0)
    server = WebServer(make_app(health, metrics, routes, max_body_bytes=max_body_bytes), "127.0.0.1", 0)
    await server.start()
    async with aiohttp.ClientSession() as client:
        try:
            yield Served(server, metrics, health, client)
        finally:
            await server.close()


def route(path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], method: str = "*") -> Routes:
    def add(app: web.Application) -> None:
        app.router.add_route(method, path, handler)

    return add


def raising(error: Exception) -> Routes:
    async def handler(request: web.Request) -> web.Response:
        raise error

    return route("/fails", handler)


async def well() -> str | None:
    return "fine"


async def ill() -> str | None:
    raise TransientError("database: no answer for 3 s")


async def test_a_living_process_says_so() -> None:
    async with serving() as served:
        response, body = await served.get("/healthz")
        assert (response.status, json.loads(body)) == (200, {"status": "alive"})


async def test_readiness_shows_every_probe_and_fails_with_a_required_one() -> None:
    async with serving() as served:
        served.health.register("database", well)
        response, body = await served.get("/readyz")
        document = json.loads(body)
        assert (response.status, document["ready"]) == (200, True)
        (probe,) = document["probes"]
        assert (probe["name"], probe["ok"], probe["required"], probe["detail"]) == ("database", True, True, "fine")
        assert probe["latency_seconds"] >= 0
        assert datetime.fromisoformat(probe["last_success_at"]).tzinfo is not None

        served.health.register("source paris", ill, required=False)
        assert (await served.get("/readyz"))[0].status == 200
        served.health.register("queue", ill)
        response, body = await served.get("/readyz")
        assert (response.status, json.loads(body)["ready"]) == (503, False)
        assert json.loads(body)["probes"][2]["last_success_at"] is None


async def test_metrics_are_exposed_and_count_requests_by_route() -> None:
    def routes(app: web.Application) -> None:
        app.router.add_get("/stations/{slug}", answer)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async with serving(routes) as served:
        for path in ("/stations/a", "/stations/b", "/nowhere", "/elsewhere"):
            await served.get(path)
        response, body = await served.get("/metrics")
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert b'vtoc_http_requests_total{method="GET",route="/stations/{slug}",status="200"} 2.0' in body
        assert b'vtoc_http_requests_total{method="GET",route="none",status="404"} 2.0' in body
        assert b'vtoc_http_seconds_count{route="/stations/{slug}"} 2.0' in body


async def test_what_is_not_there_is_a_problem_document() -> None:
    async with serving() as served:
        document = await served.problem("/nowhere")
        assert (document["status"], document["title"], document["type"]) == (404, "Not Found", "about:blank")
        assert document["detail"] == "There is nothing at /nowhere."
        response, _ = await served.get("/healthz", "DELETE")
        assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD"}
        assert (await served.problem("/healthz", "DELETE"))["detail"] == "/healthz takes GET, HEAD, not DELETE."


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("area: 40xx is no distance"), 400),
        (Forbidden("needs lead"), 403),
        (NotFound("no run X"), 404),
        (TransientError("database: later", after_seconds=7), 503),
        (ActionError("merge: no reports"), 500),
        (VtocError("something"), 500),
        (web.HTTPConflict(text="source paris is inactive"), 409),
    ],
)
async def test_our_own_errors_say_what_happened(error: Exception, status: int) -> None:
    async with serving(raising(error)) as served:
        document = await served.problem("/fails")
        assert document["status"] == status
        assert document["detail"] == (error.text if isinstance(error, web.HTTPException) else str(error))


async def test_a_passing_fault_says_when_to_try_again() -> None:
    async with serving(raising(TransientError("later", after_seconds=7))) as served:
        assert (await served.get("/fails"))[0].headers["Retry-After"] == "7"


async def test_a_fault_shows_nothing_but_the_id_it_is_logged_under() -> None:
    with capture_logs() as lines:
        async with serving(raising(ValueError("password hunter22"))) as served:
            response, body = await served.get("/fails")
    assert response.status == 500
    assert b"hunter22" not in body
    (line,) = [line for line in lines if line["event"] == "request_failed"]
    assert line["correlation_id"] == json.loads(body)["correlation_id"]


async def test_a_handler_can_use_the_id_of_its_request() -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(str(correlation_id(request)))
        raise NotFound("no")

    async with serving(route("/x", handler)) as served:
        assert (await served.problem("/x"))["correlation_id"] == seen[0]


async def test_a_redirect_stays_one() -> None:
    async with serving(raising(web.HTTPFound("/healthz"))) as served:
        response, _ = await served.get("/fails", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/healthz")


async def test_a_body_that_is_too_long_is_refused() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async with serving(route("/x", handler)) as served:
        assert (await served.get("/x", "POST", data=b"x" * 1000))[1] == b"1000"
        assert (await served.problem("/x", "POST", data=b"x" * 1001))["status"] == 413


async def test_every_response_has_security_headers_unless_it_says_otherwise() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="x", headers={"Cache-Control": "max-age=60"})

    async with serving(route("/x", handler)) as served:
        for path, caching in (("/healthz", "no-store"), ("/nowhere", "no-store"), ("/x", "max-age=60")):
            headers = (await served.get(path))[0].headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["Cache-Control"] == caching
            assert headers["Server"] == "vtoc-bots"


async def test_a_plugin_can_not_stand_in_the_way_of_our_own_routes() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="mine")

    async with serving(route("/{any:.*}", handler)) as served:
        assert (await served.get("/x"))[1] == b"mine"
        assert b"alive" in (await served.get("/healthz"))[1]


@asynccontextmanager
async def taken_port() -> AsyncIterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def bare_app() -> web.Application:
    metrics = Metrics()
    return make_app(Health(SystemClock(), metrics), metrics)


async def test_a_taken_port_is_named_with_the_setting_to_change() -> None:
    async with taken_port() as port:
        with pytest.raises(StartupError, match=f"port {port} on 127.0.0.1 is taken .* API_PORT"):
            await WebServer(bare_app(), "127.0.0.1", port).start()


async def test_the_embedded_profile_takes_another_port_and_says_so() -> None:
    async with taken_port() as port:
        server = WebServer(bare_app(), "127.0.0.1", port, take_free_port=True)
        with capture_logs() as lines:
            address = await server.start()
        try:
            assert server.port not in (0, port)
            assert address == f"http://127.0.0.1:{server.port}"
            assert {
                "event": "web_port_taken",
                "log_level": "warning",
                "wanted": port,
                "taken_instead": server.port,
            } in lines
        finally:
            await server.close()


async def test_an_address_that_is_not_ours_is_named_with_the_setting_to_change() -> None:
    with pytest.raises(StartupError, match="VTOC_API_HOST"):
        await WebServer(bare_app(), "203.0.113.1", 0).start()


async def test_shutting_down_ends_an_open_stream_as_if_it_were_complete() -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.Event().wait()
        return response

    await asyncio.wait_for(ended_by_closing(stream, read_to_the_end), 4)


async def test_shutting_down_closes_a_websocket_as_going_away() -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    async def read(served: Served) -> None:
        async with served.client.ws_connect(served.server.address + "/stream") as socket:
            closing = asyncio.create_task(served.server.close())
            message = await socket.receive()
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.GOING_AWAY)
            await closing

    await asyncio.wait_for(ended_by_closing(echo, read), 4)


async def read_to_the_end(served: Served) -> None:
    async with served.client.get(served.server.address + "/stream") as response:
        assert await response.content.readline() == b"data: 1\n"
        closing = asyncio.create_task(served.server.close())
        assert await response.read() == b"\n"
        await closing


async def ended_by_closing(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], read: Callable[[Served], Awaitable[None]]
) -> None:
    async with serving(route("/stream", handler)) as served:
        await read(served)


async def test_a_request_under_way_is_finished_before_the_server_closes() -> None:
    began, release = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        began.set()
        await release.wait()
        return web.Response(text="done")

    async with serving(route("/slow", slow)) as served:
        asking = asyncio.create_task(served.get("/slow"))
        await began.wait()
        closing = asyncio.create_task(served.server.close())
        await asyncio.sleep(0)
        release.set()
        assert (await asking)[1] == b"done"
        await closing


@pytest.mark.parametrize("error", [ValueError("late"), UsageError("late"), web.HTTPNotFound()])
async def test_a_stream_that_fails_midway_is_cut_and_not_continued_by_a_problem(error: Exception) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        raise error

    async with serving(route("/stream", stream)) as served:
        async with served.client.get(served.server.address + "/stream") as response:
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        assert (await served.get("/healthz"))[0].status == 200


async def test_closing_twice_at_once_is_closing_once() -> None:
    async with serving() as served:
        await asyncio.gather(served.server.close(), served.server.close())


async def test_a_client_that_leaves_is_counted_as_such_and_not_logged_as_a_fault() -> None:
    left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 100_000)
        finally:
            left.set()

    with capture_logs() as lines:
        async with serving(route("/endless", endless)) as served:
            async with served.client.get(served.server.address + "/endless") as response:
                await response.content.readexactly(10)
            await left.wait()
            assert b'route="/endless",status="499"} 1.0' in (await served.get("/metrics"))[1]
    assert "request_failed" not in [line["event"] for line in lines]


async def test_a_connection_lost_behind_us_is_a_fault_of_ours() -> None:
    async with serving(raising(ConnectionRefusedError("10.0.0.7"))) as served:
        document = await served.problem("/fails")
        assert document["status"] == 500
        assert "10.0.0.7" not in document["detail"]
