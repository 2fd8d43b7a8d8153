"""The WebSocket that receives the summaries of sources: each arrives, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.runtime import Duties
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.summary_socket import MOST_WAITING, SummarySettings, SummarySocket
from vtoc_bots.testing import OpensWorld

SOURCES = """
sources:
  boats: {type: custom, module: "tests.custom_sources:patient", schedule: "*/10 * * * *", broadcast: true}
"""
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


class Hastened(SystemClock):
    """Pauses end at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def listening(talk: Talk, port: int = 0) -> AsyncIterator[int]:
    """A server that has this talk on each connection; its port."""

    sockets: list[web.WebSocketResponse] = []

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sockets.append(socket)
        await talk(socket)
        return socket

    app = web.Application()
    app.router.add_get("/summaries", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield runner.addresses[0][1]
    finally:
        for socket in sockets:
            await socket.close()
        await runner.cleanup()


def hears(heard: asyncio.Queue[Any]) -> Talk:
    async def talk(socket: web.WebSocketResponse) -> None:
        async for said in socket:
            heard.put_nowait(orjson.loads(said.data))

    return talk


@asynccontextmanager
async def sending(port: int, metrics: Metrics | None = None) -> AsyncIterator[SummarySocket]:
    drops = (metrics or Metrics()).queue_drops.labels("summaries")
    async with aiohttp.ClientSession() as session:
        made = SummarySocket(f"ws://127.0.0.1:{port}/summaries?token=hidden", lambda: session, Hastened(), drops)
        task = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_summaries_arrive_in_their_order_also_after_a_lost_connection() -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def one_each(socket: web.WebSocketResponse) -> None:
        heard.put_nowait(orjson.loads((await socket.receive()).data))
        await socket.close()

    async with listening(one_each) as port, sending(port) as socket:
        for number in range(3):
            socket.put({"number": number})
            assert await asyncio.wait_for(heard.get(), 10) == {"number": number}
            await asyncio.sleep(0)


async def test_what_came_while_nobody_listened_is_sent_when_somebody_does() -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    async with listening(hears(heard)) as port:
        """A port that is free after this."""
    with capture_logs() as lines:
        async with sending(port) as socket:
            socket.put({"number": 1})
            for _ in range(200):  # it tries again and again meanwhile
                await asyncio.sleep(0)
            async with listening(hears(heard), port):
                assert await asyncio.wait_for(heard.get(), 10) == {"number": 1}
    events = [line["event"] for line in lines]
    assert events[:2] == ["summaries_not_sent", "summaries_sent_again"], "a trouble is told once"
    assert "hidden" not in str(lines)


async def test_the_oldest_go_where_nobody_listens_for_long_and_are_counted() -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    metrics = Metrics()
    async with aiohttp.ClientSession() as session:
        drops = metrics.queue_drops.labels("summaries")
        async with listening(hears(heard)) as port:
            socket = SummarySocket(f"ws://127.0.0.1:{port}/summaries", lambda: session, Hastened(), drops)
            for number in range(MOST_WAITING + 2):
                socket.put({"number": number})
            task = asyncio.create_task(socket.run())
            assert await asyncio.wait_for(heard.get(), 10) == {"number": 2}
            task.cancel()
            await asyncio.wait({task})
    assert metrics.registry.get_sample_value("vtoc_queue_drops_total", {"queue": "summaries"}) == 2


async def test_a_sources_summary_arrives_as_the_stations_thread_shows_it(open_world: OpensWorld) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    async with listening(hears(heard)) as port:
        url = f"ws://127.0.0.1:{port}/summaries"
        world = await open_world(
            config={"connectors.yml": SOURCES},
            duties=Duties(web=False, sources=True),
            environ={"TELEMETRY_BROADCAST_URL": url},
        )
        sql = "SELECT count(*) FROM vtoc_engine.leases WHERE name = 'source:toc-s1:boats' AND detail ->> 'state' <> ''"

        async def held() -> bool:
            return bool(await world.store.fetchval(sql))

        await world.until(held, "the source waits for its time")
        await world.advance(minutes=10)
        found = await asyncio.wait_for(heard.get(), 30)
    assert found["key"].startswith("broadcast:toc-s1:boats:")
    assert {name: found[name] for name in ("source", "type", "station", "reports", "entities")} == {
        "source": "boats",
        "type": "custom",
        "station": "toc-s1",
        "reports": 1,
        "entities": 1,
    }


@pytest.mark.parametrize("url", ["https://example.org", "wss://", "example.org"])
def test_what_is_no_address_of_a_websocket_stops_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(StartupError, match="TELEMETRY_BROADCAST_URL"):
        load_settings(tmp_path, tmp_path, {"TELEMETRY_BROADCAST_URL": url}).read(SummarySettings)
