"""Requests of the ChatKit protocol that fit it and make no sense: NULs and strange names are mistakes, not faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.api_kit import Api, open_api
from tests.integration.test_chatkit_server import Chat
from vtoc_bots.core.store.urls import DatabaseUrls

NUL = "a\x00b"
SAID = {"content": [{"type": "input_text", "text": "hi"}], "attachments": [], "inference_options": {}}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("threads.get_by_id", {"thread_id": NUL}),
    ("threads.delete", {"thread_id": NUL}),
    ("threads.list", {"limit": 10**30, "after": NUL}),
    ("items.list", {"thread_id": "THREAD", "after": NUL, "limit": -5}),
    ("attachments.delete", {"attachment_id": NUL}),
    ("threads.add_user_message", {"thread_id": "THREAD", "input": {**SAID, "attachments": [NUL]}}),
    ("threads.add_user_message", {"thread_id": NUL, "input": SAID}),
    ("threads.retry_after_item", {"thread_id": NUL, "item_id": "x"}),
    (
        "threads.custom_action",
        {"thread_id": "THREAD", "item_id": NUL, "action": {"type": "vtoc.press", "payload": {"token": "x"}}},
    ),
    (
        "threads.custom_action",
        {"thread_id": NUL, "action": {"type": "vtoc.follow", "payload": {"run_id": NUL, "after": NUL}}},
    ),
]


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(database_urls, tmp_path) as opened:
        yield opened


async def posted(api: Api, kind: str, params: dict[str, Any]) -> tuple[int, str]:
    """By itself: our own client sends no NUL."""
    url, headers = f"{api.centre.runtime.address}/chatkit", {"Authorization": f"Bearer {api.tokens['operator']}"}
    async with api.session.post(url, json={"type": kind, "params": params}, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_a_name_with_a_nul_is_the_callers_mistake(api: Api) -> None:
    thread, _ = await Chat(api, "operator").begin("/whoami")
    for kind, params in REQUESTS:
        if params.get("thread_id") == "THREAD":
            params = {**params, "thread_id": thread}
        status, words = await posted(api, kind, params)
        assert (status, "NUL" in words) == (400, True), (kind, status, words)


async def test_a_press_that_makes_no_sense_ends_in_words(api: Api) -> None:
    thread, _ = await Chat(api, "operator").begin("/whoami")
    for kind, payload in (("vtoc.press", {"token": NUL}), ("vtoc.follow", {"after": NUL}), ("vtoc.no", {})):
        params = {"thread_id": thread, "action": {"type": kind, "payload": payload}}
        status, words = await posted(api, "threads.custom_action", params)
        assert status == 200
        assert '"type":"error"' in words or "too old" in words, (kind, words)


@pytest.mark.parametrize("name", ["%00", "a%0d%0ab", "%ff", "x" * 3000])
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_file_of_a_strange_name_is_not_there(api: Api, method: str, name: str) -> None:
    url = f"{api.centre.runtime.address}/chatkit/files/{name}"
    async with api.session.request(method, url, data=b"abc" if method == "PUT" else None) as answer:
        assert answer.status in (400, 404)


@pytest.mark.parametrize("member", ["id", "thread_id", "channel", "station", "text", "user", "action"])
async def test_an_event_with_a_nul_is_taken_or_refused_and_holds_up_no_other(api: Api, member: str) -> None:
    good = {"type": "message.created", "channel": "toc-s1", "user": {"id": "u", "name": "U"}, "text": "all quiet"}
    values: dict[str, Any] = {"user": {"id": NUL, "name": NUL}, "action": {"id": NUL, "value": NUL}}
    bad = {**good, "id": "bad", member: values.get(member, NUL), "type": "message.created"}
    if member == "action":
        bad["type"] = "action.invoked"
    bodies = [orjson.dumps({**good, "id": f"good {number}"}) for number in range(5)]
    sent = [api.webhook("/chatkit/webhook", body, at=0) for body in (*bodies[:2], orjson.dumps(bad), *bodies[2:])]
    statuses = [said.status for said in await asyncio.gather(*sent)]
    assert statuses[:2] + statuses[3:] == [202] * 5
    assert statuses[2] in (202, 400)
