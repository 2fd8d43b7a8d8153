"""Without a remote organisation channels live here: webhooks come in, threads and cards are read at /chatkit."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.api_kit import Api, open_api
from tests.integration.test_chatkit_server import Chat, of_type, words
from tests.platform_kit import until
from vtoc_bots import Card, ConversationId, File, Image, Outbound, OutboundKind, Refused, new_id
from vtoc_bots.core.clients.answers import Declined
from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.store.urls import DatabaseUrls

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(database_urls, tmp_path, VTOC_PUBLIC_URL="https://bots.example") as opened:
        yield opened


async def event(api: Api, **members: Any) -> int:
    body = orjson.dumps({"id": str(new_id()), "type": "message.created", "channel": "TOC-S1", **members})
    return (await api.webhook("/chatkit/webhook", body, at=time.time())).status


async def items(api: Api, title: str, count: int, token: str = "operator") -> list[dict[str, Any]]:
    """The items of the thread of that title, once there are so many."""
    chat, found = Chat(api, token), []

    async def there() -> bool:
        for thread in (await chat.server.threads())["data"]:
            if thread["title"] == title:
                found[:] = (await chat.server.items(thread["id"]))["data"]
        return len(found) >= count

    await until(there, 20, lambda: f"{title}: {found}")
    return found


def transport_of(api: Api) -> Any:
    return next(transport for spec, transport in api.centre.runtime.host._open if spec.name == "chatkit")


def outbound(card: Card, thread: str | None, **more: Any) -> Outbound:
    conversation = ConversationId("chatkit", "own", "toc-s1", thread)
    fields = {"kind": OutboundKind.NOTICE, "correlation_id": new_id(), **more}
    return Outbound(new_id(), str(new_id()), conversation, card=card, **fields)


async def test_a_webhook_is_answered_in_a_thread_that_lives_here(api: Api) -> None:
    await api.centre.runtime.operators.own("Ada", "chatkit", "own", "u-ada", _admin())
    user = {"id": "u-ada", "name": "Ada"}
    assert await event(api, text="/whoami", user=user) == 202
    assert await event(api, text="all quiet", user=user) == 202
    found = await items(api, "TOC-S1", 3)
    said = [item["content"][0]["text"] for item in found if item["type"] == "user_message"]
    assert said == ["Ada: /whoami", "Ada: all quiet"]
    assert any("Who you are" in item.get("copy_text", "") for item in found)


async def test_every_station_has_its_channel_before_anybody_speaks_and_people_speak_in_it(api: Api) -> None:
    sql = "SELECT id, station, channel, body ->> 'title' AS title FROM vtoc_engine.threads ORDER BY station"

    async def seeded() -> bool:
        return len(await api.centre.runtime.store.fetch(sql)) == 3

    await until(seeded, 20, lambda: "no channels")
    rows = [dict(row) for row in await api.centre.runtime.store.fetch(sql)]
    assert [(row["station"], row["channel"], row["title"]) for row in rows] == [
        ("toc-i1", "toc-i1", "TOC-I1"),
        ("toc-s1", "toc-s1", "TOC-S1"),
        ("toc-s2", "toc-s2", "TOC-S2"),
    ]
    await api.centre.runtime.operators.own("Ada", "chatkit", "own", "u-ada", _admin())
    assert await event(api, text="/whoami", user={"id": "u-ada", "name": "Ada"}) == 202
    await items(api, "TOC-S1", 2)
    assert len(await api.centre.runtime.store.fetch(sql)) == 3


async def test_a_thread_that_the_webhook_names_is_everybodys_and_continues_here(api: Api) -> None:
    await api.centre.runtime.operators.own("Ada", "chatkit", "own", "u-ada", _admin())
    await event(api, text="/status", user={"id": "u-ada", "name": "Ada"}, thread_id="th-9")
    await items(api, "th-9", 2)
    chat = Chat(api, "operator")
    events = await chat.all(chat.server.say("th-9", "/whoami"))
    assert "token operator" in words(events)
    await chat.all(chat.server.say("th-9", "boat in sight"))
    async with api.centre.runtime.store.session(await api.station("toc-s1")) as session:
        row = await session.fetchrow("SELECT author, entry FROM ops.mission_logs")
    assert dict(row) == {"author": "token operator", "entry": "boat in sight"}


async def test_a_private_card_in_a_shared_thread_is_for_its_asker_alone(api: Api) -> None:
    await event(api, text="hello", thread_id="th-1")
    await items(api, "th-1", 1)
    mine, lead = Chat(api, "operator"), Chat(api, "lead")
    events = await mine.all(mine.server.say("th-1", "/link WRONG"))
    assert of_type(events, "widget"), "the asker does not see it"
    kinds = [item["type"] for item in (await lead.server.items("th-1"))["data"]]
    assert kinds == ["user_message", "user_message"]


async def test_pictures_are_within_their_items_and_what_is_large_is_a_signed_link(api: Api) -> None:
    blobs = api.centre.runtime.blobs
    small, big = await blobs.put(PNG, "image/png"), await blobs.put(bytes(1_500_000), "text/plain")
    card = Card.of(
        "Map",
        Image(blob=small, alt="three aircraft", size=len(PNG)),
        File(blob=big, name="log.txt", content_type="text/plain", size=1_500_000),
    )
    await transport_of(api).send(outbound(card, None))
    (item,) = await items(api, "Map", 1)
    image = next(child for child in item["widget"]["children"] if child["type"] == "Image")
    assert image["src"].startswith("data:image/png;base64,")
    assert image["alt"] == "three aircraft"
    link = next(child for child in item["widget"]["children"] if "log.txt" in child.get("value", ""))
    assert f"https://bots.example/files/{big}/log.txt?" in link["value"]


async def test_a_thread_that_was_deleted_is_never_made_again(api: Api) -> None:
    chat = Chat(api, "operator")
    thread, _ = await chat.begin("/whoami")
    await chat.server.ask("threads.delete", thread_id=thread)
    with pytest.raises(Refused):
        await transport_of(api).send(outbound(Card.of("late", "answer"), thread))
    with pytest.raises(Declined):
        await chat.server.thread(thread)


async def test_the_same_card_sent_twice_is_one_card(api: Api) -> None:
    transport, card = transport_of(api), outbound(Card.of("Once", "only"), None)
    first, second = await transport.send(card), await transport.send(card)
    assert first.ref == second.ref
    assert len(await items(api, "Once", 1)) == 1


async def test_a_file_is_uploaded_once_and_comes_with_the_message(api: Api) -> None:
    chat = Chat(api, "operator")
    made = await chat.server.ask("attachments.create", name="chart.png", size=len(PNG), mime_type="image/png")
    assert made["upload_descriptor"]["url"].startswith("https://bots.example/chatkit/files/")
    url = f"{api.centre.runtime.address}/chatkit/files/{made['id']}"
    for data, status in ((PNG[:-1], 400), (PNG, 204), (PNG, 204), (PNG[:-1] + b"x", 409)):
        async with api.session.put(url, data=io.BytesIO(data), headers={"Content-Type": "image/png"}) as answer:
            assert answer.status == status, await answer.text()
    async with api.session.get(url) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", PNG)
    said = {
        "content": [{"type": "input_text", "text": "/status"}],
        "attachments": [made["id"]],
        "inference_options": {},
    }
    events = await chat.all(chat.server.events("threads.create", input=said))
    item = of_type(events, "user_message")[0]["item"]
    assert item["attachments"][0]["thread_id"] == events[0]["thread"]["id"]
    assert "metadata" not in item["attachments"][0]
    row = await api.centre.row("SELECT body FROM vtoc_engine.inbox")
    blob = hashlib.sha256(PNG).hexdigest()
    assert row["body"]["attachments"] == [["chart.png", "image/png", len(PNG), None, blob, None]]
    theirs = [event async for event in Chat(api, "lead").server.events("threads.create", input=said)]
    assert theirs[-1]["type"] == "error", "somebody else's file was taken"


async def test_a_file_that_was_never_uploaded_is_told(api: Api) -> None:
    chat = Chat(api, "operator")
    made = await chat.server.ask("attachments.create", name="a.txt", size=3, mime_type="text/plain")
    content = [{"type": "input_text", "text": "/status"}]
    said = {"content": content, "attachments": [made["id"]], "inference_options": {}}
    events = await chat.all(chat.server.events("threads.create", input=said))
    assert "`a.txt` was not taken: its bytes were not uploaded." in words(events)


async def test_a_file_over_the_limit_is_refused(api: Api) -> None:
    with pytest.raises(Declined) as caught:
        await Chat(api, "operator").server.ask("attachments.create", name="x", size=2**30, mime_type="text/plain")
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "kind", ["", "png", "image/png\r\nSet-Cookie: a=b", "image/p\x01ng", "imäge/png", "a/" + "b" * 300]
)
async def test_a_file_of_no_type_is_refused(api: Api, kind: str) -> None:
    with pytest.raises(Declined, match="no media type") as caught:
        await Chat(api, "operator").server.ask("attachments.create", name="x", size=3, mime_type=kind)
    assert caught.value.status == 400


async def test_a_files_name_can_not_write_headers(api: Api) -> None:
    name = "a\r\nSet-Cookie: a=b\u0000\u202e.html"
    params = {"name": name, "size": 3, "mime_type": "text/html; charset=utf-8"}
    headers = {"Authorization": f"Bearer {api.tokens['operator']}"}
    asked = {"type": "attachments.create", "params": params}  # by itself: our own client sends no NUL
    async with api.session.post(f"{api.centre.runtime.address}/chatkit", json=asked, headers=headers) as answer:
        made = await answer.json()
    url = f"{api.centre.runtime.address}/chatkit/files/{made['id']}"
    async with api.session.put(url, data=b"abc") as answer:
        assert answer.status == 204
    async with api.session.get(url) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''a%20Set-Cookie")
        assert not answer.cookies


async def test_what_could_not_be_accepted_is_told_and_accepted_when_it_is_retried(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Chat(api, "operator")
    rows = api.centre.runtime.inbox_rows

    async def away(message: Any) -> bool:
        raise TransientError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(rows, "accept", away)
        events = [event async for event in chat.server.begin("/whoami")]
    assert [event["type"] for event in events] == ["thread.created", "error"]
    assert events[-1]["allow_retry"]
    thread = events[0]["thread"]["id"]
    (said,) = (await chat.server.items(thread))["data"]
    for _ in range(2):
        retried = await chat.all(chat.server.events("threads.retry_after_item", thread_id=thread, item_id=said["id"]))
        assert "Who you are" in words(retried)
    assert await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox") == {"n": 1}


async def test_a_client_that_leaves_ends_its_stream_and_not_what_it_asked_for(api: Api) -> None:
    chat = Chat(api, "operator")
    async with aclosing(chat.server.begin("/playbook waiting")) as stream:
        thread = (await anext(stream))["thread"]["id"]
        await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'ready'", 1)
    watch = transport_of(api)._endpoint.watch

    async def nobody_watches() -> bool:
        return not watch.watchers

    await until(nobody_watches, 20, lambda: f"{len(watch.watchers)} streams")
    api.centre.plugin.gate.set()
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)
    done = [item for item in await items(api, "/playbook waiting", 3) if item["type"] == "widget"]
    assert "Done" in done[-1]["copy_text"]
    again = await chat.all(chat.server.act(thread, "vtoc.follow"))
    assert "Done" in words(again)


def _admin() -> Any:
    from vtoc_bots import Level

    return Level.ADMIN


async def test_without_the_extra_everything_but_the_server_works_and_says_why(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    headers = {"Authorization": f"Bearer {api.tokens['operator']}"}
    url = f"{api.centre.runtime.address}/chatkit"
    async with api.session.post(url, json={"type": "threads.list", "params": {}}, headers=headers) as answer:
        assert answer.status == 503
        assert "pip install 'vtoc-bots[chatkit]'" in (await answer.json())["detail"]
    assert "vtoc-bots[chatkit]" in await transport_of(api).probe()
    assert await event(api, text="all quiet") == 202
