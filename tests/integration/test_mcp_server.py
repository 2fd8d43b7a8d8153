"""This installation as an MCP server, asked by the SDK's own client over real sockets in both eras of the protocol."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from mcp import MCPError

from tests.api_kit import Api
from tests.mcp_caller_kit import ERAS, HEADERS, INITIALIZE, audited, client, endpoint, open_quiet_api, session_headers
from tests.platform_kit import until
from vtoc_bots.core.access import Level
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.mcp.session_book import MOST_OF_ONE

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_quiet_api(database_urls, tmp_path, VTOC_PUBLIC_URL="https://bots.example") as opened:
        yield opened


@pytest.mark.parametrize("era", ERAS)
async def test_a_playbook_is_a_tool_whose_run_is_followed_to_its_result(api: Api, era: str) -> None:
    told: list[tuple[float, str | None]] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async with client(api, era) as mcp:
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        assert {"count", "guarded", "list_runs", "get_run", "list_tracks", "list_approvals"} <= tools.keys()
        assert tools["count"].input_schema["properties"]["n"]["default"] == 1
        assert tools["list_runs"].annotations is not None
        assert tools["list_runs"].annotations.read_only_hint is True
        done = await mcp.call_tool("count", {"what": "pepper"}, progress_callback=progress)
        assert not done.is_error
        assert "Counted pepper" in done.content[0].text  # type: ignore[union-attr]  # it is a text
        assert done.structured_content is not None
        assert done.structured_content["state"] == "succeeded"
        assert api.centre.plugin.calls == ["one:pepper"]
    row = await audited(api, "mcp.call", "tool:count")
    assert row["actor"].startswith("token:")
    assert row["station"] == "toc-s1"


@pytest.mark.parametrize("era", ERAS)
async def test_what_needs_approval_waits_for_people_and_cannot_be_approved_here(api: Api, era: str) -> None:
    async with client(api, era, "lead") as mcp:
        done = await mcp.call_tool("guarded", {})
        assert not done.is_error
        assert "waits for people to approve it" in done.content[0].text  # type: ignore[union-attr]  # it is a text
        names = {tool.name for tool in (await mcp.list_tools()).tools}
        assert not {name for name in names if "approve" in name or "decide" in name or "vote" in name}
        waiting = (await mcp.call_tool("list_approvals", {})).structured_content
        assert waiting is not None
        assert [(each["title"], each["quorum"]) for each in waiting["items"]] == [("guarded", 1)]
        assert api.centre.plugin.calls == []


@pytest.mark.parametrize("era", ERAS)
async def test_resources_show_the_station_and_nothing_of_another(api: Api, era: str) -> None:
    async with client(api, era) as mcp:
        await mcp.call_tool("count", {})
        uris = {str(each.uri) for each in (await mcp.list_resources()).resources}
        assert {
            "vtoc://stations",
            "vtoc://runs",
            "vtoc://tracks",
            "vtoc://approvals",
            "vtoc://telemetry/events",
        } <= uris
        templates = {each.uri_template for each in (await mcp.list_resource_templates()).resource_templates}
        assert "vtoc://runs/{run_id}" in templates
        for uri in uris:
            found = (await mcp.read_resource(uri)).contents[0]
            assert found.mime_type == "application/json"
        listed = (await mcp.call_tool("list_runs", {"limit": 5})).structured_content
        assert listed is not None
        run_id = listed["items"][0]["id"]
        assert run_id in (await mcp.read_resource(f"vtoc://runs/{run_id}")).contents[0].text  # type: ignore[union-attr]  # it is a text
    async with client(api, era, "other") as mcp:
        other = (await mcp.call_tool("list_runs", {})).structured_content
        assert other == {"items": []}
        assert (await mcp.call_tool("get_run", {"run_id": run_id})).is_error
        for uri in (f"vtoc://runs/{run_id}", "vtoc://nothing", "vtoc://stations/toc-s1", "http://elsewhere/"):
            with pytest.raises(MCPError):
                await mcp.read_resource(uri)


@pytest.mark.parametrize("era", ERAS)
async def test_mistakes_and_lacking_rights_are_told_in_words(api: Api, era: str) -> None:
    async with client(api, era, "observer") as mcp:
        names = {tool.name for tool in (await mcp.list_tools()).tools}
        assert "count" not in names
        assert "cancel_run" not in names
        refused = await mcp.call_tool("count", {})
        assert refused.is_error
        assert "needs operator at station toc-s1" in refused.content[0].text  # type: ignore[union-attr]  # it is a text
        assert (await audited(api, "mcp.call", "tool:count"))["detail"]["verdict"] == "DENY"
        wrong = await mcp.call_tool("list_runs", {"limit": 0, "colour": "red"})
        assert wrong.is_error
        assert "limit" in wrong.content[0].text  # type: ignore[union-attr]  # it is a text
        with pytest.raises(MCPError, match="no tool"):
            await mcp.call_tool("no_such_tool", {})
    async with client(api, era) as mcp:
        bad = await mcp.call_tool("count", {"n": "many"})
        assert bad.is_error
        long = await mcp.call_tool("count", {"n": 2**70})
        assert long.is_error
        assert "it must fit in 64 bits" in long.content[0].text  # type: ignore[union-attr]  # it is a text
        assert api.centre.plugin.calls == []


async def test_a_key_starts_a_playbook_once(api: Api) -> None:
    meta: Any = {"vtoc-bots/idempotency-key": "once"}
    async with client(api, "legacy") as mcp:
        first = (await mcp.call_tool("count", {}, meta=meta)).structured_content
        second = (await mcp.call_tool("count", {}, meta=meta)).structured_content
        assert first is not None
        assert second is not None
        assert first["id"] == second["id"]
        assert (await mcp.call_tool("count", {"what": "other"}, meta=meta)).is_error
    assert api.centre.plugin.calls == ["one:salt"]


async def test_no_credential_a_bad_one_and_a_revoked_one_get_nothing(api: Api) -> None:
    for headers in ({}, {"Authorization": "Bearer vtoc_nonsense"}, {"Authorization": "Basic YTpi"}):
        async with api.session.post(endpoint(api), json=INITIALIZE, headers={**HEADERS, **headers}) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    bearer = {"Authorization": f"Bearer {api.tokens['operator']}"}
    async with api.session.post(
        endpoint(api), json=INITIALIZE, headers={**HEADERS, **bearer, "X-Station-Slug": "toc-s2"}
    ) as answer:
        assert answer.status == 403


async def test_foreign_pages_and_rebound_names_are_refused(api: Api) -> None:
    bearer = {**HEADERS, "Authorization": f"Bearer {api.tokens['operator']}"}
    for headers, status in (
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://bots.example"}, 200),
        ({"Host": "bots.example"}, 200),
    ):
        async with api.session.post(endpoint(api), json=INITIALIZE, headers={**bearer, **headers}) as answer:
            assert answer.status == status, headers


async def test_a_session_belongs_to_the_credential_that_began_it(api: Api) -> None:
    mine = {**HEADERS, "Authorization": f"Bearer {api.tokens['operator']}"}
    async with api.session.post(endpoint(api), json=INITIALIZE, headers=mine) as answer:
        session = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
    theirs = {**HEADERS, "Authorization": f"Bearer {api.tokens['lead']}"}
    async with api.session.post(endpoint(api), json=PING, headers={**theirs, **session}) as answer:
        assert answer.status == 404
    async with api.session.post(endpoint(api), json=PING, headers={**mine, **session}) as answer:
        assert answer.status == 200
    async with api.session.delete(endpoint(api), headers={**mine, **session}) as answer:
        assert answer.status == 200
    async with api.session.post(endpoint(api), json=PING, headers={**mine, **session}) as answer:
        assert answer.status == 404


async def test_garbage_huge_and_mistyped_bodies_get_a_4xx(api: Api) -> None:
    mine = {**HEADERS, "Authorization": f"Bearer {api.tokens['operator']}"}
    for body, more in (
        (b"{", {}),
        (b"[]", {}),
        (b'{"jsonrpc": "2.0"}', {}),
        (b"\xff\xfe", {}),
        (b"x" * (5 * 2**20), {}),
        (b"{}", {"Content-Type": "text/plain"}),
        (b"{}", {"MCP-Protocol-Version": "1999-01-01"}),
        (b"{}", {"Mcp-Session-Id": "nobody's"}),
    ):
        async with api.session.post(endpoint(api), data=io.BytesIO(body), headers={**mine, **more}) as answer:
            assert 400 <= answer.status < 500, (body[:20], more)


async def test_open_streams_end_with_the_process_and_with_the_client(api: Api) -> None:
    mine = {**HEADERS, "Authorization": f"Bearer {api.tokens['operator']}"}
    async with api.session.post(endpoint(api), json=INITIALIZE, headers=mine) as answer:
        session = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
    async with api.session.get(endpoint(api), headers={**mine, **session}) as stream:
        assert stream.status == 200
        assert stream.content_type == "text/event-stream"
    # The session's one stream is free again as soon as its client has left.

    async def free() -> bool:
        async with api.session.get(endpoint(api), headers={**mine, **session}) as again:
            return again.status == 200

    await until(free, 10, lambda: "the stream of a client that left is still open")
    await until(free, 10, lambda: "the stream of a client that left is still open")
    stream = await api.session.get(endpoint(api), headers={**mine, **session})
    reading = asyncio.ensure_future(stream.read())
    api.centre.runtime.stop()
    await asyncio.wait_for(reading, 20)


async def test_a_caller_with_too_many_sessions_keeps_nobody_else_out(api: Api) -> None:
    for _ in range(MOST_OF_ONE - 1):
        await session_headers(api)
    last = await session_headers(api)
    mine = {**HEADERS, "Authorization": f"Bearer {api.tokens['operator']}"}
    async with api.session.post(endpoint(api), json=INITIALIZE, headers=mine) as answer:
        assert (answer.status, answer.content_type) == (429, "application/problem+json")
        assert answer.headers["Retry-After"] == "60"
    await session_headers(api, "observer")
    async with client(api, "2026-07-28") as modern:
        assert (await modern.list_tools()).tools
    async with api.session.delete(endpoint(api), headers=last) as answer:
        assert answer.status == 200
    await session_headers(api)


async def test_a_token_at_level_lead_may_cancel_what_another_started(api: Api) -> None:
    await api.make_token("second", "toc-s1", Level.OPERATOR)
    async with client(api, "legacy") as mcp:
        run = asyncio.ensure_future(mcp.call_tool("waiting", {}))

        async def waits() -> bool:
            return "waiting" in api.centre.plugin.calls

        await until(waits, 20, lambda: "the run does not wait")
        row = await api.centre.row("SELECT id FROM vtoc_engine.runs WHERE playbook = 'waiting'")
        async with client(api, "legacy", "second") as other:
            assert (await other.call_tool("cancel_run", {"run_id": str(row["id"])})).is_error
        async with client(api, "legacy", "lead") as lead:
            assert not (await lead.call_tool("cancel_run", {"run_id": str(row["id"])})).is_error
        done = await run
        assert done.is_error
        assert "cancelled" in done.content[0].text  # type: ignore[union-attr]  # it is a text
