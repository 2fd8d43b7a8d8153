"""Our own webhooks, ChatKit's and Telegram's, with a sink that stores nothing, beside bare aiohttp: CPU a request.

All are routes of one process and are loaded in turns, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import sys
import time
from statistics import median
from types import SimpleNamespace

import orjson
import uvloop
from aiohttp import web

from bench.http_load import SECRET, Load, Nowhere, chatkit_request, cpu_seconds, endless, loaded
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.plugins.chatkit import webhook as chatkit
from vtoc_bots.plugins.telegram import webhook as telegram
from vtoc_bots.plugins.telegram.intake import Intake
from vtoc_bots.plugins.telegram.wire import Me

TURNS = 25
TURN_SECONDS = 0.4
BAR = 1.5
"""60 µs where bare aiohttp takes 40."""


async def run() -> list[str]:
    """Rows of the median of the turns' ratios."""
    costs = await _costs()
    floor = costs["bare"]
    return [
        f"| a signed event on {name}'s webhook with a no-op sink, µs CPU (the ratio: median of {TURNS} turns) | "
        f"{median(costs[name]):.0f} | {median(floor):.0f} (bare aiohttp, verifying and parsing; bar {BAR}) | "
        f"{median(cost / least for cost, least in zip(costs[name], floor, strict=True)):.2f} |"
        for name in ("ChatKit", "Telegram")
    ]


async def _costs() -> dict[str, list[float]]:
    """Microseconds of CPU a request, turn by turn."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.webhooks", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdin is not None
    port = int(await asyncio.wait_for(server.stdout.readline(), 60))
    requests = {
        "bare": endless(lambda number: chatkit_request(number, "/bare")),
        "ChatKit": endless(lambda number: chatkit_request(number, "/ChatKit")),
        "Telegram": endless(_telegram_request),
    }
    costs: dict[str, list[float]] = {name: [] for name in requests}
    loop = asyncio.get_running_loop()

    def stay_awake() -> None:
        """Never sleep: a server that must wake who sent the request, on this machine alone, pays more for it than for
        the request, and the slower one pays it more often."""
        loop.call_soon(stay_awake)

    stay_awake()
    for turn in range(TURNS + 1):
        for name, made in requests.items():
            load, before = Load(), cpu_seconds(server.pid)
            await loaded(port, made, TURN_SECONDS, load)
            load.cpu = cpu_seconds(server.pid) - before
            if set(load.statuses) - {200, 202}:
                raise RuntimeError(f"{name} answered {load.statuses}")
            if turn:  # the first warms
                costs[name].append(load.cpu_us)
    server.stdin.write_eof()
    await server.wait()
    return costs


async def serve() -> None:
    """Serve until stdin ends; prints the port first."""
    app = web.Application()
    app.router.add_post("/bare", _bare)
    app.router.add_post("/ChatKit", _chatkit().handle)
    app.router.add_post("/Telegram", _telegram().handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gc.freeze()  # this and the next as our process does at its start
    gc.set_threshold(20_000, 10, 10)
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def _bare(request: web.Request) -> web.Response:
    """The least that any webhook does with ChatKit's event: verify, parse, answer."""
    body, stamp = await request.read(), request.headers["X-ChatKit-Timestamp"]
    expected = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    if abs(time.time() - int(stamp)) > 300 or not hmac.compare_digest(expected, request.headers["X-ChatKit-Signature"]):
        return web.Response(status=401)
    orjson.loads(body)
    return web.Response()


def _telegram_request(number: int) -> tuple[str, bytes]:
    person = {"id": 4711, "is_bot": False, "first_name": "Ada", "language_code": "en"}
    chat = {"id": 4711, "first_name": "Ada", "type": "private"}
    text = {"message_id": number, "from": person, "chat": chat, "date": int(time.time()), "text": f"/number {number}"}
    entities = [{"offset": 0, "length": 7, "type": "bot_command"}]
    body = orjson.dumps({"update_id": number, "message": text | {"entities": entities}})
    head = (
        f"POST /Telegram HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{telegram.HEADER}: {SECRET}\r\n\r\n"
    )
    return f"{number}", head.encode() + body


def _chatkit() -> chatkit.Webhook:
    """ChatKit's webhook, with an inbox that stores nothing."""
    webhook = chatkit.Webhook(SECRET, "org", SystemClock(), None, None, None)  # type: ignore[arg-type]  # no message stands in a thread or has files
    webhook.inbox = Nowhere()  # type: ignore[assignment]  # no forms here
    return webhook


def _telegram() -> telegram.Webhook:
    """Telegram's webhook, with an inbox that stores nothing."""
    webhook = telegram.Webhook(SECRET)
    context = SimpleNamespace(clock=SystemClock(), blobs=None, knows=None)
    webhook.intake = Intake(None, Me(1, "bench_bot"), Nowhere(), context, None)  # type: ignore[arg-type]  # no files here
    return webhook


if __name__ == "__main__":
    uvloop.run(serve())
