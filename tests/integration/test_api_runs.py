"""Runs through the API: started once, listed in pages, watched and resumed, cancelled by whom it is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from tests.api_kit import Api, open_api
from tests.platform_kit import until
from vtoc_bots.core.access import Level
from vtoc_bots.core.store.run_pages import RunSeen
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.api import runs
from vtoc_bots.core.web.run_watch import Watcher


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(database_urls, tmp_path) as opened:
        yield opened


async def ended(api: Api, run_id: str, token: str = "operator") -> Any:
    found: list[Any] = []

    async def there() -> bool:
        found[:] = [(await api.get(f"/runs/{run_id}", token=token)).body]
        return found[0]["state"] in ("succeeded", "failed", "cancelled")

    await until(there, 20, lambda: str(found))
    return found[0]


async def events(api: Api, run_id: str, most: int, last: str | None = None) -> list[tuple[str, str, Any]]:
    """(id, kind, data) of what a stream gives, until it ends or there are `most`."""
    headers = {"Authorization": f"Bearer {api.tokens['operator']}", **({"Last-Event-ID": last} if last else {})}
    found: list[tuple[str, str, Any]] = []
    one: dict[str, str] = {}
    async with api.session.get(f"{api.base}/runs/{run_id}/events", headers=headers) as response:
        if response.status == 204:
            return []
        assert response.content_type == "text/event-stream"
        async for raw in response.content:
            line = raw.decode().rstrip("\r\n")
            if line:
                name, _, value = line.partition(": ")
                one[name] = value
            elif one:
                if "data" in one:
                    found.append((one["id"], one["event"], orjson.loads(one["data"])))
                one = {}
                if len(found) == most:
                    break
    return found


async def test_a_run_is_started_and_its_result_read(api: Api) -> None:
    said = await api.post("/runs", {"playbook": "count", "inputs": {"what": "pepper"}})
    assert (said.status, said.body["playbook"], said.body["mine"]) == (202, "count", True)
    run = await ended(api, said.body["id"])
    assert run["result"]["title"] == "Counted pepper"
    assert [(step["step"], step["state"]) for step in run["steps"]] == [("one", "done")]
    assert api.centre.plugin.calls == ["one:pepper"]
    row = await api.centre.row("SELECT actor, detail FROM vtoc_engine.audit WHERE event = 'run.asked'")
    assert row["actor"].startswith("token:")
    assert row["detail"]["inputs"] == {"what": "pepper", "n": 1}


async def test_the_same_key_starts_one_run_however_often_and_another_body_is_refused(api: Api) -> None:
    key, body = {"Idempotency-Key": "order-66"}, {"playbook": "count", "inputs": {}}
    said = await asyncio.gather(*(api.post("/runs", body, headers=key) for _ in range(8)))
    assert {each.status for each in said} == {202}
    assert len({each.body["id"] for each in said}) == 1
    other = await api.post("/runs", {"playbook": "count", "inputs": {"what": "x"}}, headers=key)
    assert (other.status, other.headers["Content-Type"]) == (422, "application/problem+json")
    assert (await api.post("/runs", body, headers=key, token="lead")).body["id"] != said[0].body["id"]
    assert (await api.post("/runs", body, headers={"Idempotency-Key": "two words"})).status == 400
    await ended(api, said[0].body["id"])
    assert await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.runs") == {"n": 2}
    asked = "SELECT count(*) AS n FROM vtoc_engine.audit WHERE event = 'run.asked'"
    assert await api.centre.row(asked) == {"n": 2}


async def test_wrong_inputs_and_unknown_playbooks_are_the_callers_mistake(api: Api) -> None:
    for body, status, words in (
        ({"playbook": "count", "inputs": {"n": "many"}}, 400, "n:"),
        ({"playbook": "count", "inputs": {"m": 1}}, 400, "no input m"),
        ({"playbook": "nothing"}, 404, "no playbook nothing"),
        ({"inputs": {}}, 400, "playbook: Field required"),
        ([], 400, "body"),
    ):
        said = await api.post("/runs", body)
        assert (said.status, words in said.body["detail"]) == (status, True), said
    assert await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.runs") == {"n": 0}


async def test_an_observer_may_look_and_not_start(api: Api) -> None:
    said = await api.post("/runs", {"playbook": "count"}, token="observer")
    assert (said.status, "needs operator" in said.body["detail"]) == (403, True)
    assert (await api.get("/runs", token="observer")).body == []
    row = await api.centre.row("SELECT detail FROM vtoc_engine.audit WHERE event = 'api.start_run'")
    assert row["detail"]["verdict"] == "DENY"


async def test_runs_come_in_pages_and_only_those_of_the_station(api: Api) -> None:
    for n in range(5):
        await api.post("/runs", {"playbook": "count", "inputs": {"n": n}})
    await api.post("/runs", {"playbook": "count"}, token="other")
    seen, cursor = [], ""
    while True:
        said = await api.get(f"/runs?limit=2{cursor}")
        seen += [run["inputs"]["n"] for run in said.body]
        if "X-Next-Cursor" not in said.headers:
            break
        assert 'rel="next"' in said.headers["Link"]
        cursor = f"&cursor={said.headers['X-Next-Cursor']}"
    assert seen == [4, 3, 2, 1, 0]
    other = (await api.get("/runs", token="other")).body[0]["id"]
    for method, path in (("GET", ""), ("POST", "/cancel"), ("GET", "/events")):
        assert (await api.call(method, f"/runs/{other}{path}")).status == 404
    for bad in ("cursor=x", "cursor=WzEsMl0", "limit=0", "limit=2&limit=3", "lmit=2", "state=done"):
        assert (await api.get(f"/runs?{bad}")).status == 400, bad


async def test_a_stream_tells_each_change_and_goes_on_where_it_broke_off(api: Api) -> None:
    run_id = (await api.post("/runs", {"playbook": "waiting"})).body["id"]
    whole = asyncio.ensure_future(events(api, run_id, 99))
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.steps", 1)
    first: list[Any] = []
    while not any(kind == "step" for _, kind, _ in first):
        first += await events(api, run_id, 1, first[-1][0] if first else None)
    api.centre.plugin.gate.set()
    rest = await events(api, run_id, 99, first[-1][0])
    told = [(kind, data.get("step"), data["state"]) for _, kind, data in first + rest]
    assert [each for each in told if each[0] == "step"] == [("step", "one", "done"), ("step", "two", "done")]
    assert told[-1] == ("run", None, "succeeded")
    assert await events(api, run_id, 99, rest[-1][0]) == [], "whoever has seen the end is told to stop"
    assert [data["state"] for _, _, data in await events(api, run_id, 99, "no id of ours")][-1] == "succeeded"
    assert (await whole)[-1][2]["state"] == "succeeded"


async def test_a_hundred_streams_hold_no_worker_and_all_end_with_the_run(api: Api) -> None:
    run_id = (await api.post("/runs", {"playbook": "waiting"})).body["id"]
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.steps", 1)
    streams = [asyncio.ensure_future(events(api, run_id, 99)) for _ in range(100)]
    await until(lambda: asyncio.sleep(0, len(api.centre.runtime.api.watch._watchers) == 100), 20, lambda: "no streams")
    other = (await api.post("/runs", {"playbook": "count"})).body["id"]
    assert (await ended(api, other))["state"] == "succeeded"
    api.centre.plugin.gate.set()
    assert {each[-1][2]["state"] for each in await asyncio.gather(*streams)} == {"succeeded"}


async def test_a_busy_stream_too_ends_with_its_token(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.make_token("short lived", "toc-s1", Level.OBSERVER)
    run_id = (await api.post("/runs", {"playbook": "waiting"})).body["id"]

    async def always_new(watcher: Watcher, seconds: float) -> RunSeen | None:
        await asyncio.sleep(0)
        return watcher._latest

    monkeypatch.setattr(Watcher, "next", always_new)
    monkeypatch.setattr(runs, "LOOK_AGAIN_SECONDS", 0.05)
    headers = {"Authorization": f"Bearer {api.tokens['short lived']}"}
    async with asyncio.timeout(20), api.session.get(f"{api.base}/runs/{run_id}/events", headers=headers) as response:
        await response.content.readline()
        await api.revoke("short lived")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()
    api.centre.plugin.gate.set()


async def test_a_stream_ends_with_the_server(api: Api) -> None:
    run_id = (await api.post("/runs", {"playbook": "waiting"})).body["id"]
    stream = asyncio.ensure_future(events(api, run_id, 99))
    await until(lambda: asyncio.sleep(0, len(api.centre.runtime.api.watch._watchers) == 1), 20, lambda: "no stream")
    api.centre.plugin.gate.set()
    api.centre.runtime.stop()
    assert all(kind in ("step", "run") for _, kind, _ in await stream)


async def test_ones_own_run_is_cancelled_and_anothers_by_a_lead(api: Api) -> None:
    first, second = [
        (await api.post("/runs", {"playbook": "waiting"}, token=t)).body["id"] for t in ("operator", "lead")
    ]
    said = await api.post(f"/runs/{second}/cancel")
    assert (said.status, "did not start" in said.body["detail"]) == (403, True)
    assert (await api.post(f"/runs/{first}/cancel", token="lead")).body["cancelling"] is True
    assert (await api.post(f"/runs/{second}/cancel", token="lead")).body["cancelling"] is True
    for run_id in (first, second):
        assert (await ended(api, run_id))["state"] == "cancelled"
    assert (await api.post(f"/runs/{first}/cancel")).body["cancelling"] is False


async def test_a_run_that_needs_approval_waits_for_a_person(api: Api) -> None:
    run_id = (await api.post("/runs", {"playbook": "guarded"}, token="lead")).body["id"]
    await api.centre.wait_for("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    await api.centre.person("bob")
    card = await api.centre.ask("bob", "/approvals")
    short = next(block for block in card.blocks if block.type == "table").rows[0][0]
    await api.centre.ask("bob", f"/approve {short}")
    assert (await ended(api, run_id, "lead"))["state"] == "succeeded"


async def test_a_private_card_of_a_public_playbook_is_for_who_asked_and_for_leads(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    aside = "steps: [{id: one, uses: centre.count}]\nreply: {card: {title: Aside, private: true}}\n"
    async with open_api(database_urls, tmp_path, {"aside": aside}) as api:
        run_id = (await api.post("/runs", {"playbook": "aside"})).body["id"]
        mine, leads, others = [await ended(api, run_id, token) for token in ("operator", "lead", "observer")]
        assert mine["result"]["title"] == leads["result"]["title"] == "Aside"
        assert others["result"] is None
        assert others["private"] is True
        assert (await api.get("/runs", token="observer")).body[0]["result"] is None
