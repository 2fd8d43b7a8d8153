"""A whole runtime with a Supabase project: what people on Telegram have of a large file, and what health says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from tests.api_kit import open_api
from tests.centre_kit import Centre, open_centre
from tests.docs_kit import page
from tests.integration.test_chatkit_home import outbound, transport_of
from tests.platform_kit import until
from tests.storage_server import SERVICE_KEY, StorageServer, storage
from tests.telegram_kit import ADA, message
from tests.telegram_server import TOKEN, BotApiServer
from vtoc_bots import Card, Context, File, Image, Level, command, hookimpl
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.observe import tracing
from vtoc_bots.core.settings import Settings, documented_settings, load_settings
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.settings import StorageSettings

BIG = b"flight,lat,lon\n" * 80_000


class Exports:
    """A command that answers with a file of more than a megabyte."""

    @hookimpl
    def vtoc_commands(self) -> tuple[Any, ...]:
        """/export."""

        @command("export", level="observer")
        async def export(ctx: Context) -> Card:
            """Export the tracks."""
            blob = await ctx.services.blobs.put(BIG, "text/csv")
            return Card.of("Tracks", File(blob=blob, name="tracks.csv", content_type="text/csv", size=len(BIG)))

        return (export,)


class Place:
    """A centre on Telegram with a project."""

    def __init__(self, centre: Centre, telegram: BotApiServer, project: StorageServer) -> None:
        self.centre, self.telegram, self.project = centre, telegram, project

    async def exported(self) -> str:
        """Ask for the file; what stands in the chat then, with the addresses in it."""
        before = len(self.telegram.called("sendMessage"))
        body = message(self.telegram.next_message_id(), ADA, "/export")
        await self.telegram.put({"message": body})

        async def there() -> bool:
            return len(self.telegram.called("sendMessage")) > before

        await until(there, 25, lambda: f"{self.telegram.texts(ADA)} {self.telegram.problems}")
        return unescape(self.telegram.called("sendMessage")[-1].params["text"])

    async def health(self) -> dict[str, Any]:
        """What `/readyz` says of the project."""
        results = await self.centre.runtime.health.check()
        (found,) = [each for each in results if each.name == "client.supabase.storage"]
        return {"ok": found.ok, "required": found.required, "detail": found.detail}


@asynccontextmanager
async def place(urls: DatabaseUrls, folder: Path, project: StorageServer, **more: str) -> AsyncIterator[Place]:
    async with BotApiServer().open() as telegram:
        telegram.chat(ADA)
        environ = {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_BASE_URL": telegram.address,
            "SUPABASE_URL": project.address,
            "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY,
            **more,
        }
        async with open_centre(urls, folder, {}, environ, plugins={"exports": Exports()}) as centre:
            await centre.runtime.operators.own("ada", "telegram", "", str(ADA), Level.ADMIN)
            yield Place(centre, telegram, project)
        assert telegram.problems == []


async def test_a_large_file_is_had_on_telegram_by_a_link_of_the_project(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing.trace, "get_tracer_provider", lambda: provider)
    async with storage() as project, place(database_urls, tmp_path, project) as here:
        text = await here.exported()
        link = re.search(r'href="([^"]+)"', text)
        assert link is not None, text
        assert link[1].startswith(f"{project.address}/storage/v1/object/sign/vtoc-files/")
        async with aiohttp.ClientSession() as browser, browser.get(link[1]) as response:
            assert (response.status, await response.read()) == (200, BIG)
            assert "tracks.csv" in response.headers["Content-Disposition"]
        await here.exported()
        assert project.asked.count("upload") == 2, "the first found no bucket, and the second file was there"
        assert (await here.health())["ok"] is True
        assert 'vtoc_client_requests_total{client="supabase.storage"' in here.centre.runtime.metrics.render().decode()
        spans = {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}
        assert spans["supabase.storage upload"]["bot.platform"] == "supabase.storage"
        assert spans["supabase.storage upload"]["bot.operation"] == "upload"
        assert SERVICE_KEY not in str(spans)
    provider.shutdown()


async def test_where_the_project_hangs_the_card_comes_with_our_own_link(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    async with (
        storage() as project,
        place(database_urls, tmp_path, project, VTOC_PUBLIC_URL="https://bots.example") as here,
    ):
        project.manner = lambda operation: "hang"
        assert "https://bots.example/files/" in await here.exported()
        assert (await here.health())["ok"] is False


async def test_where_the_key_is_wrong_the_card_comes_without_a_link_and_it_is_told_which_setting_is(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    key = "the-key-of-some-other-project"
    with capture_logs() as lines:
        async with storage() as project, place(database_urls, tmp_path, project, SUPABASE_SERVICE_ROLE_KEY=key) as here:
            assert "too large to be sent here" in await here.exported()
            told = "supabase.storage refused us (401): Invalid API key. Check SUPABASE_SERVICE_ROLE_KEY"
            assert await here.health() == {"ok": False, "required": False, "detail": told}
            assert key in here.centre.runtime.settings.secrets()
    assert [line["error"] for line in lines if line["event"] == "storage_link_failed"] == [told]
    assert key not in str(lines)


async def test_what_lives_in_chatkit_has_its_large_files_from_the_project_and_small_pictures_within(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    async with (
        storage() as project,
        open_api(database_urls, tmp_path, SUPABASE_URL=project.address, SUPABASE_SERVICE_ROLE_KEY=SERVICE_KEY) as api,
    ):
        blobs, png = api.centre.runtime.blobs, b"\x89PNG\r\n\x1a\n"
        small, large = await blobs.put(png, "image/png"), await blobs.put(png + BIG, "image/png")
        card = Card.of(
            "Map",
            Image(blob=small, alt="one", size=len(png)),
            Image(blob=large, alt="two", size=len(png + BIG)),
            File(blob=await blobs.put(BIG, "text/csv"), name="tracks.csv", content_type="text/csv", size=len(BIG)),
        )
        await transport_of(api).send(outbound(card, None))
        row = await api.centre.row("SELECT body FROM vtoc_engine.thread_items")
        children = row["body"]["widget"]["children"]
        one, two = [child["src"] for child in children if child["type"] == "Image"]
        link = next(child["value"] for child in children if "tracks.csv" in child.get("value", ""))
        assert one.startswith("data:image/png;base64,")
        assert [(await opened(address))[1] for address in (two, link[link.index("http") : -1])] == [png + BIG, BIG]
        assert sorted(path.partition("/")[2] for path in project.objects["vtoc-files"]) == sorted(
            [f"{large}.png", hashlib.sha256(BIG).hexdigest()]
        )


async def opened(address: str) -> tuple[int, bytes]:
    """What a browser gets there."""
    async with aiohttp.ClientSession() as browser, browser.get(address) as response:
        return response.status, await response.read()


def settings(folder: Path, **environ: str) -> Settings:
    return load_settings(folder, folder / "data", environ)


@pytest.mark.parametrize("bucket", ["a", "UPPER", "with/slash", "x" * 64])
def test_a_name_that_no_bucket_can_have_stops_the_start(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(StartupError, match="SUPABASE_STORAGE_BUCKET"):
        settings(tmp_path, SUPABASE_STORAGE_BUCKET=bucket).read(StorageSettings)


def test_a_key_that_no_header_can_carry_stops_the_start_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(
        StartupError, match="SUPABASE_SERVICE_ROLE_KEY its value \\(not shown\\) is not accepted"
    ) as caught:
        settings(tmp_path, SUPABASE_SERVICE_ROLE_KEY="two\nlines").read(StorageSettings)
    assert "two" not in str(caught.value)


def test_every_variable_of_storage_is_documented() -> None:
    wanted = [
        f"| `{each.name}` | {each.default or '–'} | {each.accepts} | {each.about} |"
        for each in documented_settings(StorageSettings)
        if each.about
    ]
    assert [line for line in page("docs/supabase.md").splitlines() if line.startswith("| `SUPABASE_S")] == wanted
