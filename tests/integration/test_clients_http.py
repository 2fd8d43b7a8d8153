"""The HTTP layer of clients against services that misbehave: what is tried again, what is not, and what people read."""

from __future__ import annotations

import asyncio
import zlib

import aiohttp
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.platform_kit import until
from tests.service_kit import SERVICE, SteppedClock, answer, scripted
from vtoc_bots.core.clients.answers import Declined, Uncertain
from vtoc_bots.core.clients.breaker import FAULTS
from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.errors import ActionError, TransientError
from vtoc_bots.core.observe import tracing


async def test_an_answer_is_read_whole_and_segments_are_encoded() -> None:
    async with scripted() as (service, http, _):
        service.script = [answer(200, b'{"tools": []}', "Content-Type: application/json")]
        found = await http.request("GET", "orgs", "a/b c", "tools", operation="tools", query={"after": "ü"})
        assert found.document() == {"tools": []}
        assert service.asked[0].target == "/orgs/a%2Fb%20c/tools?after=%C3%BC"


@pytest.mark.parametrize(
    "fault",
    [answer(500), answer(502, b"<html>"), answer(503), answer(429), answer(200, b'{"half', length=50), b""],
    ids=["500", "502", "503", "429", "half a body", "cut off"],
)
async def test_what_passes_is_asked_again_where_that_is_safe(fault: bytes) -> None:
    async with scripted() as (service, http, clock):
        service.script = [fault, fault, answer(200, b"[1]")]
        assert (await http.request("GET", "x", operation="look")).json() == [1]
        # A connection that is cut off before the answer's first byte is tried a second time by aiohttp itself.
        assert clock.slept == ([0.25, 0.5] if fault else [0.25])
        assert len(service.asked) == 3


@pytest.mark.parametrize("fault", [answer(500), answer(200, b'{"half', length=50), b""])
async def test_what_may_have_been_done_is_not_asked_again(fault: bytes) -> None:
    async with scripted() as (service, http, clock):
        service.script = [fault]
        with pytest.raises(Uncertain, match="Look there whether it was done"):
            await http.request("POST", "actions", operation="act", json={"a": 1})
        assert (len(service.asked), clock.slept) == (1, [])


async def test_a_post_with_a_key_is_asked_again_under_the_same_key() -> None:
    async with scripted() as (service, http, _):
        service.script = [b"", answer(201)]
        await http.request("POST", "messages", operation="post", json={"a": 1}, idempotency_key="run:one")
        assert [asked.headers["idempotency-key"] for asked in service.asked] == ["run:one"] * 2
        assert {asked.body for asked in service.asked} == {b'{"a":1}'}


@pytest.mark.parametrize("size", [3, 2_000_000])
async def test_bytes_are_sent_as_they_are_and_whole_each_time(size: int) -> None:
    async with scripted() as (service, http, _):
        service.script = [answer(503), answer(200)]
        headers = {"Content-Type": "application/x-log"}
        await http.request("POST", "x", operation="put", data=bytes(size), headers=headers, repeatable=True)
        assert [asked.body for asked in service.asked] == [bytes(size)] * 2
        assert {asked.headers["content-type"] for asked in service.asked} == {"application/x-log"}


async def test_a_service_that_hides_its_status_is_taken_by_the_one_it_means() -> None:
    async with scripted(status_of=lambda status, body: int(body) if status == 400 else status) as (service, http, _):
        service.script = [answer(400, b"503"), answer(200), answer(400, b"413")]
        await http.request("GET", operation="look")
        with pytest.raises(Declined) as caught:
            await http.request("GET", operation="look")
        assert caught.value.status == 413


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_service_that_hangs_is_given_up_in_time(method: str) -> None:
    async with scripted(timeout_seconds=0.05) as (service, http, _):
        service.script = [None, None, None]
        with pytest.raises(TransientError if method == "GET" else Uncertain, match=r"did not answer within 0\.05 s"):
            await http.request(method, operation="look")
        assert len(service.asked) == (3 if method == "GET" else 1)


async def test_a_short_retry_after_is_waited_for_and_a_long_one_is_told() -> None:
    async with scripted() as (service, http, clock):
        service.script = [answer(429, b"{}", "Retry-After: 3"), answer(200)]
        await http.request("GET", operation="look")
        assert clock.slept == [3.0]
        service.script = [answer(503, b"{}", "Retry-After: 120")]
        with pytest.raises(TransientError) as caught:
            await http.request("GET", operation="look")
        assert caught.value.after_seconds == 120
        assert len(service.asked) == 3


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(401, b'{"error": "expired"}'), "refused us \\(401\\): expired. Check AGENTKIT_API_KEY"),
        (answer(404), "Is AGENTKIT_API_BASE_URL right"),
        (answer(422, b'{"detail": "no such tool"}'), "did not accept this \\(422\\): no such tool"),
        (answer(302, b"", "Location: https://elsewhere.example/"), "has moved to https://elsewhere.example/"),
    ],
)
async def test_a_refusal_says_what_a_person_can_do(reply: bytes, words: str) -> None:
    async with scripted() as (service, http, _):
        service.script = [reply]
        with pytest.raises(ActionError, match=words):
            await http.request("GET", operation="look")
        assert len(service.asked) == 1


async def test_a_body_that_is_no_json_shows_how_it_begins() -> None:
    async with scripted() as (service, http, _):
        service.script = [answer(200, b"<html>Sign in", "Content-Type: text/html; charset=utf-8")]
        found = await http.request("GET", operation="look")
        with pytest.raises(ActionError, match=r"no JSON \(text/html: '<html>Sign in'\)"):
            found.json()


async def test_a_body_that_is_too_long_is_not_taken_however_well_it_is_packed() -> None:
    async with scripted(max_body_bytes=10_000) as (service, http, _):
        service.script = [
            answer(200, b"x" * 20_000),
            answer(200, zlib.compress(b"x" * 10**6), "Content-Encoding: deflate"),
        ]
        for _ in range(2):
            with pytest.raises(ActionError, match="more than 10,000 bytes"):
                await http.request("GET", operation="look")


async def test_an_address_where_nobody_listens_is_named() -> None:
    clock = SteppedClock()
    async with aiohttp.ClientSession() as session:
        http = ServiceHttp(lambda: session, SERVICE, "http://127.0.0.1:9", clock)
        with pytest.raises(TransientError, match="Is AGENTKIT_API_BASE_URL right"):
            await http.request("POST", operation="act")


async def test_a_service_that_fails_repeatedly_is_left_alone_and_tried_by_one_at_a_time() -> None:
    async with scripted() as (service, http, clock):
        service.script = [answer(500)] * FAULTS
        for _ in range(FAULTS):
            with pytest.raises(Uncertain):
                await http.request("POST", operation="act")
        with pytest.raises(TransientError, match="left alone") as caught:
            await http.request("POST", operation="act")
        assert caught.value.after_seconds == pytest.approx(5)
        with pytest.raises(TransientError, match="repeated faults"):
            await http.probe()
        assert (len(service.asked), http.counts.kept_away) == (FAULTS, 1)
        clock.seconds += 6
        service.script = [answer(500)]
        with pytest.raises(Uncertain):
            await http.request("POST", operation="act")
        with pytest.raises(TransientError, match="left alone"):
            await http.request("POST", operation="act")
        clock.seconds += 11
        await http.request("POST", operation="act")
        assert not http.breaker.is_open


async def test_a_caller_who_gives_up_leaves_the_breaker_usable() -> None:
    async with scripted() as (service, http, clock):
        service.script = [answer(500)] * FAULTS + [None]
        for _ in range(FAULTS):
            with pytest.raises(Uncertain):
                await http.request("POST", operation="act")
        clock.seconds += 6
        trial = asyncio.ensure_future(http.request("POST", operation="act"))
        await until(lambda: asyncio.sleep(0, len(service.asked) > FAULTS), 5, lambda: "the trial was not sent")
        trial.cancel()
        await asyncio.gather(trial, return_exceptions=True)
        await http.request("POST", operation="act")
        assert http.counts.in_flight == 0


async def test_only_so_many_are_under_way_and_only_so_many_wait() -> None:
    async with scripted(at_once=2, most_waiting=3) as (service, http, _):
        opened = asyncio.Event()

        async def gate() -> None:
            await opened.wait()

        service.gate = gate
        tasks = [asyncio.ensure_future(http.request("POST", operation="act")) for _ in range(9)]
        await until(lambda: asyncio.sleep(0, http.counts.in_flight == 2), 5, lambda: str(http.counts))
        assert (http.counts.waiting, http.counts.kept_away) == (3, 4)
        opened.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(each, TransientError) for each in results) == 4
        assert service.most_at_once == 2


async def test_each_request_is_a_span_that_names_platform_and_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing.trace, "get_tracer_provider", lambda: provider)
    async with scripted() as (service, http, _):
        await http.request("GET", operation="tools.list")
        (found,) = exporter.get_finished_spans()
        assert found.attributes is not None
        assert found.attributes["bot.platform"] == "agentkit"
        assert found.attributes["bot.operation"] == "tools.list"
        assert service.asked[0].headers["traceparent"].split("-")[1] == f"{found.context.trace_id:032x}"
