"""Rules of policies.yml about operations: the same words for a request and for an MCP client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.api_kit import Api, open_api
from tests.integration.test_mcp_server import ERAS, client
from vtoc_bots.core.store.urls import DatabaseUrls

POLICIES = """
rules:
  - {actions: "api:list_events", unless: {operators: "token lead"}, effect: deny, reason: Events are for leads.}
  - {actions: ["api:list_sources", "api:start_run"], effect: require-approval, reason: Ask first.}
  - {actions: "api:list_runs", transports: mcp, effect: deny, reason: Not by MCP.}
"""


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "policies.yml").write_text(POLICIES)
    async with open_api(database_urls, tmp_path) as opened:
        yield opened


async def test_a_rule_denies_an_operation_by_its_id(api: Api) -> None:
    said = await api.get("/telemetry/events")
    assert (said.status, said.body["detail"]) == (403, "Events are for leads.")
    assert (await api.get("/telemetry/events", token="lead")).status == 200
    assert (await api.get("/runs")).status == 200
    row = await api.centre.row("SELECT detail FROM vtoc_engine.audit WHERE event LIKE 'api%' ORDER BY at DESC LIMIT 1")
    assert row["detail"]["reason"] == "Events are for leads."


async def test_what_needs_an_approval_is_refused_unless_it_starts_a_run(api: Api) -> None:
    said = await api.get("/telemetry/sources")
    assert said.status == 403
    assert said.body["detail"] == "Ask first.; this can't be approved, ask for a playbook that does it"
    assert (await api.post("/runs", {"playbook": "count"})).status == 202


async def test_an_mcp_client_meets_the_same_rules_and_those_of_its_own(api: Api) -> None:
    async with client(api, ERAS[1]) as mcp:
        tools = {tool.name for tool in (await mcp.list_tools()).tools}
        assert not {"list_events", "list_sources", "list_runs"} & tools
        assert {"count", "get_run"} <= tools
        for name in ("list_events", "list_sources", "list_runs"):
            done = await mcp.call_tool(name, {})
            assert done.is_error, name
    async with client(api, ERAS[1], "lead") as mcp:
        assert not (await mcp.call_tool("list_events", {})).is_error
