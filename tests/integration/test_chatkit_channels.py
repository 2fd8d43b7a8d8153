"""A ChatKit organisation's channels: a webhook becomes a command, and its answer stands in the thread."""

from __future__ import annotations

import asyncio
import gzip
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.chatkit_kit import Channels, open_channels
from tests.platform_kit import until
from tests.stands.chatkit import SECRET
from vtoc_bots import Card, File, new_id
from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature_of


@pytest_asyncio.fixture
async def channels(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Channels]:
    async with open_channels(database_urls, tmp_path, VTOC_PUBLIC_URL="https://bots.example") as opened:
        await opened.operator("ada")
        opened.stand.org.thread("toc-s1", "T1")
        yield opened


OTHER = "INSERT INTO ops.missions (station_id, code, name, status) VALUES ($1, 'M-2', 'Another', 'in_progress')"


async def inbox(channels: Channels) -> list[Any]:
    rows = await channels.centre.runtime.store.fetch("SELECT id, body FROM vtoc_engine.inbox ORDER BY seq")
    return [dict(row) for row in rows]


async def log(channels: Channels, schema: str = "ops") -> list[tuple[str, str, str]]:
    """(station, author, entry) of the mission logs of a role's stations."""
    found = []
    for station in await channels.centre.runtime.people.stations():
        if station.role == schema:
            async with channels.centre.runtime.store.session(station) as session:
                rows = await session.fetch(f"SELECT author, entry FROM {schema}.mission_logs ORDER BY created_at, id")
            found += [(station.slug, row["author"], row["entry"]) for row in rows]
    return found


async def at_station(channels: Channels, sql: str, *arguments: Any) -> Any:
    """The one row that a statement of TOC-S1 gives, None where it gives none."""
    async with channels.centre.runtime.store.session(await channels.api.station("toc-s1")) as session:
        row = await session.fetchrow(sql, *arguments)
        return None if row is None else dict(row)


async def test_a_command_is_answered_in_its_thread_with_the_correlation_id(channels: Channels) -> None:
    assert await channels.event("/whoami", thread_id="T1") == 202
    posted = await channels.posted("Who you are", thread="T1")
    (row,) = await inbox(channels)
    assert short_id(row["id"]) in posted.body["text"]
    assert posted.body["client_id"] == f"vtoc:message:{row['id']}:reply"
    assert posted.body["card"]["title"] == "Who you are"


async def test_a_mention_of_the_agent_starts_a_playbook_wherever_it_stands(channels: Channels) -> None:
    assert await channels.event("please, @Agent count what=pepper", thread_id="T1") == 202
    await channels.posted("Counted pepper", thread="T1")
    assert await log(channels) == []


async def test_a_text_without_a_thread_is_answered_in_the_channels_own_thread_each_time(channels: Channels) -> None:
    await channels.event("/whoami")
    first = await channels.posted("Who you are")
    await channels.event("/status")
    second = await channels.posted("active runs")
    thread = channels.stand.org.threads[first.thread]
    assert (second.thread, thread.channel, thread.title) == (thread.id, "toc-s1", "TOC-S1")
    await channels.event("/health", thread_id=thread.id)
    await channels.posted("Health", thread=thread.id)
    conversations = await channels.centre.row("SELECT count(DISTINCT conversation) AS n FROM vtoc_engine.inbox")
    assert conversations == {"n": 1}


async def test_a_missing_value_is_asked_for_and_answered_by_the_next_text(channels: Channels) -> None:
    await channels.event("/playbook", thread_id="T1")
    await channels.posted("/playbook", thread="T1")
    await channels.event("count", thread_id="T1")
    await channels.posted("Counted salt", thread="T1")
    assert await log(channels) == []


async def test_other_texts_go_to_the_stations_mission_log_once(channels: Channels) -> None:
    body = orjson.dumps({"id": "x1", "type": "message.created", "channel": "toc-s2", "text": "all quiet"})
    assert await channels.stand.post(body) == 202
    assert await channels.stand.post(body) == 202
    await channels.event("wind from the west", user="u-stranger")
    await channels.handled()
    assert await log(channels) == [("toc-s1", "Stranger", "wind from the west"), ("toc-s2", "webhook", "all quiet")]
    assert channels.stand.org.posts == []


async def test_a_text_in_a_missions_thread_is_logged_to_that_mission(channels: Channels) -> None:
    station = await channels.api.station("toc-s1")
    sql = "INSERT INTO ops.missions (station_id, code, name, chatkit_thread_id) VALUES ($1, 'M-12', 'Search', 'T1')"
    await at_station(channels, sql, station.id)
    await channels.event("boat seen", thread_id="T1")
    await channels.handled()
    found = await at_station(
        channels,
        "SELECT m.code, l.entry, l.channel_slug FROM ops.mission_logs l JOIN ops.missions m ON m.id = l.mission_id",
    )
    assert found == {"code": "M-12", "entry": "boat seen", "channel_slug": "toc-s1"}


async def test_a_channel_is_its_stations_whatever_its_spelling_and_role(channels: Channels) -> None:
    await channels.event("in the intel channel", channel="TOC_I1")
    await channels.event("in a free channel", channel="lounge", station="TOC-I1")
    await channels.handled()
    assert {row[0] for row in await log(channels, "intel")} == {"toc-i1"}
    assert len(await log(channels, "intel")) == 2


async def test_in_the_thread_of_a_run_every_text_is_a_command(channels: Channels) -> None:
    await channels.event("@agent waiting", thread_id="T1")
    await channels.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'ready'", 1)
    await channels.event("status", thread_id="T1")
    await channels.posted("active runs", thread="T1")
    channels.centre.plugin.gate.set()
    await channels.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)
    await channels.event("status", thread_id="T1")
    await channels.handled()
    assert [entry for _, _, entry in await log(channels)] == ["status"]


async def test_an_approval_is_decided_by_its_buttons_and_shown_decided(channels: Channels) -> None:
    await channels.operator("bob")
    await channels.event("@agent guarded", thread_id="T1")
    asked = await channels.posted("guarded", thread="T1")
    (row,) = [block for block in asked.body["card"]["blocks"] if block["type"] == "buttons"]
    token = next(button["token"] for button in row["buttons"] if button["label"] == "Approve")
    action = {"id": "press", "value": token}
    assert await channels.event(None, user="u-bob", type="action.invoked", thread_id="T1", action=action) == 202
    await channels.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)

    await channels.centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE state IN ('due', 'unknown')", 0)
    assert asked.edits >= 1
    assert not [block for block in asked.body["card"]["blocks"] if block["type"] == "buttons"]


async def test_a_notice_opens_a_thread_of_its_own(channels: Channels) -> None:
    notices = channels.centre.runtime.notices
    for _ in range(2):
        await notices.send_to("chatkit:org-7:toc-s1", Card.of("Fuel is low", "Tank 2"), "fuel", new_id())
    posted = await channels.posted("Tank 2")
    thread = channels.stand.org.threads[posted.thread]
    assert (thread.kind, thread.title, len(thread.messages)) == ("alert", "Fuel is low", 1)


async def test_a_mission_gets_one_thread_and_is_told_which(channels: Channels) -> None:
    station = await channels.api.station("toc-s1")
    sql = "INSERT INTO ops.missions (station_id, code, name) VALUES ($1, 'M-7', 'Old one')"
    await at_station(channels, sql, station.id)
    for key in ("one", "two"):
        card = Card.of("Search area", key)
        await channels.centre.runtime.notices.send_to("chatkit:org-7:toc-s1:mission%3AM-7", card, key, new_id())
    first, second = await channels.posted("one"), await channels.posted("two")
    assert first.thread == second.thread
    assert channels.stand.org.threads[first.thread].kind == "mission"
    await channels.handled()
    assert await at_station(channels, "SELECT chatkit_thread_id FROM ops.missions") == {
        "chatkit_thread_id": first.thread
    }
    await channels.event("/whoami", thread_id=first.thread)
    await channels.posted("Who you are", thread=first.thread)


async def test_an_opened_mission_has_one_thread_in_which_what_is_said_is_logged_to_it(channels: Channels) -> None:
    await channels.event("/mission open Search for Kittiwake", thread_id="T1")
    card = await channels.posted("Opened by ada")
    thread = channels.stand.org.threads[card.thread]
    assert (thread.kind, thread.title) == ("mission", "M-1: Search for Kittiwake")
    await channels.handled()
    assert await at_station(channels, "SELECT code, chatkit_thread_id FROM ops.missions") == {
        "code": "M-1",
        "chatkit_thread_id": card.thread,
    }
    await at_station(channels, OTHER, (await channels.api.station("toc-s1")).id)  # so that which is meant is no guess
    await channels.event("Casualty sighted", thread_id=card.thread)
    await channels.event("/log Winchman down", thread_id=card.thread)
    await channels.posted("Logged to M-1 Search for Kittiwake", thread=card.thread)
    await channels.event("/mission show 1", thread_id=card.thread)
    shown = await channels.posted("Winchman down", "Casualty sighted", card.thread, thread=card.thread)
    assert "in progress" in shown.body["text"]
    await channels.event("/mission close M-1 All safe", thread_id="T1")
    await channels.posted("Closed by ada", "All safe", thread=card.thread)
    assert [each.kind for each in channels.stand.org.threads.values()].count("mission") <= 2, "T1 and the mission's"


async def test_an_alert_has_a_thread_of_its_own_and_is_acknowledged_in_it(channels: Channels) -> None:
    station = await channels.api.station("toc-s1")
    for _ in range(2):
        await channels.centre.runtime.services.alert(station, Card.of("Mayday", "On channel 16"), "mayday")
    posted = await channels.posted("On channel 16")
    thread = channels.stand.org.threads[posted.thread]
    assert (thread.kind, thread.title, len(thread.messages)) == ("alert", "Mayday", 1)
    (row,) = [block for block in posted.body["card"]["blocks"] if block["type"] == "buttons"]
    action = {"id": "press", "value": row["buttons"][0]["token"]}
    await channels.event(None, type="action.invoked", thread_id=posted.thread, action=action)
    await channels.posted("Acknowledged: Mayday", thread=posted.thread)
    await channels.centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE state IN ('due', 'unknown')", 0)
    assert "Acknowledged by ada" in posted.body["text"]


async def test_a_mission_that_has_a_thread_there_already_gets_no_other(channels: Channels) -> None:
    station = await channels.api.station("toc-s1")
    channels.stand.org.thread("toc-s1", "T-old")
    sql = "INSERT INTO ops.missions (station_id, code, name, chatkit_thread_id) VALUES ($1, 'M-8', 'Theirs', 'T-old')"
    await at_station(channels, sql, station.id)
    for key in ("one", "two"):
        card = Card.of("Search area", key)
        await channels.centre.runtime.notices.send_to("chatkit:org-7:toc-s1:mission%3AM-8", card, key, new_id())
        assert (await channels.posted(key)).thread == "T-old"
    await channels.event("/whoami", thread_id="T-old")
    await channels.posted("Who you are", thread="T-old")
    assert [each.kind for each in channels.stand.org.threads.values() if each.title.startswith("M-8")] == []


async def test_every_station_has_a_channel_of_its_name(channels: Channels) -> None:
    async def there() -> bool:
        return len(channels.stand.org.channels) == 3

    await until(there, 20, lambda: str(channels.stand.org.channels))
    assert channels.stand.org.channels == {"toc-s1": "TOC-S1", "toc-s2": "TOC-S2", "toc-i1": "TOC-I1"}


GOOD = b'{"id": "g1", "type": "message.created", "channel": "TOC-S1", "text": "/status"}'


BAD: list[tuple[int, bytes, dict[str, str]]] = [
    (401, GOOD, {SIGNATURE_HEADER: "0" * 64}),
    (401, GOOD, {SIGNATURE_HEADER: signature_of("another", GOOD)}),
    (401, GOOD, {SIGNATURE_HEADER: signature_of(SECRET, GOOD).upper()}),
    (401, GOOD, {SIGNATURE_HEADER: "ü"}),
    (401, GOOD, {}),
    (401, GOOD, {"stamp": "-400"}),
    (401, GOOD, {"stamp": "+400"}),
    (401, b"\xff", {SIGNATURE_HEADER: "0" * 64}),
    (400, b"", {}),
    (400, b"{", {"stamp": "0"}),
    (400, b"[1]", {"stamp": "0"}),
    (400, b"\xff\xfe{}", {"stamp": "0"}),
    (400, "{'text': 'ü'}".encode("latin-1"), {"stamp": "0"}),
    (400, GOOD, {"stamp": "0", "Content-Type": "application/json; charset=utf-16"}),
    (400, GOOD, {"stamp": "0", "Content-Type": "application/json; charset=latin-1"}),
    (400, b"[" * 100_000, {"stamp": "0"}),
    (400, b'{"channel": "TOC-S1"}', {"stamp": "0"}),
    (400, b'{"channel": 7, "text": "x"}', {"stamp": "0"}),
    (400, b'{"text": "x"}', {"stamp": "0"}),
    (400, b'{"id": "a", "type": "action.invoked", "channel": "TOC-S1"}', {"stamp": "0"}),
    (400, b'{"id": "a", "type": "message.created", "channel": "TOC-S1", "text": "x", "user": 3}', {"stamp": "0"}),
    (400, b'{"id": {}, "type": "message.created", "channel": "TOC-S1", "text": "x"}', {"stamp": "0"}),
    (413, b'{"text": "' + b"x" * 2**20 + b'"}', {"stamp": "0"}),
    (202, b'{"id": "b", "type": "thread.renamed", "channel": "TOC-S1"}', {"stamp": "0"}),
    (401, gzip.compress(GOOD)[:-9], {"stamp": "0", "Content-Encoding": "gzip"}),
]


async def test_what_is_no_event_of_ours_leaves_nothing(channels: Channels) -> None:
    answered = []
    for _, body, headers in BAD:
        signed = dict(headers)
        stamp = signed.pop("stamp", None)
        if stamp is not None:
            at = str(int(time.time()) + int(stamp))
            signed |= {SIGNATURE_HEADER: signature_of(SECRET, body, at), TIMESTAMP_HEADER: at}
        elif body == b"":
            signed[SIGNATURE_HEADER] = signature_of(SECRET, body)
        answered.append(await _post(channels, body, signed))
    assert answered == [status for status, _, _ in BAD]
    assert await inbox(channels) == []


async def _post(channels: Channels, body: bytes, headers: dict[str, str]) -> int:
    url = f"{channels.centre.runtime.address}/api/v1/chatkit/webhook"
    everything = {"Content-Type": "application/json", **headers}
    async with channels.api.session.post(url, data=io.BytesIO(body), headers=everything) as answer:
        text = await answer.text()
        assert answer.status < 500, text
        return answer.status


async def test_the_bare_form_works_and_is_known_again_within_the_minute(channels: Channels) -> None:
    body = b'{"channel": "TOC-S1", "text": "radio check"}'
    stamp = str(int(time.time()))
    headers = {SIGNATURE_HEADER: signature_of(SECRET, body, stamp), TIMESTAMP_HEADER: stamp}
    assert [await _post(channels, body, headers) for _ in range(2)] == [202, 202]
    await channels.handled()
    assert await log(channels) == [("toc-s1", "webhook", "radio check")]


async def test_an_event_that_was_changed_keeps_its_signature_for_nothing(channels: Channels) -> None:
    headers = {SIGNATURE_HEADER: signature_of(SECRET, GOOD)}
    assert await _post(channels, GOOD, headers) == 202
    assert await _post(channels, GOOD, headers) == 202
    assert await _post(channels, GOOD.replace(b"status", b"health"), headers) == 401
    assert len(await inbox(channels)) == 1


async def test_what_can_not_be_stored_is_asked_for_again(channels: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(message: Any) -> bool:
        raise TransientError("the database is away", after_seconds=3)

    with monkeypatch.context() as patched:
        patched.setattr(channels.centre.runtime.inbox_rows, "accept", away)
        url = f"{channels.centre.runtime.address}/api/v1/chatkit/webhook"
        headers = {SIGNATURE_HEADER: signature_of(SECRET, GOOD), "Content-Type": "application/json"}
        async with channels.api.session.post(url, data=GOOD, headers=headers) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
    assert await _post(channels, GOOD, headers) == 202


async def test_it_is_on_disk_before_it_is_acknowledged(channels: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = channels.centre.runtime.inbox_rows
    accept, gate, stored = rows.accept, asyncio.Event(), asyncio.Event()

    async def slow(message: Any) -> bool:
        done = await accept(message)
        stored.set()
        await gate.wait()
        return done

    monkeypatch.setattr(rows, "accept", slow)
    headers = {SIGNATURE_HEADER: signature_of(SECRET, GOOD)}
    posting = asyncio.create_task(_post(channels, GOOD, headers))
    await stored.wait()
    assert len(await inbox(channels)) == 1
    assert not posting.done()
    gate.set()
    assert await posting == 202


async def test_one_trace_runs_from_the_webhook_to_the_post(channels: Channels) -> None:
    given = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = orjson.dumps(
        {"id": "t1", "type": "message.created", "channel": "TOC-S1", "user": {"id": "u-ada"}, "text": "/status"}
    )
    headers = {SIGNATURE_HEADER: signature_of(SECRET, body), "traceparent": f"00-{given}-00f067aa0ba902b7-01"}
    assert await _post(channels, body, headers) == 202
    await channels.posted("active runs")
    assert [found.split("-")[1] for found in channels.stand.org.traces] == [given]


async def test_what_begins_at_the_webhook_is_one_trace_to_the_runs_result(
    channels: Channels, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    await channels.event("@agent count what=cloves", thread_id="T1")
    await channels.posted("Counted cloves")
    await channels.centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE state IN ('due', 'unknown')", 0)

    def together() -> set[str]:
        spans = exporter.get_finished_spans()
        first = next(found for found in spans if found.name == "accept")
        assert first.context is not None
        return {each.name for each in spans if each.context and each.context.trace_id == first.context.trace_id}

    async def whole() -> bool:
        return {"accept", "chat", "run", "step", "reply", "chatkit post"} <= together()

    await until(whole, 20, lambda: str(together()))
    provider.shutdown()


async def test_no_line_of_the_log_is_lost_however_many_come_and_a_strangers_commands_are(channels: Channels) -> None:
    for number in range(60):
        assert await channels.event(f"line {number}", user="u-eve") == 202
    for _ in range(60):
        assert await channels.event("/status", user="u-eve") == 202
    await channels.handled()
    assert [entry for _, _, entry in await log(channels)] == [f"line {number}" for number in range(60)]
    assert len(await inbox(channels)) < 120, "a stranger's commands are all handled"


async def test_a_large_file_is_a_signed_link_and_a_small_one_is_sent(channels: Channels) -> None:
    runtime = channels.centre.runtime
    sizes = {"small.txt": 9, "large.txt": 1_000_001}
    blobs = {name: await runtime.blobs.put(bytes(size), "text/plain") for name, size in sizes.items()}
    files = [File(blob=blobs[name], name=name, content_type="text/plain", size=size) for name, size in sizes.items()]
    await runtime.notices.send_to("chatkit:org-7:toc-s1", Card.of("Files", *files), "files", new_id())
    small, large = (await channels.posted("Files")).body["attachments"]
    assert (small["name"], small["size"], "data" in small) == ("small.txt", 9, True)
    assert (large["name"], "data" in large) == ("large.txt", False)
    assert large["url"].startswith(f"https://bots.example/files/{blobs['large.txt']}/large.txt?")


async def test_after_a_fault_it_posts_as_before(channels: Channels) -> None:
    await channels.operator("ada")
    assert await channels.event("/whoami") == 202
    await channels.posted("Who you are")
    runtime = channels.centre.runtime
    transport = next(transport for spec, transport in runtime.host._open if spec.name == "chatkit")
    task = next(task for task in asyncio.all_tasks() if task.get_name() == "transport.chatkit")
    channels.stand.org.posts.clear()
    inbox = transport._inbox
    task.cancel()  # as the supervisor does with a run that failed, it is begun anew
    await asyncio.gather(task, return_exceptions=True)
    runtime.parts.forever("transport.chatkit", lambda: transport.run(inbox))

    async def takes() -> bool:
        return await channels.event("/whoami") == 202

    await until(takes, 20, lambda: "it takes nothing")
    await channels.posted("Who you are")
