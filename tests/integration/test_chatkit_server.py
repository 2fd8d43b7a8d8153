"""Our ChatKit server over a real socket, by the client for such servers; the SDK's own types accept all it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from chatkit.types import Page, Thread, ThreadItem, ThreadStreamEvent
from chatkit.widgets import StrictWidgetRoot
from pydantic import TypeAdapter

from tests.api_kit import Api, open_api
from tests.platform_kit import until
from vtoc_bots.core.access import Level
from vtoc_bots.core.clients.answers import Declined, Service, Uncertain
from vtoc_bots.core.clients.chatkit import ChatKitServer
from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.plugins.chatkit import endpoint

EVENT: TypeAdapter[Any] = TypeAdapter(ThreadStreamEvent)
ITEM: TypeAdapter[Any] = TypeAdapter(ThreadItem)
WIDGET: TypeAdapter[Any] = TypeAdapter(StrictWidgetRoot)
ITEMS: TypeAdapter[Any] = TypeAdapter(Page[ThreadItem])


class Chat:
    """Somebody before the server, by the token of that name."""

    def __init__(self, api: Api, token: str) -> None:
        async def credential() -> dict[str, str]:
            return {"Authorization": f"Bearer {api.tokens.get(token, token)}"}

        service = Service("peer", "PEER_KEY", "PEER_URL")
        base = f"{api.centre.runtime.address}/chatkit"
        clock = SystemClock()
        self.http = ServiceHttp(lambda: api.session, service, base, clock, headers=credential, at_once=200)
        self.server, self.api = ChatKitServer(self.http), api

    async def all(self, events: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
        """Every event of a stream, each of which the SDK's types accept."""
        return [checked(event) async for event in events]

    async def begin(self, text: str) -> tuple[str, list[dict[str, Any]]]:
        """Say something in a new thread; the thread and all events."""
        events = await self.all(self.server.begin(text))
        return events[0]["thread"]["id"], events


def checked(event: dict[str, Any]) -> dict[str, Any]:
    """An event that the SDK accepts, its widgets to the letter."""
    EVENT.validate_python(event)
    item = event.get("item", {})
    if item.get("type") == "widget":
        WIDGET.validate_python(item["widget"], strict=False)
    return event


def words(events: list[dict[str, Any]]) -> str:
    """All that the widgets among the events say."""
    items = [event["item"] for event in events if event["type"] in ("thread.item.done", "thread.item.replaced")]
    return "\n".join(item["copy_text"] for item in items if item["type"] == "widget")


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event.get("item", {}).get("type") == kind]


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(database_urls, tmp_path) as opened:
        yield opened


async def linked(api: Api, token: str, name: str) -> None:
    """Make a token's account an operator's."""
    row = await api.centre.row("SELECT id FROM vtoc.api_tokens WHERE name = $1", token)
    await api.centre.runtime.operators.own(name, "chatkit", "own", f"token:{row['id']}", Level.LEAD)


async def test_what_is_said_is_streamed_and_answered_as_a_widget(api: Api) -> None:
    chat = Chat(api, "operator")
    thread, events = await chat.begin("/whoami")
    kinds = [event["type"] for event in events]
    assert kinds[:3] == ["thread.created", "thread.item.done", "stream_options"]
    assert events[2]["stream_options"] == {"allow_cancel": False}
    assert "Who you are" in words(events)
    assert "token operator" in words(events)
    found = await chat.server.thread(thread)
    Thread.model_validate(found)
    assert [item["type"] for item in found["items"]["data"]] == ["user_message", "widget"]
    assert found["title"] == "/whoami"


async def test_items_are_given_back_letter_by_letter(api: Api) -> None:
    chat = Chat(api, "operator")
    text = '/log \\u0041 \u2028 ünï <b> "quoted" 1.0e2'
    thread, events = await chat.begin(text)
    said = next(event["item"] for event in of_type(events, "user_message"))
    kept = (await chat.server.items(thread))["data"][0]
    assert kept == said
    assert kept["content"][0]["text"] == text
    row = await api.centre.row("SELECT body::text AS body FROM vtoc_engine.thread_items ORDER BY place LIMIT 1")
    ITEM.validate_json(row["body"])
    assert said["created_at"] in row["body"]


async def test_a_stream_that_is_left_is_joined_again_from_the_run(api: Api) -> None:
    chat = Chat(api, "operator")
    events: list[dict[str, Any]] = []
    async with aclosing(chat.server.begin("/playbook waiting")) as stream:
        async for event in stream:
            events.append(checked(event))
            if event["type"] == "thread.item.added":
                break  # the client reloads in the middle
    thread = events[0]["thread"]["id"]
    assert events[-1]["item"]["type"] == "workflow"
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'ready'", 1)
    loaded = await chat.server.thread(thread)
    run = await api.centre.row("SELECT id, state, cancel_by FROM vtoc_engine.runs")
    assert run["cancel_by"] is None, "leaving a stream cancelled the run"
    last = loaded["items"]["data"][-1]["id"]
    follow = chat.server.act(thread, "vtoc.follow", {"run_id": str(run["id"]), "after": last})
    joined = asyncio.create_task(chat.all(follow))
    await _streams(api, 1)
    api.centre.plugin.gate.set()
    again = await asyncio.wait_for(joined, 20)
    assert "Done" in words(again)
    whole = ITEMS.validate_python(await chat.server.items(thread))
    assert [item.type for item in whole.data].count("widget") == 1
    assert api.centre.plugin.calls.count("waiting") == 1


async def test_progress_is_a_workflow_whose_tasks_are_updated(api: Api) -> None:
    chat = Chat(api, "operator")
    stream = asyncio.create_task(chat.all(chat.server.begin("/playbook waiting")))

    async def told() -> bool:
        sql = "SELECT count(*) AS n FROM vtoc_engine.thread_items WHERE body->>'type' = 'workflow'"
        return bool((await api.centre.row(sql))["n"])

    await until(told, 20, lambda: "no progress")
    api.centre.plugin.gate.set()
    events = await asyncio.wait_for(stream, 20)
    (added,) = [event for event in events if event["type"] == "thread.item.added"]
    done = [event for event in of_type(events, "workflow") if event["type"] == "thread.item.done"]
    assert added["item"]["id"] == done[-1]["item"]["id"]
    titles = [task["title"] for task in done[-1]["item"]["workflow"]["tasks"]]
    assert titles == ["✓ done: One", "✓ done: Two"], await api.centre.row(
        "SELECT state, revision, sent_revision, error, card FROM vtoc_engine.outbox WHERE kind = 'progress'"
    )


async def test_a_run_is_cancelled_by_an_explicit_action_alone(api: Api) -> None:
    chat = Chat(api, "operator")
    async with aclosing(chat.server.begin("/playbook waiting")) as stream:
        created = await anext(stream)
    thread = created["thread"]["id"]
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'ready'", 1)
    acting = asyncio.create_task(chat.all(chat.server.act(thread, "vtoc.cancel")))
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE cancel_by IS NOT NULL", 1)
    api.centre.plugin.gate.set()
    events = await asyncio.wait_for(acting, 20)
    assert "cancelled" in words(events).lower()
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'cancelled'", 1)


async def test_an_approval_is_a_structured_input_that_core_decides(api: Api) -> None:
    await linked(api, "operator", "Ada")
    await linked(api, "lead", "Bob")
    conversation = await _shared_thread(api)
    ada, bob = Chat(api, "operator"), Chat(api, "lead")
    events = await ada.all(ada.server.say(conversation, "/playbook guarded"))
    (asked,) = of_type(events, "structured_input")
    question = asked["item"]["inputs"][0]
    assert [option["value"] for option in question["options"]] == ["Approve", "Deny"]
    mine = await ada.all(ada.server.submit(conversation, asked["item"]["id"], {question["id"]: ["Approve"]}))
    assert "somebody else must decide" in words(mine)
    assert of_type(mine, "structured_input")[-1]["item"]["status"] == "pending", "it is no longer asked"
    theirs = await bob.all(bob.server.submit(conversation, asked["item"]["id"], {question["id"]: ["Approve"]}))
    assert of_type(theirs, "structured_input")[-1]["item"]["status"] == "answered"
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)
    with pytest.raises(Declined, match="not pending"):
        await bob.all(bob.server.submit(conversation, asked["item"]["id"], {question["id"]: ["Deny"]}))


async def _streams(api: Api, count: int) -> None:
    """Wait until so many streams are open."""

    async def open_streams() -> bool:
        transport = next(t for spec, t in api.centre.runtime.host._open if spec.name == "chatkit")
        return len(transport._endpoint.watch.watchers) == count

    await until(open_streams, 20, lambda: "they never all opened")


async def _shared_thread(api: Api) -> str:
    """A thread that everybody at the station sees: that of an alert."""
    from vtoc_bots import Card, new_id

    await api.centre.runtime.notices.send_to("chatkit:own:toc-s1", Card.of("Smoke", "seen"), "smoke", new_id())
    found: list[str] = []

    async def there() -> bool:
        page = await Chat(api, "lead").server.threads()
        found[:] = [thread["id"] for thread in page["data"] if thread["title"] == "Smoke"]
        return bool(found)

    await until(there, 20, lambda: "no thread")
    return found[0]


async def test_a_token_that_is_nobodys_decides_nothing(api: Api) -> None:
    chat = Chat(api, "lead")
    thread, events = await chat.begin("/playbook guarded")
    (asked,) = of_type(events, "structured_input")
    refused = await chat.all(chat.server.submit(thread, asked["item"]["id"], {"choice": ["Approve"]}))
    assert "only an operator can decide" in words(refused) or "somebody else" in words(refused)
    assert await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.votes") == {"n": 0}


async def test_a_missing_value_is_a_structured_input_too(api: Api) -> None:
    chat = Chat(api, "operator")
    thread, events = await chat.begin("/playbook")
    asked = of_type(events, "structured_input")[-1]["item"]
    answer = await chat.all(chat.server.submit(thread, asked["id"], {asked["inputs"][0]["id"]: ["count"]}))
    assert "Counted salt" in words(answer)
    kept = [item for item in (await chat.server.items(thread))["data"] if item["id"] == asked["id"]]
    assert kept[0]["status"] == "answered"


async def test_a_widgets_button_is_an_action_and_a_page_is_replaced(api: Api) -> None:
    chat = Chat(api, "operator")
    thread, events = await chat.begin("/count 1")
    item = of_type(events, "widget")[-1]["item"]
    row = next(child for child in item["widget"]["children"] if child["type"] == "Row")
    action = row["children"][0]["onClickAction"]
    pressed = await chat.all(chat.server.act(thread, action["type"], action["payload"], item["id"]))
    (replaced,) = [event for event in pressed if event["type"] == "thread.item.replaced"]
    assert replaced["item"]["id"] == item["id"]
    assert "2 km" in words(pressed)


async def test_an_action_gives_a_command(api: Api) -> None:
    chat = Chat(api, "operator")
    thread, _ = await chat.begin("/whoami")
    events = await chat.all(chat.server.act(thread, "vtoc.command", {"command": "status"}))
    assert "active runs" in words(events)
    unknown = await chat.all(chat.server.act(thread, "vtoc.explode"))
    assert unknown[-1]["type"] == "error"


async def test_rights_are_those_of_the_credential(api: Api) -> None:
    observer = Chat(api, "observer")
    _, events = await observer.begin("/playbook count")
    assert "Not allowed" in words(events)
    assert await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.runs") == {"n": 0}


async def test_threads_are_their_owners_and_their_stations(api: Api) -> None:
    mine, other = Chat(api, "operator"), Chat(api, "other")
    thread, events = await mine.begin("/whoami")
    item = of_type(events, "widget")[-1]["item"]["id"]
    for stranger in (Chat(api, "lead"), other):
        assert thread not in [each["id"] for each in (await stranger.server.threads())["data"]]
        asks = (
            stranger.server.thread(thread),
            stranger.server.items(thread),
            stranger.server.ask("threads.delete", thread_id=thread),
            stranger.server.ask("threads.update", thread_id=thread, title="mine"),
            stranger.all(stranger.server.say(thread, "/whoami")),
            stranger.all(stranger.server.act(thread, "vtoc.follow")),
            stranger.all(stranger.server.submit(thread, item, {"choice": ["Approve"]})),
        )
        for ask in asks:
            with pytest.raises(Declined) as caught:
                await ask
            assert caught.value.status == 404
    shared = await _shared_thread(api)
    assert shared not in [each["id"] for each in (await other.server.threads())["data"]]
    await mine.server.ask("threads.delete", thread_id=thread)
    with pytest.raises(Declined):
        await mine.server.thread(thread)


@pytest.mark.parametrize(
    ("status", "token", "body"),
    [
        (401, None, b'{"type": "threads.list", "params": {}}'),
        (401, "vtoc_wrong", b'{"type": "threads.list", "params": {}}'),
        (400, "operator", b"{"),
        (400, "operator", b'{"type": "threads.explode"}'),
        (400, "operator", b"\xff"),
        (404, "operator", b'{"type": "threads.get_by_id", "params": {"thread_id": "thr_no"}}'),
        (501, "operator", b'{"type": "input.transcribe", "params": {"audio_base64": "", "mime_type": "audio/ogg"}}'),
        (413, "operator", b" " * (2**20 + 1)),
    ],
)
async def test_what_is_no_request_is_refused(api: Api, status: int, token: str | None, body: bytes) -> None:
    import io

    headers = {"Authorization": f"Bearer {api.tokens.get(token, token)}"} if token else {}
    url = f"{api.centre.runtime.address}/chatkit"
    async with api.session.post(url, data=io.BytesIO(body), headers=headers) as answer:
        assert answer.status == status, await answer.text()
        assert answer.content_type == "application/problem+json"
        if status == 401:
            assert "WWW-Authenticate" in answer.headers


async def test_another_stations_header_is_refused(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.tokens['operator']}", "X-Station-Slug": "toc-s2"}
    url = f"{api.centre.runtime.address}/chatkit"
    async with api.session.post(url, json={"type": "threads.list", "params": {}}, headers=headers) as answer:
        assert answer.status == 403


async def test_a_hundred_streams_hold_no_worker(api: Api) -> None:
    await linked(api, "operator", "Ada")
    chat = Chat(api, "operator")
    thread, _ = await chat.begin("/playbook guarded")
    run = await api.centre.row("SELECT id FROM vtoc_engine.runs")
    follows = [
        asyncio.create_task(chat.all(chat.server.act(thread, "vtoc.follow", {"run_id": str(run["id"])})))
        for _ in range(100)
    ]
    await _streams(api, 100)
    assert await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.runs WHERE holder IS NOT NULL") == {"n": 0}
    assert await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox WHERE state = 'new'") == {"n": 0}
    _, events = await asyncio.wait_for(Chat(api, "lead").begin("/whoami"), 10)
    assert "Who you are" in words(events)
    await chat.all(chat.server.act(thread, "vtoc.cancel"))
    ended = await asyncio.wait_for(asyncio.gather(*follows), 30)
    assert all("cancelled" in words(events).lower() for events in ended)


async def test_a_stream_ends_with_its_token(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "STILL_SECONDS", 0.1)
    monkeypatch.setattr(endpoint, "QUIET_SECONDS", 1.0)
    token = await api.make_token("short lived", "toc-s1", Level.OPERATOR)
    chat = Chat(api, token)
    following = asyncio.create_task(chat.all(chat.server.begin("/playbook waiting")))
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs", 1)
    await _streams(api, 1)
    await api.revoke("short lived")
    with pytest.raises(Uncertain):
        await asyncio.wait_for(following, 20)
    run = await api.centre.row("SELECT state, cancel_by FROM vtoc_engine.runs")
    assert run == {"state": "ready", "cancel_by": None}
    api.centre.plugin.gate.set()
