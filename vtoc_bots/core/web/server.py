"""The HTTP server of a process: health, readiness, metrics and whatever routes plugins add."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import orjson
import structlog
from aiohttp import WSCloseCode, web
from aiohttp.hdrs import SERVER
from prometheus_client import Counter, Histogram

from vtoc_bots.core.errors import StartupError, VtocError
from vtoc_bots.core.observe import metrics as metrics_module
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import ProbeResult
from vtoc_bots.core.web.health import Health, is_ready
from vtoc_bots.core.web.problems import correlation_id, problem_of_error, problem_of_fault, problem_of_http

logger = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Routes = Callable[[web.Application], None]

MAX_BODY_BYTES: Final = 5 * 2**20
SHUTDOWN_SECONDS: Final = 5.0
CLOSING_SECONDS: Final = 1.0

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
"""For every response that does not say otherwise itself."""


def make_app(
    health: Health, metrics: Metrics, routes: Iterable[Routes] = (), *, max_body_bytes: int = MAX_BODY_BYTES
) -> web.Application:
    """The application: ``/healthz``, ``/readyz``, ``/metrics``, then what each of `routes` adds.

    Our own come first, so that no plugin can stand in their way. Errors become problem documents; a body longer than
    `max_body_bytes` is refused with 413.
    """
    streams = Streams()
    app = web.Application(client_max_size=max_body_bytes, middlewares=[_Outermost(metrics, streams).handle])
    app.on_response_prepare.append(streams.prepare)
    app.on_shutdown.append(streams.end)
    app.router.add_get("/healthz", _alive)
    app.router.add_get("/readyz", _readiness(health))
    app.router.add_get("/metrics", _exposition(metrics))
    for add in routes:
        add(app)
    return app


async def _alive(request: web.Request) -> web.Response:
    return _json({"status": "alive"})


def _readiness(health: Health) -> Handler:
    async def ready(request: web.Request) -> web.Response:
        results = await health.check()
        document = {"ready": is_ready(results), "probes": [_probe_document(result) for result in results]}
        return _json(document, 200 if document["ready"] else 503)

    return ready


def _probe_document(result: ProbeResult) -> dict[str, Any]:
    latency = result.latency_seconds
    return {
        "name": result.name,
        "ok": result.ok,
        "required": result.required,
        "detail": result.detail,
        "latency_seconds": None if latency is None else round(latency, 6),
        "last_success_at": result.last_success_at,
    }


def _exposition(metrics: Metrics) -> Handler:
    async def exposition(request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics_module.CONTENT_TYPE})

    return exposition


def _json(document: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/json")


class Streams:
    """Dresses responses, and knows those still being written (event streams, WebSockets) so that they can be ended."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[Any], web.StreamResponse] = {}
        self._ending: set[asyncio.Task[Any]] = set()

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Dress every response; remember one that goes on after its head (a plain one and a file end by themselves)."""
        headers = response.headers
        for name, value in _HEADERS:
            headers.setdefault(name, value)
        headers[SERVER] = "vtoc-bots"
        if isinstance(response, web.Response | web.FileResponse):
            return
        task = asyncio.current_task()
        if task is not None:
            self._open[task] = response
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._open.pop(task, None)
        self._ending.discard(task)

    async def end(self, app: web.Application) -> None:
        """End all of them: WebSockets are closed as going away, handlers of streams are cancelled."""
        closing = []
        for task, response in list(self._open.items()):
            if isinstance(response, web.WebSocketResponse):
                close = response.close(code=WSCloseCode.GOING_AWAY, message=b"shutting down")
                closing.append(asyncio.ensure_future(close))
            else:
                self._ending.add(task)
                task.cancel()
        if closing:  # a client that does not answer is not waited for
            await asyncio.wait(closing, timeout=CLOSING_SECONDS)

    def ended(self) -> web.StreamResponse | None:
        """The response of this task if it was us who cancelled it; it may then end as if it were complete."""
        task = asyncio.current_task()
        if task is None or task not in self._ending:
            return None
        task.uncancel()
        return self._open[task]

    def broken(self, request: web.Request) -> web.StreamResponse | None:
        """The response of this task if its head is gone already: too late for a problem, so the connection is cut."""
        task = asyncio.current_task()
        response = None if task is None else self._open.get(task)
        if response is not None and request.transport is not None:
            request.transport.abort()
        return response


class _Outermost:
    """What surrounds every handler: errors become problem documents, requests are counted and timed."""

    def __init__(self, metrics: Metrics, streams: Streams) -> None:
        self._metrics = metrics
        self._streams = streams
        # Labels are looked up once for each route and status there is, not for each request.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware."""
        began = time.perf_counter()
        status = 499  # as proxies count it: the client left before there was an answer
        try:
            response = await self._answered(request, handler)
            status = response.status
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        finally:
            self._count(request, status, time.perf_counter() - began)
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return self._streams.broken(request) or problem_of_http(error, request)
        except VtocError as error:
            response = problem_of_error(error, request)
            if response.status >= 500:
                self._log(request, error)
            return self._streams.broken(request) or response
        except asyncio.CancelledError:
            response_so_far = self._streams.ended()
            if response_so_far is None:
                raise
            return response_so_far
        except Exception as error:
            if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
                raise  # the client left; there is nobody to tell
            self._log(request, error)
            return self._streams.broken(request) or problem_of_fault(request)

    def _log(self, request: web.Request, error: Exception) -> None:
        logger.error(
            "request_failed",
            method=request.method,
            path=request.path,
            correlation_id=str(correlation_id(request)),
            exc_info=error,
        )

    def _count(self, request: web.Request, status: int, seconds: float) -> None:
        resource = request.match_info.route.resource
        route = "none" if resource is None else resource.canonical
        key = (request.method if request.method in _METHODS else "other", route, status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._metrics.http_requests.labels(key[0], key[1], str(status))
        counter.inc()
        timer = self._timers.get(route)
        if timer is None:
            timer = self._timers[route] = self._metrics.http_seconds.labels(route)
        timer.observe(seconds)


class WebServer:
    """An application on a port. `take_free_port`: where the port is taken, take any other (the embedded profile)."""

    def __init__(self, app: web.Application, host: str, port: int, *, take_free_port: bool = False) -> None:
        self._host, self._port, self._take_free_port = host, port, take_free_port
        self._closed = False
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        self.port = 0
        """The port it listens on, once started."""

    @property
    def address(self) -> str:
        """Where a browser on this machine finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)  # noqa: S104  only compared with
        return f"http://{host}:{self.port}"

    async def start(self) -> str:
        """Listen, and return the address. Raises StartupError naming the setting to change."""
        await self._runner.setup()
        try:
            await self._listen()
        except BaseException:
            await self._runner.cleanup()
            raise
        logger.info("web_started", address=self.address)
        return self.address

    async def _listen(self) -> None:
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not self._take_free_port:
                raise _refusal(self._host, self._port, error) from error
            await web.TCPSite(self._runner, self._host, 0).start()
        self.port = self._runner.addresses[0][1]
        if self._port not in (0, self.port):
            logger.warning("web_port_taken", wanted=self._port, taken_instead=self.port)

    async def close(self) -> None:
        """Take no more requests, end open streams, wait a few seconds for the rest. A second call does nothing."""
        if not self._closed:
            self._closed = True
            await self._runner.cleanup()


def _refusal(host: str, port: int, error: OSError) -> StartupError:
    if error.errno == errno.EADDRINUSE:
        return StartupError(
            f"web: port {port} on {host} is taken by another process. Stop that one, or set API_PORT to a free port"
            " (0 takes any)"
        )
    if error.errno == errno.EACCES:
        return StartupError(f"web: port {port} is only for root. Set API_PORT to 1024 or more")
    return StartupError(f"web: can't listen on {host} port {port} ({error}). Correct VTOC_API_HOST or API_PORT")
