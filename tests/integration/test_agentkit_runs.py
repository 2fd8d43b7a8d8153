"""Steps that a remote AgentKit does: the run parks, nothing is done twice, and every fault ends in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from tests.agentkit_kit import FakeAgentKit, Fault, fake_agentkit, garbage, half, hang, status, variables
from tests.api_kit import Api, open_api
from tests.platform_kit import until
from vtoc_bots.core import remote_actions
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.urls import DatabaseUrls

STATE = "SELECT state || ' ' || coalesce(waiting_for, '') FROM vtoc_engine.runs ORDER BY created_at DESC LIMIT 1"
WEBHOOK = "/agent-actions/webhook"
PLAYBOOKS = {
    "survey": (
        "inputs: {area: {type: string, default: harbour}}\n"
        "steps:\n"
        "  - {id: before, uses: centre.count, with: {what: before}}\n"
        "  - id: away\n    needs: [before]\n    uses: agentkit.call\n"
        "    with: {tool: survey, input: {area: '${{ inputs.area }}'}, within: 30s}\n"
        "  - {id: after, needs: [away], uses: centre.count, with: {what: '${{ steps.away.result.found }}'}}\n"
        "reply: {uses: agentkit.card, with: {title: Survey, outcome: '${{ steps.away }}'}}\n"
    )
}

PLAYBOOKS["search"] = PLAYBOOKS["survey"].replace("within: 30s", "within: 10m")


@pytest_asyncio.fixture
async def service() -> AsyncIterator[FakeAgentKit]:
    async with fake_agentkit() as opened:
        yield opened
        assert opened.breaches == []


@pytest_asyncio.fixture
async def api(
    database_urls: DatabaseUrls, tmp_path: Path, service: FakeAgentKit, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    monkeypatch.setattr(remote_actions, "FIRST_LOOK_SECONDS", 0.3)
    async with open_api(database_urls, tmp_path, PLAYBOOKS, **variables(service)) as opened:
        await opened.centre.person("ada")
        yield opened


def said(card: Any) -> str:
    return f"{card.title} {' '.join(str(block) for block in card.blocks)}"


async def handed_over(service: FakeAgentKit) -> str:
    """The id of the one action, once it is there."""

    async def there() -> bool:
        return bool(service.actions)

    await until(there, 20, lambda: "nothing was posted")
    return next(iter(service.actions))


async def begin(api: Api) -> Any:
    return await api.centre.say("ada", "/playbook survey area=pier")


async def test_a_run_waits_parked_and_goes_on_with_what_it_asks_for(api: Api, service: FakeAgentKit) -> None:
    message = await begin(api)
    action_id = await handed_over(service)
    await api.centre.wait_for(STATE, "waiting remote")
    run = await api.centre.row("SELECT id, holder, lease_until FROM vtoc_engine.runs")
    assert (run["holder"], run["lease_until"]) == (None, None)
    body = service.actions[action_id]["body"]
    assert (body["tool_name"], body["action_input"]) == ("survey", {"area": "pier"})
    assert list(service.by_key) == [f"{run['id']}:away"]
    service.end(action_id, result={"found": "three boats", "text": "Three boats at the pier"})
    card = await api.centre.answer(message)
    assert "Three boats at the pier" in said(card)
    assert api.centre.plugin.calls == ["before:before", "after:three boats"]
    row = await api.centre.row("SELECT tool_name, status, station, response FROM vtoc_engine.agent_actions")
    assert row == {
        "tool_name": "survey",
        "status": "succeeded",
        "station": "toc-s1",
        "response": service.actions[action_id]["result"],
    }
    audits = (await api.get("/agent-actions/audits")).body
    assert [(each["action_id"], each["tool_name"]) for each in audits] == [(action_id, "survey")]


async def test_the_webhook_wakes_the_run_that_waits(
    api: Api, service: FakeAgentKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_actions, "FIRST_LOOK_SECONDS", 25.0)
    message = await begin(api)
    action_id = await handed_over(service)
    await api.centre.wait_for(STATE, "waiting remote")
    done = orjson.dumps({"action_id": action_id, "status": "succeeded", "result": {"found": "a boat"}})
    for _ in range(3):
        assert (await api.webhook(WEBHOOK, done)).status == 202
    assert "a boat" in said(await api.centre.answer(message, 10))
    assert service.looks == 0
    assert api.centre.plugin.calls == ["before:before", "after:a boat"]
    forged = await api.webhook(WEBHOOK, done, secret="wrong")
    assert forged.status == 401


async def test_a_failure_there_is_told_in_its_own_words(api: Api, service: FakeAgentKit) -> None:
    message = await begin(api)
    service.end(await handed_over(service), "failed", error="no drone is free")
    assert "AgentKit could not do survey: no drone is free" in said(await api.centre.answer(message))
    row = await api.centre.row("SELECT status, error FROM vtoc_engine.agent_actions")
    assert row == {"status": "failed", "error": "no drone is free"}


@pytest.mark.parametrize("name", ["500", "429", "503", "half", "garbage", "hang", "401"])
async def test_a_fault_while_it_is_handed_over_never_does_it_twice(api: Api, service: FakeAgentKit, name: str) -> None:
    faults: dict[str, Fault] = {
        "500": status(500),
        "429": status(429, **{"Retry-After": "1"}),
        "503": status(503),
        "half": half(),
        "garbage": garbage(),
        "hang": hang(service),
        "401": status(401),
    }
    service.after = [faults[name]]
    message = await begin(api)
    action_id = await handed_over(service)
    service.end(action_id, result={"found": "a boat"})
    assert "a boat" in said(await api.centre.answer(message))
    assert len(service.actions) == 1
    assert service.posts == 2
    assert api.centre.plugin.calls == ["before:before", "after:a boat"]
    step = await api.centre.row("SELECT tries FROM vtoc_engine.steps WHERE step = 'away'")
    assert step == {"tries": 1}


@pytest.mark.parametrize("name", ["500", "429", "half", "garbage", "hang", "404"])
async def test_a_fault_while_it_is_looked_at_only_means_a_later_look(
    api: Api, service: FakeAgentKit, name: str
) -> None:
    faults: dict[str, Fault] = {
        "500": status(500),
        "429": status(429),
        "half": half(),
        "garbage": garbage(),
        "hang": hang(service),
        "404": status(404),
    }
    service.faults["look"] = [faults[name]]
    message = await begin(api)
    service.end(await handed_over(service), result={"found": "a boat"})
    assert "a boat" in said(await api.centre.answer(message))
    assert service.posts == 1
    assert service.looks == 2


async def test_a_token_that_expires_early_is_renewed_once(api: Api, service: FakeAgentKit) -> None:
    message = await begin(api)
    action_id = await handed_over(service)
    tokens = len(service.tokens)
    service.valid.clear()
    service.end(action_id, result={"found": "a boat"})
    assert "a boat" in said(await api.centre.answer(message))
    assert len(service.tokens) == tokens + 1


async def test_refused_credentials_end_in_words_and_not_in_a_loop(api: Api, service: FakeAgentKit) -> None:
    service.faults["post"] = [status(401), status(401)]
    card = said(await api.centre.answer(await begin(api)))
    assert "Check AGENTKIT_CLIENT_ID and AGENTKIT_CLIENT_SECRET" in card
    assert service.posts == 2
    assert service.actions == {}


async def test_a_service_that_never_takes_it_ends_in_words(
    api: Api, service: FakeAgentKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_actions, "HAND_OVER_SECONDS", 1.0)
    service.faults["post"] = [status(500, '{"error": "out of order"}')] * 9
    card = said(await api.centre.answer(await begin(api)))
    assert "out of order" in card
    assert "so it was done once at most" in card


async def test_garbage_again_and_again_points_at_the_address(api: Api, service: FakeAgentKit) -> None:
    service.faults["post"] = [garbage()] * 9
    card = said(await api.centre.answer(await begin(api)))
    assert "Is AGENTKIT_API_BASE_URL right" in card
    assert service.posts == remote_actions.MOST_GARBAGE


async def test_an_action_that_does_not_end_in_time_is_told(api: Api, service: FakeAgentKit) -> None:
    await api.centre.say("ada", "/playbook survey")
    await handed_over(service)
    await api.centre.wait_for(STATE, "waiting remote")
    await api.centre.runtime.store.execute(
        "UPDATE vtoc_engine.steps SET output = jsonb_set(output, '{elsewhere,until}', '\"2020-01-01T00:00:00+00:00\"')"
        " WHERE step = 'away'"
    )
    await api.centre.wait_for("SELECT state FROM vtoc_engine.runs", "failed")
    error = (await api.centre.row("SELECT error FROM vtoc_engine.runs"))["error"]
    assert "did not end survey (action ak-1) in time" in error
    assert service.posts == 1


async def test_a_webhook_that_is_faster_than_the_answer_is_believed(api: Api, service: FakeAgentKit) -> None:
    async def told_first(request: web.Request) -> web.StreamResponse:
        done = orjson.dumps({"action_id": "ak-1", "status": "succeeded", "result": {"found": "a boat"}})
        assert (await api.webhook(WEBHOOK, done)).status == 202
        return web.json_response({"id": "ak-1", "status": "queued"}, status=202)

    service.after = [told_first]
    assert "a boat" in said(await api.centre.answer(await begin(api)))
    assert service.looks == 0
    row = await api.centre.row("SELECT tool_name, status FROM vtoc_engine.agent_actions")
    assert row == {"tool_name": "survey", "status": "succeeded"}


async def test_a_webhook_that_is_faster_and_names_no_station_leaves_nothing_at_another(
    api: Api, service: FakeAgentKit
) -> None:
    async def told_first(request: web.Request) -> web.StreamResponse:
        done = orjson.dumps({"action_id": "ak-1", "status": "succeeded", "result": {"found": "a boat"}})
        assert (await api.webhook(WEBHOOK, done)).status == 202
        assert len((await api.get("/agent-actions/audits")).body) == 1, "nobody knows yet whose it is"
        return web.json_response({"id": "ak-1", "status": "queued"}, status=202)

    service.after = [told_first]
    assert (await api.post("/runs", {"playbook": "survey"}, token="other")).status == 202
    await api.centre.wait_for("SELECT state FROM vtoc_engine.runs", "succeeded")
    (audit,) = (await api.get("/agent-actions/audits", token="other")).body
    assert (audit["action_id"], audit["status"]) == ("ak-1", "succeeded")
    assert (await api.get("/agent-actions/audits")).body == []


async def looked(service: FakeAgentKit, times: int) -> None:
    """Wait until it was asked for the action so often."""

    async def enough() -> bool:
        return service.looks >= times

    await until(enough, 20, lambda: f"{service.looks} looks")


async def test_an_action_that_is_unknown_in_its_first_minute_is_looked_for_again(
    api: Api, service: FakeAgentKit
) -> None:
    service.lags = True
    message = await api.centre.say("ada", "/playbook search")
    action_id = await handed_over(service)
    for seconds in (1, 25, 25):
        await api.centre.world.advance(seconds=seconds)
        await looked(service, service.looks + 1)
        await api.centre.wait_for(STATE, "waiting remote")
    service.lags = False
    service.end(action_id, result={"found": "a boat"})
    await api.centre.world.advance(seconds=30)
    assert "a boat" in said(await api.centre.answer(message))
    assert service.posts == 1


async def test_an_action_that_is_unknown_after_a_minute_ends_in_words_and_is_not_repeated(
    api: Api, service: FakeAgentKit
) -> None:
    service.lags = True
    message = await api.centre.say("ada", "/playbook search")
    action_id = await handed_over(service)
    await looked(service, 1)
    await api.centre.wait_for(STATE, "waiting remote")
    await api.centre.world.advance(seconds=61)
    words = said(await api.centre.answer(message))
    assert f"AgentKit took survey as action {action_id} and knows nothing of it any more" in words
    assert service.posts == 1
    assert api.centre.plugin.calls == ["before:before"]


async def test_a_cancelled_run_waits_no_more(api: Api, service: FakeAgentKit) -> None:
    message = await begin(api)
    action_id = await handed_over(service)
    await api.centre.wait_for(STATE, "waiting remote")
    run = await api.centre.row("SELECT id FROM vtoc_engine.runs")
    assert (await api.post(f"/runs/{run['id']}/cancel", token="lead")).status < 300
    assert "cancelled" in said(await api.centre.answer(message))
    done = orjson.dumps({"action_id": action_id, "status": "succeeded", "result": {"found": "a boat"}})
    assert (await api.webhook(WEBHOOK, done)).status == 202
    await api.centre.wait_for("SELECT status FROM vtoc_engine.agent_actions", "succeeded")
    assert api.centre.plugin.calls == ["before:before"]


async def test_a_lead_calls_a_remote_tool_by_itself_over_the_api(api: Api, service: FakeAgentKit) -> None:
    body = {"tool_name": "agentkit.call", "action_input": {"tool": "survey", "input": {"area": "pier"}}}
    assert (await api.post("/agent-actions/execute", body)).status == 403
    started = await api.post("/agent-actions/execute", body, token="lead")
    assert started.status == 202
    service.end(await handed_over(service), result={"found": "a boat"})
    await api.centre.wait_for("SELECT state FROM vtoc_engine.runs", "succeeded")
    own = "SELECT response->'output'->'result'->>'found' FROM vtoc_engine.agent_actions WHERE run_id IS NOT NULL"
    await api.centre.wait_for(own, "a boat")


async def test_the_probe_tells_the_tools(api: Api, service: FakeAgentKit) -> None:
    ready = await api.session.get(f"{api.centre.runtime.address}/readyz")
    assert "2 tools" in await ready.text()


async def test_a_process_that_ends_meanwhile_leaves_it_to_the_next(
    database_urls: DatabaseUrls, tmp_path: Path, service: FakeAgentKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_actions, "FIRST_LOOK_SECONDS", 0.3)
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    async with open_api(database_urls, tmp_path / "first", PLAYBOOKS, **variables(service)) as first:
        await first.centre.person("ada")
        message = await begin(first)
        action_id = await handed_over(service)
        await first.centre.wait_for(STATE, "waiting remote")
    service.end(action_id, result={"found": "a boat"})
    async with open_api(database_urls, tmp_path / "second", PLAYBOOKS, **variables(service)) as second:
        assert "a boat" in said(await second.centre.answer(message))
        assert second.centre.plugin.calls == ["after:a boat"]
    assert service.posts == 1


async def test_a_whole_playbook_of_the_overlay_runs_there(
    database_urls: DatabaseUrls, tmp_path: Path, service: FakeAgentKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_actions, "FIRST_LOOK_SECONDS", 0.3)
    entry = (
        "playbooks:\n  pier:\n    name: Survey a pier\n    station_role: ops\n    runner: remote\n"
        "    options: {tool: survey, private: false, inputs: {pier: {type: string, required: true}}, within: 30s}\n"
    )
    overlay(tmp_path, entry)
    async with open_api(database_urls, tmp_path, {}, **variables(service)) as api:
        await api.centre.person("ada")
        message = await api.centre.say("ada", "/playbook pier pier=north")
        action_id = await handed_over(service)
        assert service.actions[action_id]["body"]["action_input"] == {"pier": "north"}
        service.end(action_id, result="nothing seen")
        card = await api.centre.answer(message)
        assert card.title == "Survey a pier"
        assert "nothing seen" in said(card)


async def test_a_role_that_no_station_has_stops_the_start(
    database_urls: DatabaseUrls, tmp_path: Path, service: FakeAgentKit
) -> None:
    overlay(tmp_path, "playbooks:\n  pier: {station_role: logistics, runner: remote}\n")
    with pytest.raises(StartupError, match=r"agentkit.yml:2: playbooks.pier is for logistics, and no station here"):
        async with open_api(database_urls, tmp_path, {}, **variables(service)):
            pass


def overlay(folder: Path, text: str) -> None:
    """Write agentkit.yml where the centre will look for it."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "agentkit.yml").write_text(text)
