"""ADS-B over real HTTP, and from a file that is rewritten: polling, limits, credentials, faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.adsb_kit import NOON, FakeClock, context, recording, until
from vtoc_bots import TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.connector import AdsbConnector
from vtoc_bots.plugins.connectors.adsb.settings import AdsbSettings, OpenSkyAccount

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AREA = "lamin=43&lamax=44&lomin=1&lomax=2"
ROW = ["4b1908", "SWR40", "Switzerland", int(NOON.timestamp()), int(NOON.timestamp()), 1.4, 43.6, 1000.0, False, 100.0,
       90.0, 0.0, None, 1050.0, "7000", False, 0]  # fmt: skip
STATES = json.dumps({"time": int(NOON.timestamp()), "states": [ROW]})


@asynccontextmanager
async def website(get: Handler, post: Handler | None = None) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """A web server answering every path, and a session to reach it with."""
    app = web.Application()
    app.router.add_get("/{path:.*}", get)
    if post is not None:
        app.router.add_post("/{path:.*}", post)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        try:
            yield f"127.0.0.1:{port}", session
        finally:
            await session.close()
            await runner.cleanup()


def document(second: float, hex: str = "4b1908") -> bytes:
    return json.dumps({"now": NOON.timestamp() + second, "aircraft": [{"hex": hex, "lat": 43.6, "lon": 1.4}]}).encode()


def answers(*given: web.Response | bytes) -> tuple[Handler, list[web.Request]]:
    """A handler that gives each answer once, the last one again and again, and the requests it got."""
    requests: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        answer = given[min(len(requests), len(given) - 1)]
        requests.append(request)
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    return handle, requests


def connector(
    clock: FakeClock, session: aiohttp.ClientSession, url: str, account: OpenSkyAccount | None = None, **keys: Any
) -> AdsbConnector:
    return AdsbConnector(AdsbSettings(url=url, **keys), context("tower", clock, http=lambda: session), account)


@asynccontextmanager
async def reading(source: AdsbConnector) -> AsyncIterator[AsyncIterator[TelemetryEvent]]:
    stream = source.events()
    try:
        async with asyncio.timeout(20):
            yield stream
    finally:
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_a_real_document_is_polled_once_a_second() -> None:
    data = recording("readsb_aircraft_1.json").read_bytes()
    clock = FakeClock(NOON.fromtimestamp(json.loads(data)["now"], NOON.tzinfo))
    handle, requests = answers(data)
    async with website(handle) as (host, session):
        source = connector(clock, session, f"readsb+http://{host}/data/aircraft.json")
        async with reading(source) as stream:
            events = [await anext(stream) for _ in range(64)]
            while len(requests) < 3:
                await anext(stream)
    assert len({event.entity_id for event in events}) == 64
    assert requests[0].path == "/data/aircraft.json"
    assert clock.sleeps[:2] == pytest.approx([1.0, 1.0])
    assert source.stats()["connected"] is True


async def test_old_positions_of_a_live_document_are_counted_as_stale() -> None:
    aircraft = [{"hex": "4b1908", "lat": 1, "lon": 2, "seen_pos": age, "seen": age} for age in (1, 100)]
    handle, _ = answers(json.dumps({"now": NOON.timestamp(), "aircraft": aircraft}).encode())
    async with website(handle) as (host, session):
        source = connector(FakeClock(), session, f"readsb+http://{host}/aircraft.json")
        async with reading(source) as stream:
            await anext(stream)
    assert source.stats()["rejected"]["stale"] >= 1


async def test_a_v2_api_counts_in_milliseconds() -> None:
    body = {"ac": [{"hex": "4b1908", "lat": 1, "lon": 2}], "now": int(NOON.timestamp() * 1000), "total": 1}
    handle, requests = answers(json.dumps(body).encode())
    async with website(handle) as (host, session):
        source = connector(FakeClock(), session, f"v2+http://{host}/v2/point/1/2/50")
        async with reading(source) as stream:
            event = await anext(stream)
    assert event.event_time == NOON
    assert requests[0].path == "/v2/point/1/2/50"


@pytest.mark.parametrize("header", ["Retry-After", "X-Rate-Limit-Retry-After-Seconds"])
async def test_a_server_that_asks_to_wait_is_obeyed(header: str) -> None:
    clock = FakeClock()
    busy = web.Response(status=429, headers={header: "47"})
    handle, requests = answers(busy, STATES.encode())
    async with website(handle) as (host, session):
        source = connector(clock, session, f"opensky+http://{host}/api/states/all?{AREA}")
        async with reading(source) as stream:
            await asyncio.sleep(0)
            waiting = asyncio.ensure_future(anext(stream))
            await until(lambda: bool(clock.sleeps))
            assert "answered 429. It asks for fewer requests" in source.stats()["error"]
            # The clock has run on by now, so what comes is refused as old; that it was asked again is what counts.
            await until(lambda: len(requests) >= 2)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    assert clock.sleeps[0] == 47.0
    assert sum(clock.sleeps[:2]) == pytest.approx(216.0)
    assert requests[0].query_string == AREA


async def test_opensky_is_asked_anonymously_at_the_interval_of_its_credits() -> None:
    clock = FakeClock()
    handle, requests = answers(STATES.encode())
    async with website(handle) as (host, session):
        source = connector(clock, session, f"opensky+http://{host}/api/states/all?{AREA}")
        async with reading(source) as stream:
            event = await anext(stream)
    assert (event.entity_id, event.latitude, event.altitude_m) == ("4b1908", 43.6, 1000.0)
    assert "Authorization" not in requests[0].headers
    assert clock.sleeps[:1] in ([], [216.0])


async def test_an_opensky_account_gets_a_token_and_renews_one_that_is_refused() -> None:
    clock = FakeClock()
    handle, requests = answers(web.Response(status=401), STATES.encode())
    tokens: list[dict[str, str]] = []

    async def token(request: web.Request) -> web.Response:
        tokens.append({key: str(value) for key, value in (await request.post()).items()})
        return web.json_response({"access_token": f"token-{len(tokens)}", "expires_in": 1800})

    async with website(handle, token) as (host, session):
        account = OpenSkyAccount.model_validate(
            {"OPENSKY_CLIENT_ID": "me", "OPENSKY_CLIENT_SECRET": "s3cret", "OPENSKY_TOKEN_URL": f"http://{host}/token"}
        )
        source = connector(clock, session, f"opensky+http://{host}/api/states/all?{AREA}", account)
        async with reading(source) as stream:
            await anext(stream)
    assert tokens == [{"grant_type": "client_credentials", "client_id": "me", "client_secret": "s3cret"}] * 2
    assert [request.headers["Authorization"] for request in requests[:2]] == ["Bearer token-1", "Bearer token-2"]


async def test_a_token_service_that_refuses_is_named_without_the_secret() -> None:
    clock = FakeClock()

    async def token(_: web.Request) -> web.Response:
        return web.Response(status=403)

    handle, requests = answers(STATES.encode())
    async with website(handle, token) as (host, session):
        account = OpenSkyAccount.model_validate(
            {"OPENSKY_CLIENT_ID": "me", "OPENSKY_CLIENT_SECRET": "s3cret", "OPENSKY_TOKEN_URL": f"http://{host}/token"}
        )
        source = connector(clock, session, f"opensky+http://{host}/api/states/all?{AREA}", account)
        async with reading(source) as stream:
            waiting = asyncio.ensure_future(anext(stream))
            await until(lambda: bool(clock.sleeps))
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    assert "answered 403. Check OPENSKY_CLIENT_ID and OPENSKY_CLIENT_SECRET" in source.stats()["error"]
    assert "s3cret" not in source.stats()["error"]
    assert not requests


async def test_faults_of_the_server_are_survived() -> None:
    clock = FakeClock()
    faults = (web.Response(status=500), b"<html>", b'{"now":1,"aircraft":[', web.Response(status=404))
    handle, requests = answers(*faults, *(document(second) for second in range(1, 200)))
    async with website(handle) as (host, session):
        source = connector(clock, session, f"readsb+http://{host}/aircraft.json?key=s3cret")
        async with reading(source) as stream:
            assert (await anext(stream)).entity_id == "4b1908"
    stats = source.stats()
    assert (stats["rejected"]["malformed"], stats["rejected"]["truncated"]) == (1, 1)
    assert stats["reconnects"] == 2
    assert len(requests) >= 5


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    clock = FakeClock()
    stuck = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await stuck.wait()
        return web.Response()

    async with website(hang) as (host, session):
        source = connector(
            clock, session, f"readsb+http://me:pass@{host}/aircraft.json?key=s3cret", timeout_seconds=0.05
        )
        async with reading(source) as stream:
            waiting = asyncio.ensure_future(anext(stream))
            await until(lambda: bool(clock.sleeps))
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        stuck.set()
    assert source.stats()["error"].startswith(f"tower: http://{host}/aircraft.json did not answer in 0.05 s. Check")


async def test_a_file_that_is_rewritten_is_read_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "aircraft.json"
    path.write_bytes(document(0, "000001"))
    source = AdsbConnector(AdsbSettings(url=f"file://{path}"), context("tower", FakeClock(), mode="online"))
    async with reading(source) as stream:
        assert (await anext(stream)).entity_id == "000001"
        fresh = tmp_path / "new.json"
        fresh.write_bytes(document(30, "000002"))
        fresh.replace(path)
        assert (await anext(stream)).entity_id == "000002"
        assert source.stats()["read"] == 2


async def test_a_log_that_grows_is_followed_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.sbs"
    line = "MSG,8,,,{:06X},,,,,,,,,,,,,,,,,\n"
    path.write_text(line.format(1))
    clock = FakeClock()
    source = AdsbConnector(AdsbSettings(url=f"file://{path}"), context("tower", clock, mode="online"))
    async with reading(source) as stream:
        waiting = asyncio.ensure_future(anext(stream))
        await until(lambda: bool(clock.sleeps))
        with path.open("a") as file:
            file.write(line.format(2))
        assert (await waiting).entity_id == "000002"
        path.write_text("")
        seen = len(clock.sleeps)
        await until(lambda: len(clock.sleeps) >= seen + 2)
        path.write_text(line.format(3))
        assert (await anext(stream)).entity_id == "000003"
    assert source.stats()["read"] == 2
