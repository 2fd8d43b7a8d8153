"""Signed Slack events over HTTP: what they cost, how many a second, and that each 200 comes after the commit."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import structlog
import uvloop
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bench.http_load import CONNECTIONS, SECRET, USER, Load, Nowhere, chatkit_request, cpu_seconds, endless, loaded
from bench.world import ENVIRONMENT, database, percentile
from vtoc_bots.core.access import Level
from vtoc_bots.core.runtime import Duties, Runtime
from vtoc_bots.core.settings import load_settings
from vtoc_bots.plugins.slack.monitoring import Monitor
from vtoc_bots.plugins.slack.receive import Receiver, accepting_app
from vtoc_bots.plugins.slack.routes import PATH, slack_route
from vtoc_bots.plugins.slack.wire import Me

TEAM, BOT = "T0BENCH001", "U0BOTUSER1"
ORG = "bench"
SECONDS = 10.0
ROUND_SECONDS = 3.0
ROUNDS = 3
LATENCY_BAR_MS, BOLT_BAR = 250.0, 1.3


async def run() -> list[str]:
    """Rows of the costs, the throughput beside Bolt's, and ten seconds of the whole runtime; medians of three."""
    costs: dict[str, list[Load]] = {mode: [] for mode in ("bare", "bolt", "route", "stored", "chatkit")}
    for _ in range(ROUNDS):
        for mode, loads in costs.items():
            load, told = await _measured(mode, ROUND_SECONDS)
            loads.append(load)
            if told and told["distinct"] != len(load.sent):
                raise RuntimeError(f"{mode}: {len(load.sent)} answered well, {told['distinct']} stored")
    cpu = {mode: sorted(load.cpu_us for load in loads)[ROUNDS // 2] for mode, loads in costs.items()}
    rate = {mode: sorted(load.rate for load in loads)[ROUNDS // 2] for mode, loads in costs.items()}
    wholes = [await _measured("whole", SECONDS) for _ in range(ROUNDS)]
    whole = sorted((load for load, _ in wholes), key=lambda load: percentile(load.waits, 0.99))[ROUNDS // 2]
    p99, p50 = (percentile(whole.waits, share) * 1000 for share in (0.99, 0.5))
    lost = sum(len(load.sent) - told["distinct"] for load, told in wholes)
    doubled = sum(told["stored"] - told["distinct"] for _, told in wholes)
    wrong = sum(load.statuses.total() - load.statuses[200] for load, _ in wholes)
    return [
        f"| a signed Slack event, our route with a no-op sink, µs CPU | {cpu['route']:.0f} | {cpu['bare']:.0f} (bare "
        f"aiohttp, verifying and parsing) | {cpu['route'] / cpu['bare']:.2f} |",
        f"| the same beside Bolt's own | {cpu['route']:.0f} | {cpu['bolt']:.0f} (slack-bolt, acknowledging; bar "
        f"{BOLT_BAR}) | {cpu['route'] / cpu['bolt']:.2f} |",
        *(
            f"| signed events a second on {name}'s webhook, {CONNECTIONS} at once, each on disk before its answer | "
            f"{rate[mode]:,.0f} | {rate['bolt']:,.0f} (slack-bolt, storing nothing; bar 1) | "
            f"{rate[mode] / rate['bolt']:.2f} |"
            for name, mode in (("Slack", "stored"), ("ChatKit", "chatkit"))
        ),
        f"| {CONNECTIONS} concurrent signed Slack events for {SECONDS:.0f} s to a whole process, worker included "
        f"({whole.rate:,.0f} a second, {lost} lost, {doubled} doubled, {wrong} refused): p99 of the 200 (p50 "
        f"{p50:.0f} ms) | {p99:.0f} ms | {LATENCY_BAR_MS:.0f} ms (bar) | {p99 / LATENCY_BAR_MS:.2f} |",
    ]


async def _measured(mode: str, seconds: float) -> tuple[Load, dict[str, Any]]:
    """A load on a server of that mode, in a process of its own; and what the server says of it afterwards."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.slack", mode, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdin is not None
    port = int(await asyncio.wait_for(server.stdout.readline(), 60))
    requests = endless(chatkit_request if mode == "chatkit" else _request)
    warm = Load()
    await loaded(port, requests, 0.5, warm)
    load, before = Load(), cpu_seconds(server.pid)
    await loaded(port, requests, seconds, load)
    load.cpu = cpu_seconds(server.pid) - before
    load.sent |= warm.sent
    server.stdin.write_eof()
    told = json.loads(await asyncio.wait_for(server.stdout.readline(), 120))
    await server.wait()
    return load, told


def _request(number: int) -> tuple[str, bytes]:
    now = time.time()
    ts = f"{int(now)}.{number:06d}"
    channel = f"C0BENCH{number % 64:03d}"
    event = {"type": "message", "text": f"number {number}", "user": USER, "ts": ts, "team": TEAM, "channel": channel}
    event |= {"client_msg_id": f"fa26f0ab-{ts}", "event_ts": ts, "channel_type": "channel", "blocks": []}
    authorized = {"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True}
    body = orjson.dumps(
        {
            "token": "ZZZZZZWSxiZZZ2yIvs3peJ",
            "team_id": TEAM,
            "api_app_id": "A0BENCH001",
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{number:08d}",
            "event_time": int(now),
            "authorizations": [authorized],
        }
    )
    stamp = str(int(now))
    signature = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Slack-Request-Timestamp: {stamp}\r\nX-Slack-Signature: v0={signature}\r\n\r\n"
    )
    return f"message:{channel}:{ts}", head.encode() + body


def _bare() -> web.RouteDef:
    """The least that any webhook does: verify, parse, answer."""
    verifier = SignatureVerifier(SECRET)

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        headers = request.headers
        if not verifier.is_valid(body, headers["X-Slack-Request-Timestamp"], headers["X-Slack-Signature"]):
            return web.Response(status=401)
        orjson.loads(body)
        return web.Response()

    return web.post(PATH, handle)


def _bolt(api: str) -> web.RouteDef:
    """Bolt as it is used: it verifies, authorizes, finds the listener and acknowledges."""
    app = AsyncApp(client=AsyncWebClient("xoxb-bench", api), signing_secret=SECRET)

    @app.event("message")
    async def seen(body: dict[str, Any]) -> None:
        """Do nothing with it."""

    async def handle(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    return web.post(PATH, handle)


def _route() -> web.RouteDef:
    """Ours, with an inbox that stores nothing."""

    class Now:
        def now(self) -> datetime:
            return datetime.now(UTC)

    context = SimpleNamespace(clock=Now(), blobs=None, knows=None)  # no file comes
    receiver = Receiver(context, Monitor((), (), ()))  # type: ignore[arg-type]  # it asks no more of a context
    receiver.open(Nowhere(), None, Me(TEAM, BOT, "B0BENCH001", "https://bench.slack.com/"))  # type: ignore[arg-type]  # no forms here
    return slack_route(accepting_app(receiver, "xoxb-bench"), SECRET, Now())  # type: ignore[arg-type]  # the same


@asynccontextmanager
async def _serving(*routes: web.RouteDef) -> AsyncIterator[int]:
    """A web server with those routes alone; its port."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _web_api() -> AsyncIterator[str]:
    """What is called at start: one method of Slack's, and the channels of a ChatKit organisation."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(
            {"ok": True, "team_id": TEAM, "user_id": BOT, "bot_id": "B0BENCH001", "url": "https://bench.slack.com/"}
        )

    async def channels(request: web.Request) -> web.Response:
        return web.json_response([])

    organisation = f"/api/orgs/{ORG}/channels"
    async with _serving(
        web.post("/api/auth.test", answer), web.get(organisation, channels), web.post(organisation, channels)
    ) as port:
        yield f"http://127.0.0.1:{port}/api/"


@asynccontextmanager
async def _runtime(api: str, folder: Path, worker: bool) -> AsyncIterator[Runtime]:
    """A process that takes Slack's events, and handles them too where it is a worker."""
    slack = {"SLACK_BOT_TOKEN": "xoxb-bench", "SLACK_SIGNING_SECRET": SECRET, "SLACK_API_BASE_URL": api}
    chatkit = {"CHATKIT_WEBHOOK_SECRET": SECRET, "CHATKIT_API_BASE_URL": api, "CHATKIT_ORG_ID": ORG}
    where = {"API_PORT": "0", "VTOC_API_HOST": "127.0.0.1", "STATION_CALLSIGN": "TOC-S1"}
    where |= {"POSTGRES_STATION_ROLE": "ops", "CHATKIT_API_KEY": "bench"}
    settings = load_settings(folder / "config", folder, environ={**ENVIRONMENT, **slack, **chatkit, **where})
    runtime = Runtime(settings, Duties(worker=worker, web=True, sources=False), alone=True)
    task = asyncio.create_task(runtime.run())
    ready = asyncio.create_task(runtime.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    await runtime.operators.own("bench", "slack", TEAM, USER, Level.ADMIN)
    await runtime.operators.own("bench", "chatkit", ORG, USER, Level.ADMIN)
    try:
        yield runtime
    finally:
        runtime.stop()
        await task


async def serve(mode: str) -> None:
    """Serve until stdin ends; prints the port first, and what was stored last."""
    async with _web_api() as api:
        if mode in ("bare", "bolt", "route"):
            made: dict[str, Callable[[], web.RouteDef]] = {
                "bare": _bare,
                "bolt": lambda: _bolt(api),
                "route": _route,
            }
            async with _serving(made[mode]()) as port:
                await _until_stdin_ends(port)
            print("{}", flush=True)
            return
        async with database() as (_, folder), _runtime(api, folder, mode == "whole") as runtime:
            assert runtime.address is not None
            await _open(runtime)
            await _until_stdin_ends(int(runtime.address.rpartition(":")[2]))
            print(json.dumps(await _stored(runtime)), flush=True)


async def _open(runtime: Runtime) -> None:
    """Wait until the transport takes events."""
    while not any(probe.name == "transport.slack" and probe.ok for probe in await runtime.health.check()):
        await asyncio.sleep(0.1)


async def _stored(runtime: Runtime) -> dict[str, int]:
    """How many messages there are, and how many different ones."""
    row = await runtime.store.fetchrow(
        "SELECT count(*) AS stored, count(DISTINCT event_id) AS distinct_ids FROM vtoc_engine.inbox"
    )
    assert row is not None
    return {"stored": row["stored"], "distinct": row["distinct_ids"]}


async def _until_stdin_ends(port: int) -> None:
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    uvloop.run(serve(sys.argv[1]))
