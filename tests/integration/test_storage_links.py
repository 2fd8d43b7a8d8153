"""Links by Supabase Storage: files as people have them, before a strict project and one that misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.platform_kit import until
from tests.service_kit import SteppedClock
from tests.storage_server import (
    ANON_KEY,
    MOST_BYTES,
    SECRET_KEY,
    SERVICE_KEY,
    Manner,
    Operation,
    StorageServer,
    Stored,
    storage,
)
from vtoc_bots.core.clients.breaker import FAULTS
from vtoc_bots.core.clients.storage import Bucket
from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.web import shelf
from vtoc_bots.core.web.files import FileLinks
from vtoc_bots.core.web.links import TIDY_SECONDS, Links
from vtoc_bots.core.web.shelf import HURRIED_SECONDS, MOST_ASKED, UPLOADS, Shelf
from vtoc_bots.testing.memory import MemoryBlobs

BIG = b"flight,lat,lon\n" * 80_000
BUCKET = "vtoc-files"
OURS = "https://bots.example/files/"
TODAY = "2026-01-01"
FAULTY: tuple[Manner, ...] = ("500", "503", "429", "garbage", "half", "drop", "401", "hang", "nothing")


class Bench:
    """One process that gives links, before a project. Uploads that hang are given up with the process."""

    def __init__(
        self, server: StorageServer, session: aiohttp.ClientSession, key: str, ours: str | None, wait_seconds: float
    ) -> None:
        self.server, self.session, self.clock, self.blobs = server, session, SteppedClock(), MemoryBlobs()
        server.now = self.clock.now
        bucket = Bucket.at(server.address, key, BUCKET, lambda: session, self.clock, timeout_seconds=wait_seconds)
        self.http = bucket.http
        self.shelf = Shelf(bucket, self.blobs, self.clock, wait_seconds)
        own = FileLinks(self.blobs, self.clock, "secret", ours)
        self.links = Links(own, self.clock, self._opened)

    async def _opened(self) -> Shelf:
        return self.shelf

    async def link(self, data: bytes = BIG, name: str = "tracks.csv", content_type: str = "text/csv") -> str | None:
        """The link to a file that was stored just now."""
        return await self.links.address(await self.blobs.put(data, content_type), name, content_type)

    async def had(self, link: str | None) -> tuple[int, bytes, dict[str, str]]:
        """What a browser gets there."""
        assert link is not None
        async with self.session.get(link) as response:
            return response.status, await response.read(), dict(response.headers)

    async def trouble(self) -> str:
        """What health says is wrong, nothing where all is well."""
        try:
            await self.shelf.probe()
        except VtocError as error:
            return str(error)
        return ""

    def told(self, operation: Operation) -> int:
        """How often the project was asked this."""
        return self.server.asked.count(operation)


@asynccontextmanager
async def bench_on(
    server: StorageServer, key: str = SERVICE_KEY, ours: str | None = "https://bots.example", wait_seconds: float = 5.0
) -> AsyncIterator[Bench]:
    async with aiohttp.ClientSession() as session:
        bench = Bench(server, session, key, ours, wait_seconds)
        try:
            yield bench
        finally:
            await bench.shelf.close()


def faulty(operation: Operation, manner: Manner) -> Any:
    """The project does this one thing badly."""
    return lambda asked: manner if asked == operation else "well"


async def test_a_large_file_is_had_by_its_link_under_its_name_for_a_day() -> None:
    async with storage() as server, bench_on(server) as bench:
        link = await bench.link(name="Tracks ü & more.csv")
        assert link is not None
        assert link.startswith(f"{server.address}/storage/v1/object/sign/{BUCKET}/{TODAY}/")
        status, data, headers = await bench.had(link)
        assert (status, data, headers["Content-Type"]) == (200, BIG, "application/octet-stream")
        assert headers["Content-Disposition"].endswith("filename*=UTF-8''Tracks%20%C3%BC%20%26%20more.csv;")
        assert server.public == {BUCKET: False}
        await bench.clock.sleep(timedelta(hours=23).total_seconds())
        assert (await bench.had(link))[0] == 200
        again = await bench.link()  # of an object that is there, on the same day
        await bench.clock.sleep(timedelta(hours=2).total_seconds())
        assert (await bench.had(link))[0] == 400
        assert (await bench.had(again))[0] == 200
        await bench.clock.sleep(timedelta(hours=23).total_seconds())
        assert (await bench.had(again))[0] == 400
        assert await bench.trouble() == ""


async def test_what_a_browser_may_show_is_shown_and_the_rest_saved() -> None:
    async with storage() as server, bench_on(server) as bench:
        shown = await bench.link(b"\x89PNG" + BIG, "map.png", "image/png")
        saved = await bench.link(b"<svg>" + BIG, "page.svg", "image/svg+xml")
        assert "Content-Disposition" not in (await bench.had(shown))[2]
        assert (await bench.had(saved))[2]["Content-Disposition"].startswith("attachment")
        # The same bytes under a type that is shown are another object, with that type.
        again = await bench.link(b"<svg>" + BIG, "page.txt", "text/plain")
        assert (await bench.had(again))[2]["Content-Type"] == "text/plain"


async def test_a_type_that_is_none_is_put_there_as_bytes() -> None:
    async with storage() as server, bench_on(server) as bench:
        status, data, headers = await bench.had(await bench.link(content_type="text/csv\r\nX-Evil: 1"))
        assert (status, data) == (200, BIG)
        assert headers["Content-Type"] == "application/octet-stream"


async def test_a_file_is_put_there_once_for_all_processes_and_links() -> None:
    async with storage() as server, bench_on(server) as one, bench_on(server) as two:
        links = [await one.link(), await one.link(name="other.csv"), await two.link()]
        assert [(await one.had(link))[1] for link in links] == [BIG] * 3
        assert one.told("upload") == 2  # the first found no bucket
        for names in server.objects.values():
            assert [stored.versions for stored in names.values()] == [1]


async def test_chats_that_show_one_file_at_once_have_it_put_there_once() -> None:
    async with storage() as server, bench_on(server) as bench:
        server.objects[BUCKET], server.public[BUCKET] = {}, False
        links = await asyncio.gather(*(bench.link(name=f"{n}.csv") for n in range(20)))
        assert len({link.partition("&")[0] for link in links if link}) == 1
        assert len(set(links)) == 20
        assert (bench.told("upload"), bench.told("sign")) == (1, 2)


async def test_processes_that_make_the_bucket_at_once_both_succeed() -> None:
    async with storage() as server, bench_on(server) as one, bench_on(server) as two:
        server.gate = asyncio.Event()
        asked = asyncio.gather(one.link(), two.link(b"other" + BIG))

        async def both() -> bool:
            return one.told("upload") == 2

        await until(both, 10, lambda: f"{server.asked}")
        server.gate.set()
        for link in await asked:
            assert (await one.had(link))[0] == 200
        assert one.told("make_bucket") == 2


async def test_an_object_that_another_process_has_put_there_meanwhile_is_as_good() -> None:
    async with storage() as server, bench_on(server) as bench:
        conflicts = iter(["409"])
        blob = await bench.blobs.put(BIG, "text/csv")

        def manner(operation: Operation) -> Any:
            if operation == "upload" and next(conflicts, None):
                server.objects[BUCKET], server.public[BUCKET] = {f"{TODAY}/{blob}": Stored(BIG, "text/csv")}, False
                return "409"
            return "well"

        server.manner = manner
        assert (await bench.had(await bench.link()))[1] == BIG


@pytest.mark.parametrize("manner", FAULTY)
@pytest.mark.parametrize("operation", ["sign", "upload"])
async def test_where_the_project_misbehaves_the_link_is_our_own_and_health_says_so(
    operation: Operation, manner: Manner
) -> None:
    async with storage() as server, bench_on(server, wait_seconds=0.4) as bench:
        server.objects[BUCKET], server.public[BUCKET] = {}, False
        server.manner = faulty(operation, manner)
        with capture_logs() as lines:
            links = [await bench.link(), await bench.link()]
        said = f"{await bench.trouble()} {lines}"
        assert all(link is not None and link.startswith(OURS) for link in links), links
        assert "supabase.storage" in await bench.trouble(), said
        assert len([line for line in lines if line["log_level"] == "warning"]) <= 2
        assert ("Check SUPABASE_SERVICE_ROLE_KEY" in said) is (manner == "401")
        assert SERVICE_KEY not in said
        server.manner = lambda asked: "well"
        await bench.clock.sleep(HURRIED_SECONDS + 60)
        await bench.shelf.close()
        assert (await bench.had(await bench.link()))[1] == BIG
        assert await bench.trouble() == ""


async def test_without_an_address_of_ours_there_is_no_link_while_the_project_fails() -> None:
    async with storage() as server, bench_on(server, ours=None) as bench:
        server.manner = lambda operation: "401"
        with capture_logs() as lines:
            assert [await bench.link(), await bench.link()] == [None, None]
        assert [line["event"] for line in lines] == ["storage_link_failed"], "it is told once"
        server.manner = lambda operation: "well"
        assert (await bench.had(await bench.link()))[1] == BIG


async def test_a_project_that_is_down_is_left_alone_after_some_faults() -> None:
    async with storage() as server, bench_on(server) as bench:
        server.manner = lambda operation: "500"
        for number in range(FAULTS):
            assert str(await bench.link(BIG + bytes([number]))).startswith(OURS)
        asked = len(server.asked)
        assert asked <= FAULTS + 1
        assert str(await bench.link()).startswith(OURS)
        assert len(server.asked) == asked
        assert "left alone" in await bench.trouble()


async def test_a_file_that_is_too_large_for_the_project_is_our_own_link_and_no_trouble() -> None:
    async with storage() as server, bench_on(server) as bench:
        with capture_logs() as lines:
            assert str(await bench.link(bytes(MOST_BYTES + 1), "log.bin", "application/x-log")).startswith(OURS)
        assert "exceeded the maximum allowed size" in str(lines)
        assert await bench.trouble() == ""
        assert str(await bench.link()).startswith(server.address)


async def test_what_takes_too_long_goes_on_and_is_there_when_it_is_asked_for_again() -> None:
    async with storage() as server, bench_on(server, wait_seconds=0.3) as bench:
        server.objects[BUCKET], server.public[BUCKET] = {}, False
        server.gate = asyncio.Event()
        assert str(await bench.link()).startswith(OURS)
        assert str(await bench.link()).startswith(OURS)
        assert "gave no link within 0.3 s" in await bench.trouble()
        server.gate.set()

        async def there() -> bool:
            return bool(server.objects[BUCKET])

        await until(there, 10, lambda: f"{server.asked}")
        assert (await bench.had(await bench.link()))[1] == BIG
        assert bench.told("upload") == 1


async def test_where_there_is_no_other_link_it_is_waited_for_longer() -> None:
    async with storage() as server, bench_on(server, ours=None, wait_seconds=1.0) as bench:
        server.gate = asyncio.Event()
        asyncio.get_running_loop().call_later(1.3, server.gate.set)
        assert str(await bench.link()).startswith(server.address)


async def test_a_card_with_many_files_waits_for_a_slow_project_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "HURRY_SECONDS", 0.01)
    async with storage() as server, bench_on(server, wait_seconds=1.0) as bench:
        server.gate = asyncio.Event()
        began = time.monotonic()
        for number in range(9):
            assert str(await bench.link(BIG[number:])).startswith(OURS)
        assert time.monotonic() - began < 3.0


async def test_only_so_many_files_wait_for_their_links_at_once() -> None:
    async with storage() as server, bench_on(server, wait_seconds=0.5) as bench:
        server.gate = asyncio.Event()
        links = await asyncio.gather(*(bench.link(BIG[number:]) for number in range(MOST_ASKED + 1)))
        assert all(str(link).startswith(OURS) for link in links)
        assert bench.told("upload") <= UPLOADS
        assert bench.told("sign") <= MOST_ASKED


async def test_a_file_that_is_kept_no_longer_is_linked_as_before() -> None:
    async with storage() as server, bench_on(server) as bench:
        assert str(await bench.links.address("0" * 64, "a.csv", "text/csv")).startswith(OURS)
        assert bench.told("upload") == 0
        assert await bench.trouble() == ""


async def test_files_go_when_no_link_to_them_is_good_any_more() -> None:
    async with storage() as server, bench_on(server) as bench:
        await bench.link()
        there = server.objects[BUCKET]
        old = [f"2025-12-2{day}/{number:064}" for day in (1, 9) for number in range(130)]
        other = ["2025-12-30/a", "2025-12-31/b", "2025-13-99/c", "people/d", "e.txt"]
        there.update({path: Stored(b"x", "text/plain") for path in [*old, *other]})
        await bench.shelf.tidy()
        assert sorted(there) == sorted([*other, *(path for path in there if path.startswith(TODAY))])
        assert bench.told("remove") == 4
        await bench.clock.sleep(timedelta(days=3).total_seconds())
        await bench.shelf.tidy()
        assert sorted(there) == sorted(other[2:])


async def test_tidying_goes_on_after_a_fault_and_where_there_is_no_bucket_yet() -> None:
    async with storage() as server, bench_on(server) as bench:
        faults = iter(["401"])
        server.manner = lambda operation: next(faults, "well")  # type: ignore[assignment,return-value]  # a manner
        with capture_logs() as lines:
            task = asyncio.create_task(bench.links.run())

            async def twice() -> bool:
                return bench.clock.slept.count(TIDY_SECONDS) >= 2

            await until(twice, 10, lambda: f"{bench.clock.slept}")
            task.cancel()
        assert [line["event"] for line in lines] == ["storage_not_tidied"]


async def test_health_tells_a_wrong_key_and_a_public_bucket_before_anybody_asks_for_a_file() -> None:
    async with storage() as server:
        async with bench_on(server, "a-key-of-another-project") as bench:
            assert await bench.trouble() == (
                "supabase.storage refused us (401): Invalid API key. Check SUPABASE_SERVICE_ROLE_KEY"
            )
        async with bench_on(server, ANON_KEY) as bench:
            assert str(await bench.link()).startswith(OURS)
            assert "row-level security policy. Check SUPABASE_SERVICE_ROLE_KEY" in await bench.trouble()
        async with bench_on(server) as bench:
            assert await bench.shelf.probe() == f"bucket {BUCKET} is made with the first large file"
            server.objects[BUCKET], server.public[BUCKET] = {}, True
            assert await bench.trouble() == "", "it was looked at in this minute"
            await bench.clock.sleep(61)
            assert await bench.trouble() == f"bucket {BUCKET} is public; make it private in the project's Storage page"


async def test_a_secret_key_of_the_newer_kind_is_no_bearer() -> None:
    async with storage() as server, bench_on(server, SECRET_KEY) as bench:
        assert (await bench.had(await bench.link()))[1] == BIG


@pytest.mark.parametrize("place", ["https://evil.example/x?token=a", "/object/sign/other/x?token=a", 7, None])
async def test_an_address_that_leads_elsewhere_is_not_told_to_people(place: object) -> None:
    async with storage() as server, bench_on(server) as bench:
        server.sign_as = lambda path: place
        assert str(await bench.link()).startswith(OURS)
        assert "signed no address" in await bench.trouble()
