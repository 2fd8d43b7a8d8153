"""The clients of ChatKit organisations and servers, before services that misbehave."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.service_kit import answer, scripted
from vtoc_bots.core.clients.answers import Busy, Declined, Uncertain
from vtoc_bots.core.clients.chatkit import ChatKitOrganisation, ChatKitServer
from vtoc_bots.core.errors import ActionError, TransientError

EVENTS = b': hello\r\n\r\nevent: x\ndata: {"type": "a",\ndata: "n": 1}\n\ndata: 7\n\nid: 3\ndata:{"type": "b"}\n\n'


async def every(events: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event async for event in events]


async def test_events_are_read_whatever_stands_between_them() -> None:
    async with scripted() as (service, http, _):
        service.script = [answer(200, EVENTS, "Content-Type: text/event-stream")]
        found = await every(ChatKitServer(http).say("thr_1", "/status"))
    assert found == [{"type": "a", "n": 1}, {"type": "b"}]
    assert json.loads(service.asked[0].body) == {
        "type": "threads.add_user_message",
        "params": {
            "thread_id": "thr_1",
            "input": {
                "content": [{"type": "input_text", "text": "/status"}],
                "attachments": [],
                "inference_options": {},
            },
        },
    }


async def test_a_stream_that_breaks_off_says_so_after_what_came() -> None:
    async with scripted() as (service, http, _):
        service.script = [answer(200, EVENTS, "Content-Type: text/event-stream", length=5000)]
        stream = ChatKitServer(http).begin("/status")
        assert [(await anext(stream))["type"] for _ in range(2)] == ["a", "b"]
        with pytest.raises(Uncertain, match="load the thread again"):
            await anext(stream)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answer(401), Declined),
        (answer(404), Declined),
        (answer(429, b"{}", "Retry-After: 7"), Busy),
        (answer(503), TransientError),
        (answer(500), Uncertain),
        (b"", Uncertain),
    ],
)
async def test_a_stream_that_does_not_begin_is_an_error_and_is_not_asked_for_again(
    fault: bytes, error: type[Exception]
) -> None:
    async with scripted() as (service, http, _):
        service.script = [fault]
        with pytest.raises(error):
            await every(ChatKitServer(http).begin("/status"))
        assert len(service.asked) == 1


async def test_what_is_posted_has_its_key_and_is_asked_once() -> None:
    async with scripted() as (service, http, _):
        service.script = [answer(500), answer(201, b'{"id": "ms-1"}'), answer(201, b"{}"), answer(200, b"<html>")]
        api = ChatKitOrganisation(http, "org-7")
        with pytest.raises(Uncertain):
            await api.post("th/1", {"text": "x"}, key="run:1:result")
        assert await api.post("th/1", {"text": "x"}, key="run:1:result") == "ms-1"
        for _ in range(2):
            with pytest.raises(ActionError):
                await api.post("th/1", {"text": "x"}, key="run:1:result")
    assert {asked.target for asked in service.asked} == {"/orgs/org-7/threads/th%2F1/messages"}
    assert {asked.headers["idempotency-key"] for asked in service.asked} == {"run:1:result"}


@pytest.mark.parametrize("body", [b'[{"id": "a"}, 3]', b'{"messages": [{"id": "a"}]}', b'{"data": [{"id": "a"}]}'])
async def test_a_list_is_read_bare_or_in_its_member(body: bytes) -> None:
    async with scripted() as (service, http, _):
        service.script = [answer(200, body)]
        assert await ChatKitOrganisation(http, "o").messages("t", "b") == [{"id": "a"}]
        assert service.asked[0].target == "/orgs/o/threads/t/messages?after=b"


async def test_a_stream_whose_service_is_gone_is_kept_away_from_after_faults() -> None:
    async with scripted() as (service, http, _):
        service.script = [b""] * 5
        server = ChatKitServer(http)
        for _ in range(5):
            with pytest.raises(Uncertain):
                await every(server.begin("/status"))
        with pytest.raises(TransientError, match="left alone"):
            await every(server.begin("/status"))
        assert len(service.asked) == 5


async def test_channels_that_somebody_else_makes_at_the_same_time_are_there() -> None:
    async with scripted() as (service, http, _):
        service.script = [answer(200, b'{"channels": [{"slug": "TOC-S1"}]}'), answer(409), answer(201)]
        api = ChatKitOrganisation(http, "o")
        stations = {"toc-s1": "TOC-S1", "toc-s2": "TOC-S2", "toc-i1": "TOC-I1"}
        assert await api.keep_channels(stations) == ["toc-i1"]
        service.script = [answer(200, b"[]"), answer(403)]
        with pytest.raises(Declined):
            await api.keep_channels(stations)
    asked = [json.loads(each.body) for each in service.asked if each.method == "POST"]
    assert asked[:2] == [{"slug": "toc-s2", "name": "TOC-S2"}, {"slug": "toc-i1", "name": "TOC-I1"}]
