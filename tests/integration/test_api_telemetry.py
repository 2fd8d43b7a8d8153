"""Telemetry through the API: sources, events pushed once, pages and filters, other stations' rows out of reach."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from tests.api_kit import Api, open_api
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web import pushing
from vtoc_bots.core.web.batches import AT_ONCE

AT = "2026-05-01T12:00:0{}Z"


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(database_urls, tmp_path) as opened:
        yield opened


async def radar(api: Api, token: str = "operator", **more: Any) -> Any:
    said = await api.post("/telemetry/sources", {"name": "Radar", "slug": "radar", **more}, token=token)
    assert said.status == 201, said
    return said.body


async def test_a_source_is_made_shown_changed_and_removed(api: Api) -> None:
    made = await radar(api, configuration={"site": "north"})
    path = f"/telemetry/sources/{made['id']}"
    assert (await api.post("/telemetry/sources", {"name": "R", "slug": "radar"})).status == 409
    assert (await api.post("/telemetry/sources", {"name": "Mast: Süd 2"})).body["slug"] == "mast-s-d-2"
    said = await api.call("PATCH", path, json={"name": "Mast", "is_active": False, "slug": None})
    assert (said.body["name"], said.body["slug"], said.body["is_active"]) == ("Mast", "radar", False)
    assert said.body["configuration"] == {"site": "north"}
    assert (await api.call("PATCH", path, json={"slug": "mast-s-d-2"})).status == 409
    assert (await api.get(path)).body == said.body
    assert [row["slug"] for row in (await api.get("/telemetry/sources")).body] == ["mast-s-d-2", "radar"]
    assert (await api.call("DELETE", path)).status == 403
    assert (await api.call("DELETE", path, token="lead")).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        assert (await api.call(method, path, token="lead", **({"json": {}} if method == "PATCH" else {}))).status == 404
    actions = await api.centre.runtime.store.fetch("SELECT event FROM vtoc_engine.audit WHERE event LIKE 'api.%'")
    assert {"api.create_source", "api.change_source", "api.remove_source"} <= {row["event"] for row in actions}


async def test_an_event_is_taken_for_a_source_by_id_slug_or_made_by_name(api: Api) -> None:
    source = await radar(api)
    place = {"latitude": 48.5, "longitude": 2.25, "entity_id": "A1B2", "entity_namespace": "icao", "altitude": 1000}
    said = await api.post("/telemetry/events", {"source_id": source["id"], "event_time": AT.format(1), **place})
    assert said.status == 201
    assert (said.body["source"]["slug"], said.body["entity_id"], said.body["event_time"]) == (
        "radar", "a1b2", "2026-05-01T12:00:01Z",
    )  # fmt: skip
    assert (await api.post("/telemetry/events", {"source_slug": "radar", "payload": {"x": [1]}})).body["payload"] == {
        "x": [1]
    }
    made = await api.post("/telemetry/events", {"source_slug": "gps", "source_name": "GPS", "raw_data": "$GP"})
    assert (made.body["source"]["source_type"], made.body["entity_namespace"]) == ("external", "source")
    for body, status in (
        ({"source_slug": "unknown"}, 400),
        ({}, 400),
        ({"source_id": str(uuid4())}, 404),
        ({"source_slug": "radar", "latitude": 1}, 400),
        ({"source_slug": "radar", "latitude": 91, "longitude": 0}, 400),
        ({"source_slug": "radar", "event_time": "1777636800"}, 400),
        ([], 400),
        ("x", 400),
        ([{"source_slug": "radar"}] * 5001, 400),
    ):
        assert (await api.post("/telemetry/events", body)).status == status, body
    latest = await api.centre.runtime.sources.latest(await api.station("toc-s1"))
    assert {event.entity_id for event in latest} == {"a1b2", "radar", "gps"}
    stamped = (await api.get(f"/telemetry/sources/{source['id']}")).body["last_ingested_at"]
    assert stamped is not None
    events, _ = await api.centre.runtime.sources.collect(
        await api.station("toc-s1"), types=("external",), window_seconds=3600
    )
    assert {event.source for event in events} == {"radar", "gps"}, "playbooks see what was pushed"


async def test_a_list_sent_again_under_its_key_is_taken_once(api: Api) -> None:
    await radar(api)
    events = [{"source_slug": "radar", "entity_id": f"e{n}"} for n in range(3)]
    key = {"Idempotency-Key": "batch-1"}
    said = await asyncio.gather(*(api.post("/telemetry/events", events, headers=key) for _ in range(6)))
    assert {each.status for each in said} == {201}
    assert len({tuple(each.body["ids"]) for each in said}) == 1
    assert len((await api.get("/telemetry/events")).body) == 3
    assert (await api.post("/telemetry/events", events[:1], headers=key)).status == 422
    assert (await api.post("/telemetry/events", events)).body["accepted"] == 3
    assert len((await api.get("/telemetry/events")).body) == 6


async def test_others_are_served_while_five_thousand_events_are_taken(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, since, most, sizes = pushing._pushed, [0], [0], []
    write = pushing.push_events

    def counted(*given: Any) -> Any:
        since[0] += 1
        most[0] = max(most[0], since[0])
        return made(*given)

    async def written(session: Any, source_id: Any, pushed: Any) -> int:
        sizes.append(len(pushed))
        return await write(session, source_id, pushed)

    monkeypatch.setattr(pushing, "_pushed", counted)
    monkeypatch.setattr(pushing, "push_events", written)
    others = 0

    async def turns() -> None:
        while True:
            await asyncio.sleep(0)
            since[0] = 0

    async def asks() -> None:
        nonlocal others
        while True:
            others += (await api.get("/stations")).status == 200

    events = [{"source_slug": "radar", "source_name": "R", "entity_id": f"E{n}", "speed": n} for n in range(5000)]
    tasks = [asyncio.create_task(turns()), asyncio.create_task(asks())]
    said = await api.post("/telemetry/events", events)
    for task in tasks:
        task.cancel()
    assert (said.status, said.body["accepted"], len(set(said.body["ids"]))) == (201, 5000, 5000)
    assert most[0] <= AT_ONCE
    assert sizes == [AT_ONCE] * (5000 // AT_ONCE)
    assert others >= 3
    too_many = await api.post("/telemetry/events", [*events, events[0]])
    assert (too_many.status, too_many.body["detail"]) == (400, "body: it has 5,001 items; 5,000 is the most")
    events[4321]["speed"] = -1
    wrong = await api.post("/telemetry/events", events)
    assert (wrong.status, wrong.body["errors"][0]["at"]) == (400, "4321.speed")


async def test_a_connector_pushes_an_event_a_list_or_lines(api: Api) -> None:
    source = await radar(api)
    lines = b"\n".join(orjson.dumps({"entity_id": f"n{n}", "event_time": AT.format(n)}) for n in range(4)) + b"\n\r\n"
    ndjson = {"Content-Type": "application/x-ndjson"}
    said = await api.call("POST", "/telemetry/ingest/radar", data=lines, headers=ndjson)
    assert (said.status, said.body["accepted"]) == (201, 4)
    packed = {**ndjson, "Content-Encoding": "gzip"}
    said = await api.call("POST", f"/telemetry/ingest/{source['id']}", data=gzip.compress(lines), headers=packed)
    assert (said.status, said.body["accepted"]) == (201, 4)
    assert (await api.post("/telemetry/ingest/radar", {"entity_id": "x"})).body["accepted"] == 1
    for path, data, headers, status, words in (
        ("radar", b'{"entity_id": "a"}\nnonsense', ndjson, 400, "line 2"),
        ("radar", b"", ndjson, 400, ""),
        ("radar", b"{}", {"Content-Type": "text/plain"}, 415, "application/json"),
        ("radar", "{}".encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}, 415, "UTF-8"),
        ("radar", b'{"entity_id": "\xff"}', {"Content-Type": "application/json"}, 400, "no JSON"),
        ("radar", b"no gzip", packed, 400, ""),
        ("sonar", b"{}", ndjson, 404, "no source sonar"),
        ("a%00b", b"{}", ndjson, 404, ""),
        ("radar", b"x" * 6 * 2**20, ndjson, 413, ""),
    ):
        said = await api.call("POST", f"/telemetry/ingest/{path}", data=data, headers=headers)
        assert (said.status, words in said.body["detail"]) == (status, True), said
    assert len((await api.get("/telemetry/events?limit=100")).body) == 9
    await api.call("PATCH", f"/telemetry/sources/{source['id']}", json={"is_active": False})
    assert (await api.post("/telemetry/ingest/radar", {})).status == 409


async def test_events_are_filtered_and_come_in_stable_pages(api: Api) -> None:
    await radar(api)
    places = [(10, 10), (10, 179), (10, -179), (-10, 10), (None, None)]
    events = [
        {
            "source_slug": "radar",
            "entity_id": f"e{n}",
            "event_time": AT.format(n // 2),
            "latitude": lat,
            "longitude": lon,
        }
        for n, (lat, lon) in enumerate(places)
    ]
    await api.post("/telemetry/events", events)
    await api.post("/telemetry/events", {"source_slug": "gps", "source_name": "GPS", "event_time": AT.format(9)})

    async def found(query: str) -> set[str]:
        said = await api.get(f"/telemetry/events?{query}")
        assert said.status == 200, said
        return {event["entity_id"] for event in said.body}

    assert await found("source=radar&bbox=0,0,20,20") == {"e0"}
    assert await found("bbox=170,-90,-170,90") == {"e1", "e2"}
    assert await found(f"since={AT.format(1)}&until={AT.format(2)}") == {"e2", "e3"}
    assert await found("source=gps&station=TOC_S1") == {"gps"}
    seen: list[str] = []
    query = "?limit=2"
    while True:
        said = await api.get(f"/telemetry/events{query}")
        seen += [event["id"] for event in said.body]
        if "X-Next-Cursor" not in said.headers:
            break
        # What comes meanwhile is newer than any page that is still to come.
        await api.post("/telemetry/events", {"source_slug": "radar", "event_time": "2026-06-01T00:00:00Z"})
        query = f"?limit=2&cursor={said.headers['X-Next-Cursor']}"
    assert len(seen) == len(set(seen)) == 6
    for bad, status in (
        ("bbox=1,2,3", 400),
        ("bbox=0,20,10,0", 400),
        ("bbox=0,0,999,10", 400),
        ("since=yesterday", 400),
        ("limit=1001", 400),
        ("source=nothing", 404),
        ("station=toc-s2", 403),
        ("source=%00", 400),
    ):
        assert (await api.get(f"/telemetry/events?{bad}")).status == status, bad


async def test_another_stations_rows_are_out_of_reach_whatever_is_named(api: Api) -> None:
    theirs = await radar(api, "other")
    event = (await api.post("/telemetry/events", {"source_slug": "radar"}, token="other")).body
    assert (await api.get("/telemetry/events")).body == []
    assert (await api.get(f"/telemetry/events?source={theirs['id']}")).status == 404
    assert (await api.get(f"/telemetry/sources/{theirs['id']}")).status == 404
    assert (await api.post(f"/telemetry/ingest/{theirs['id']}", {})).status == 404
    assert (await api.post("/telemetry/events", {"source_id": theirs["id"]})).status == 404
    assert (await api.call("DELETE", f"/telemetry/sources/{theirs['id']}", token="lead")).status == 404
    assert (await api.post(f"/telemetry/events/{event['id']}/thread")).status == 404
    assert (await api.get("/stations/toc-s1/timeline")).body["total"] == 0
    own = await radar(api)
    assert own["id"] != theirs["id"], "slugs are each station's own"
    assert len((await api.get("/telemetry/events", token="other")).body) == 1


async def test_an_event_is_told_where_there_is_a_chatkit_channel(api: Api) -> None:
    await radar(api)
    event = (await api.post("/telemetry/events", {"source_slug": "radar"})).body
    api.centre.runtime.notices.accounts.clear()
    said = await api.post(f"/telemetry/events/{event['id']}/thread")
    assert (said.status, "no ChatKit here" in said.body["detail"]) == (409, True)
    api.centre.runtime.notices.accounts["chatkit"] = "org"
    for _ in range(2):
        said = await api.post(f"/telemetry/events/{event['id']}/thread")
        assert (said.status, said.body["conversation"]) == (202, "chatkit:org:toc-s1")
    row = await api.centre.row("SELECT count(*) AS n, min(kind) AS kind FROM vtoc_engine.outbox")
    assert row == {"n": 1, "kind": "notice"}


async def test_an_event_is_told_in_no_other_stations_channel(api: Api) -> None:
    source = await radar(api)
    event = (await api.post("/telemetry/events", {"source_slug": "radar"})).body
    api.centre.runtime.notices.accounts["chatkit"] = "org"
    for channel, status in (("TOC_S2", 403), ("toc-s2 ", 403), ("Air", 202)):
        change = {"configuration": {"chatkit_channel": channel}}
        assert (await api.call("PATCH", f"/telemetry/sources/{source['id']}", json=change)).status == 200
        assert (await api.post(f"/telemetry/events/{event['id']}/thread")).status == status
    row = await api.centre.row("SELECT min(conversation) AS told, count(*) AS n FROM vtoc_engine.outbox")
    assert row == {"told": "chatkit:org:air", "n": 1}


async def test_a_station_is_seen_at_a_glance(api: Api) -> None:
    source = await radar(api)
    await api.post(
        "/telemetry/events",
        [
            {"source_slug": "radar", "entity_id": "a", "squawk": "7700"},
            {"source_slug": "radar", "entity_id": "b", "squawk": "7000", "event_time": AT.format(1)},
        ],
    )
    station = await api.station("toc-s1")
    async with api.centre.runtime.store.session(station) as session:
        await session.execute(
            "INSERT INTO ops.mission_logs (station_id, entry, author, logged_at) VALUES ($1, 'All quiet', 'ada',"
            " '2026-05-02T00:00:00Z'::timestamptz)",
            station.id,
        )
        assignment = await session.fetchval(
            "INSERT INTO ops.station_assignments (station_id, source_id) VALUES ($1, $2::text::uuid) RETURNING id",
            station.id,
            source["id"],
        )
    await api.post("/agent-actions/execute", {"tool_name": "waiting"})
    board = (await api.get("/stations/TOC_S1/dashboard")).body
    assert board["station"]["callsign"] == "TOC-S1"
    figures = board["metrics"]
    assert (figures["total_events"], figures["active_sources"], figures["open_alerts"]) == (2, 1, 1)
    assert (figures["active_runs"], figures["last_event"]["entity_id"]) == (1, "a")
    tasks = (await api.get("/stations/toc-s1/tasks")).body["tasks"]
    assert [(task["id"], task["priority"]) for task in tasks] == [(f"toc-s1:radar:{assignment}", "high")]
    line = (await api.get("/stations/toc-s1/timeline")).body
    assert (line["total"], [item["entry_type"] for item in line["items"]][-2:]) == (
        5,
        ["mission_log", "telemetry_event"],
    )
    part = (await api.get("/stations/toc-s1/timeline?limit=2&offset=1")).body
    assert part["items"] == line["items"][1:3]
    playbooks = (await api.get("/stations/toc-s1/playbooks")).body["playbooks"]
    guarded = next(each for each in playbooks if each["id"] == "guarded")
    assert (guarded["approval"]["quorum"], guarded["inputs"]["type"]) == (1, "object")
    actions = (await api.get("/stations/toc-s1/agentkit/actions")).body["actions"]
    assert {each["name"] for each in actions} >= {"count", "waiting", "guarded", "op_airtrack_merge"}
    assert {each["endpoint"] for each in actions} == {"/api/v1/agent-actions/execute"}


@pytest.mark.parametrize("kind", ["connector:test", "playbook:run", "station:status", "rm -rf"])
async def test_a_command_of_the_organisations_pages_is_done(api: Api, kind: str) -> None:
    await radar(api)
    await api.post("/telemetry/events", {"source_slug": "radar"})
    payloads: dict[str, list[tuple[dict[str, Any], int, str | None]]] = {
        "connector:test": [
            ({"source": "radar"}, 200, "ok"),
            ({"source": "sonar"}, 404, None),
            ({"type": "adsb", "options": {"url": "tcp://127.0.0.1:30003", "format": "sbs"}}, 200, "ok"),
            ({"type": "adsb", "options": {"url": 5}}, 200, "failed"),
            ({"type": "morse"}, 404, None),
            ({}, 400, None),
        ],
        "playbook:run": [({"playbook": "count"}, 200, "queued"), ({"playbook": 5}, 400, None)],
        "station:status": [({}, 200, "ok")],
        "rm -rf": [({}, 404, None)],
    }
    for payload, status, answer in payloads[kind]:
        body = {"channel": "toc-s1", "station_slug": "TOC-S1", "command": kind, "payload": payload}
        said = await api.post("/chatkit/commands", body)
        assert (said.status, said.body.get("status") if answer else None) == (status, answer), said
    body = {"channel": "toc-s2", "station_slug": "TOC-S2", "command": kind, "payload": {}}
    assert (await api.post("/chatkit/commands", body)).status == 403
