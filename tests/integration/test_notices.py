"""What a station is told unasked: approvals and troubles in its notice rooms; links to files; sick platforms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest_asyncio
from aiohttp import web
from structlog.testing import capture_logs

from tests.centre_kit import Centre, open_centre
from tests.platform_kit import until
from vtoc_bots import (
    Caps,
    Card,
    CommandSpec,
    Inbox,
    NotSent,
    Outbound,
    Receipt,
    StartupError,
    TransportContext,
    TransportSpec,
    hookimpl,
)
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.runtime import Duties, Runtime
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.store.blobs import BlobRows
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.files import FileLinks
from vtoc_bots.core.web.health import is_ready
from vtoc_bots.core.web.server import WebServer

STATIONS = (
    "stations:\n  toc-s1:\n    notices: ['room:bot:leads', 'room:bot:night']\n"
    "  toc-s2:\n    channels: ['room:bot:pier']\n    notices: ['room:bot:quay']\n"
)
GUARDED = (
    "approval: {quorum: 1, level: lead, exclude_requester: true}\n"
    "steps:\n  - {id: one, uses: centre.count, with: {what: salt}}\n"
)


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Centre]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "stations.yml").write_text(STATIONS)
    async with open_centre(database_urls, tmp_path, {"guarded": GUARDED}) as opened:
        await opened.person("ada")
        await opened.person("bob")
        yield opened


def shown_in(centre: Centre) -> dict[str, str]:
    """The newest approval card's title, by room."""
    return {
        outbound.conversation.channel: outbound.card.title
        for outbound in centre.transport.sends
        if outbound.kind == "approval"
    }


async def test_an_approval_is_asked_in_the_notice_rooms_too_and_closed_in_all(centre: Centre) -> None:
    asked = await centre.say("ada", "/playbook guarded")
    sent = "SELECT count(*) FROM vtoc_engine.outbox WHERE kind = 'approval' AND state = 'sent' AND sent_revision = "
    await centre.wait_for(f"{sent}0", 3)
    assert all(title.startswith("Approval needed") for title in shown_in(centre).values())
    await centre.press("bob", "Approve", room="night")
    await centre.answer(asked)
    await centre.wait_for(f"{sent}1", 3)
    closed = shown_in(centre)
    assert set(closed) == {"hall", "leads", "night"}
    assert all(title.startswith("Approval approved") for title in closed.values())
    assert centre.plugin.calls == ["one:salt"]


async def test_an_approval_is_decided_where_its_station_is_told_whatever_the_deciders_own_station(
    centre: Centre,
) -> None:
    asked = await centre.say("ada", "/playbook guarded", "pier")
    sent = "SELECT count(*) FROM vtoc_engine.outbox WHERE kind = 'approval' AND state = 'sent'"
    await centre.wait_for(sent, 2)
    await centre.press("bob", "Approve", room="quay")
    await centre.answer(asked)
    assert centre.plugin.calls == ["one:salt"]


async def test_a_notice_is_sent_once_for_each_key(centre: Centre) -> None:
    for _ in range(3):
        await centre.runtime.notices.send("toc-s1", Card.of("The gateway is down"), "gateway:1")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE kind = 'notice' AND state = 'sent'", 2)
    assert sorted(o.conversation.channel for o in centre.transport.sends if o.kind == "notice") == ["leads", "night"]


async def test_a_link_to_a_file_is_good_for_a_day_and_only_as_it_was_made(database_urls: DatabaseUrls) -> None:
    clock = _Shifted()
    store = await Store.open(database_urls)
    blobs = BlobRows(store)
    app = web.Application()
    server = WebServer(app, "127.0.0.1", 0)
    links = FileLinks(blobs, clock, "secret", "https://bots.example")
    links.add_routes(app)
    await server.start()
    try:
        blob = await blobs.put(b"<svg onload=alert(1)>", "image/svg+xml")
        link = links.address(blob, "a map & more.svg", "image/svg+xml")
        assert link is not None
        parts = urlsplit(link)
        assert parts.netloc == "bots.example"
        here = f"{server.address}{parts.path}?{parts.query}"
        async with aiohttp.ClientSession() as client:
            async with client.get(here) as response:
                assert (response.status, await response.read()) == (200, b"<svg onload=alert(1)>")
                assert response.headers["Content-Disposition"].startswith("attachment")
            for wrong in (here.replace("svg%2Bxml", "png"), here + "0", here.replace("more", "less"), here[:-2]):
                async with client.get(wrong) as response:
                    assert response.status == 403
            odd = links.address(blob, "b.png", "image/png\r\nSet-Cookie: a=b")
            assert odd is not None
            async with client.get(odd.replace("https://bots.example", server.address)) as response:
                assert (response.status, response.content_type) == (200, "application/octet-stream")
            clock.shift = timedelta(hours=25)
            async with client.get(here) as response:
                assert response.status in (404, 500)  # NotFound, which the real server makes a problem document of
    finally:
        await server.close()
        await store.close()


def test_without_a_public_address_there_are_no_links() -> None:
    assert FileLinks(None, SystemClock(), "secret", None).address("0" * 64, "a", "b") is None  # type: ignore[arg-type]  # unused


class _Shifted(SystemClock):
    shift = timedelta()

    def now(self) -> Any:
        return super().now() + self.shift


SICK = "sick: SICK_TOKEN was refused (401). Make a new one and set it in .env.station."


class _Refused:
    """A platform that refuses its token."""

    caps = Caps()

    async def run(self, inbox: Inbox) -> None:
        raise StartupError(SICK)

    async def publish(self, commands: Sequence[CommandSpec]) -> None:
        raise NotSent("sick: it is not running")

    async def send(self, outbound: Outbound) -> Receipt:
        raise AssertionError


class _Well(_Refused):
    async def run(self, inbox: Inbox) -> None:
        await asyncio.Event().wait()

    async def probe(self) -> str:
        return "last event 3 s ago"

    async def publish(self, commands: Sequence[CommandSpec]) -> None:
        return


class _Silent(_Well):
    """A platform that takes everything but menus."""

    async def publish(self, commands: Sequence[CommandSpec]) -> None:
        raise NotSent("silent: its server failed (500)")


class _Platforms:
    @hookimpl
    def vtoc_transports(self) -> Iterable[TransportSpec]:
        def unopened(context: TransportContext) -> Any:
            raise StartupError("unopened: UNOPENED_URL is no address")

        return (
            TransportSpec("sick", lambda context: _Refused()),
            TransportSpec("well", lambda context: _Well()),
            TransportSpec("silent", lambda context: _Silent()),
            TransportSpec("unopened", unopened),
        )


async def test_a_platform_whose_token_is_wrong_says_so_in_one_line_and_leaves_the_others_be(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": database_urls.main.text, "DATABASE_ADMIN_URL": database_urls.admin.text}
    settings = load_settings(tmp_path / "config", tmp_path / "data", environ=environ)
    runtime = Runtime(settings, Duties(web=False, sources=False), plugins={"platforms": _Platforms()})
    broken = {"transport.sick", "transport.sick.menu", "transport.silent.menu"}

    async def told() -> bool:
        if task.done():
            task.result()
        told = runtime.ready.is_set() and broken <= runtime.parts.failing.keys()
        return told and is_ready(await runtime.health.check())

    with capture_logs() as lines:
        task = asyncio.create_task(runtime.run())
        await until(told, 30, lambda: f"not ready for all that the others are well: {runtime.parts.failing}")
    assert [line["log_level"] for line in lines if line.get("error") == SICK].count("error") == 1
    results = {result.name: result for result in await runtime.health.check()}
    assert not results["transport.sick"].ok
    assert "SICK_TOKEN was refused" in results["transport.sick"].detail
    assert "UNOPENED_URL" in results["transport.unopened"].detail
    assert results["transport.silent"].detail == "its menus are not published: silent: its server failed (500)"
    assert (results["transport.well"].ok, results["transport.well"].detail) == (True, "last event 3 s ago")
    runtime.stop()
    await task
