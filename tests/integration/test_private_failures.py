"""What went wrong in a private run is for whoever asked for it and for leads, on every way to look at a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from tests.api_kit import Api
from tests.mcp_caller_kit import client, open_quiet_api
from tests.platform_kit import until
from vtoc_bots.core.access import Level
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.store.agent_actions import PRIVATE
from vtoc_bots.core.store.urls import DatabaseUrls

STEPS = "steps: [{id: one, uses: centre.fail, with: {times: 99}}]\n"
SECRET = "not yet"
OVERLAY = "playbooks: {secret: {station_role: ops, file: secret.yml}}\n"


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    files = tmp_path / "config"
    files.mkdir()
    (files / "agentkit.yml").write_text(OVERLAY)
    (files / "secret.yml").write_text(f"id: secret\ntitle: Secret\nprivate: true\n{STEPS}")
    async with open_quiet_api(database_urls, tmp_path, {"open": STEPS}) as opened:
        await opened.make_token("another", "toc-s1", Level.OPERATOR)
        yield opened


async def failed(api: Api, playbook: str) -> str:
    """An agent action that has failed as a run of that playbook; their id."""
    executed = await api.post("/agent-actions/execute", {"tool_name": playbook})
    action_id: str = executed.body["action_id"]

    async def told() -> bool:
        audits = (await api.get("/agent-actions/audits")).body
        return any(each["action_id"] == action_id and each["status"] == "failed" for each in audits)

    await until(told, 20, lambda: "the action has not failed")
    return action_id


async def seen(api: Api, run_id: str, token: str) -> dict[str, Any]:
    """What somebody is told of a run, by the way that tells it."""
    stream = (await api.get(f"/runs/{run_id}/events", token=token)).body.decode()
    async with client(api, "2026-07-28", token) as mcp:
        by_mcp = str((await mcp.call_tool("get_run", {"run_id": run_id})).structured_content)
    return {
        "one": str((await api.get(f"/runs/{run_id}", token=token)).body),
        "list": str((await api.get("/runs", token=token)).body),
        "stream": stream,
        "mcp": by_mcp,
    }


async def test_who_may_see_the_result_sees_what_went_wrong(api: Api) -> None:
    run_id = await failed(api, "secret")
    for token in ("operator", "lead"):
        for way, told in (await seen(api, run_id, token)).items():
            assert SECRET in told, (token, way)


async def test_others_see_that_it_went_wrong_and_not_what(api: Api) -> None:
    run_id = await failed(api, "secret")
    for token in ("another", "observer"):
        for way, told in (await seen(api, run_id, token)).items():
            assert SECRET not in told, (token, way)
            assert PRIVATE in told, (token, way)
            assert "failed" in told


async def test_the_stations_own_rows_have_no_word_of_it(api: Api) -> None:
    await failed(api, "secret")
    [entry] = (await api.get("/stations/toc-s1/timeline", token="observer")).body["items"]
    assert (entry["detail"]["status"], entry["detail"]["error"]) == ("failed", PRIVATE)
    [audit] = (await api.get("/agent-actions/audits")).body
    assert audit["error_message"] == PRIVATE


@pytest.mark.parametrize(("name", "level", "sees"), [("bob", Level.OPERATOR, False), ("lea", Level.LEAD, True)])
async def test_in_chat_it_is_the_same(api: Api, name: str, level: Level, sees: bool) -> None:
    run_id = await failed(api, "secret")
    await api.centre.person(name, level)
    for command in ("run", "why"):
        card = await api.centre.ask(name, f"/{command} {short_id(UUID(run_id))}")
        assert (SECRET in card.model_dump_json()) is sees, command
        assert (PRIVATE in card.model_dump_json()) is not sees, command


async def test_a_public_runs_fault_is_everybodys(api: Api) -> None:
    run_id = await failed(api, "open")
    for way, told in (await seen(api, run_id, "observer")).items():
        assert SECRET in told, way
    [entry] = (await api.get("/stations/toc-s1/timeline", token="observer")).body["items"]
    assert SECRET in entry["detail"]["error"]
