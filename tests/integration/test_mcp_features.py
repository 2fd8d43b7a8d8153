"""What our MCP server does besides: forms, logs, prompts, completion, pictures, watching, resuming."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from mcp import MCPError
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import ElicitRequestFormParams, ElicitResult, PromptReference, ResourceTemplateReference

from tests.api_kit import PLAYBOOKS, Api
from tests.mcp_caller_kit import ERAS, audited, client, endpoint, open_quiet_api, session_headers
from tests.mcp_server import PNG
from tests.platform_kit import until
from vtoc_bots import ActionContext, Card, File, Image, action, hookimpl
from vtoc_bots.core.access import Level
from vtoc_bots.core.store.urls import DatabaseUrls

ASKING = """
inputs:
  what: {type: string, required: true, help: What to count}
  unit: {type: choice, choices: [boxes, pallets], required: true}
steps:
  - {id: one, uses: centre.count, with: {what: '${{ inputs.what }}'}}
reply: {card: {title: 'Counted ${{ inputs.what }} in ${{ inputs.unit }}'}}
"""
SHOWING = "steps: [{id: one, uses: centre.count}]\nreply: {uses: exhibits.show}\n"


class Exhibits:
    """An action whose card has a picture, a text and a file that is too large to be shown."""

    @hookimpl
    def vtoc_actions(self) -> tuple[Any, ...]:
        """exhibits.show."""

        @action("exhibits.show")
        async def show(ctx: ActionContext) -> Card:
            """Show them."""
            parts: list[Image | File] = []
            for kind, name, data in (
                ("image/png", "map.png", PNG),
                ("text/csv", "a list.csv", b"a,b"),
                ("application/zip", "all.zip", bytes(2**20 + 1)),
            ):
                blob = await ctx.blobs.put(data, kind)
                if kind.startswith("image"):
                    parts.append(Image(blob=blob, alt="a map", name=name, content_type=kind, size=len(data)))
                else:
                    parts.append(File(blob=blob, name=name, content_type=kind, size=len(data)))
            return Card.of("Shown", *parts)

        return (show,)


@pytest_asyncio.fixture
async def api(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Api]:
    playbooks = {**PLAYBOOKS, "asking": ASKING, "showing": SHOWING}
    async with open_quiet_api(database_urls, tmp_path, playbooks, {"exhibits": Exhibits()}) as opened:
        yield opened


@pytest.mark.parametrize("era", ERAS)
async def test_what_a_playbook_lacks_is_asked_of_the_person_at_the_client(api: Api, era: str) -> None:
    asked: list[ElicitRequestFormParams] = []
    answers = [
        ElicitResult(action="accept", content={"what": "salt", "unit": "boxes", "evil": "x"}),
        ElicitResult(action="decline"),
        ElicitResult(action="accept", content={"what": "salt", "unit": "barrels"}),
    ]

    async def ask(context: Any, params: Any) -> ElicitResult:
        asked.append(params)
        return answers[len(asked) - 1]

    async with client(api, era, elicitation_callback=ask) as mcp:
        done = await mcp.call_tool("asking", {})
        assert "Counted salt in boxes" in done.content[0].text  # type: ignore[union-attr]  # it is a text
        schema = asked[0].requested_schema
        assert schema["required"] == ["what", "unit"]
        assert schema["properties"]["what"]["description"] == "What to count"
        assert [each["const"] for each in schema["properties"]["unit"]["oneOf"]] == ["boxes", "pallets"]
        declined = await mcp.call_tool("asking", {})
        assert declined.is_error
        assert "was not started" in declined.content[0].text  # type: ignore[union-attr]  # it is a text
        wrong = await mcp.call_tool("asking", {})
        assert wrong.is_error
        assert "barrels" in wrong.content[0].text  # type: ignore[union-attr]  # it is a text
        given = await mcp.call_tool("asking", {"what": "tea", "unit": "pallets"})
        assert not given.is_error
        assert len(asked) == 3
    async with client(api, era) as mcp:
        lacking = await mcp.call_tool("asking", {"unit": "boxes"})
        assert lacking.is_error
        assert "needs what" in lacking.content[0].text  # type: ignore[union-attr]  # it is a text
    assert api.centre.plugin.calls == ["one:salt", "one:tea"]


async def test_steps_are_logged_to_a_session_that_wants_their_level(api: Api) -> None:
    heard: list[Any] = []

    async def hear(params: Any) -> None:
        heard.append(params)

    async with client(api, "legacy", logging_callback=hear) as mcp:
        await mcp.call_tool("count", {})
        assert heard == [], "nobody asked for it"
        with pytest.warns(MCPDeprecationWarning):
            await mcp.set_logging_level("info")
        await mcp.call_tool("count", {})
        states = [each.data["state"] for each in heard if each.data["step"] == "one"]
        assert states[-1] == "done"
        heard.clear()
        with pytest.warns(MCPDeprecationWarning):
            await mcp.set_logging_level("error")
        await mcp.call_tool("count", {})
        assert heard == []


@pytest.mark.parametrize("era", ERAS)
async def test_playbooks_are_prompts_for_those_who_may_run_them(api: Api, era: str) -> None:
    async with client(api, era) as mcp:
        prompts = {prompt.name: prompt for prompt in (await mcp.list_prompts()).prompts}
        assert {"situation", "count", "asking", "guarded"} <= prompts.keys()
        assert [(each.name, each.required) for each in prompts["asking"].arguments or ()] == [
            ("what", True),
            ("unit", True),
        ]
        got = await mcp.get_prompt("asking", {"what": "dry salt", "unit": "boxes"})
        assert 'the tool asking with what="dry salt" unit=boxes' in got.messages[0].content.text  # type: ignore[union-attr]  # it is a text
        for arguments in ({"what": "salt"}, {"what": "salt", "unit": "barrels"}, {"colour": "red"}):
            with pytest.raises(MCPError):
                await mcp.get_prompt("asking", arguments)
        briefing = await mcp.get_prompt("situation")
        shown = [message.content for message in briefing.messages]
        assert [each.resource.uri for each in shown[:-1]] == [  # type: ignore[union-attr]  # they are resources
            "vtoc://dashboard",
            "vtoc://approvals",
            "vtoc://runs",
            "vtoc://tracks",
        ]
        found = await mcp.complete(PromptReference(name="asking"), {"name": "unit", "value": "PAL"})
        assert found.completion.values == ["pallets"]
        with pytest.raises(MCPError, match="no prompt"):
            await mcp.get_prompt("nothing")
    async with client(api, era, "observer") as mcp:
        names = {prompt.name for prompt in (await mcp.list_prompts()).prompts}
        assert "asking" not in names
        assert "situation" in names
        with pytest.raises(MCPError, match="needs operator"):
            await mcp.get_prompt("asking", {"what": "salt", "unit": "boxes"})
        with pytest.raises(MCPError, match="needs operator"):
            await mcp.complete(PromptReference(name="asking"), {"name": "unit", "value": ""})
    assert (await audited(api, "mcp.prompt", "prompt:asking"))["detail"]["verdict"] == "DENY"
    assert api.centre.plugin.calls == [], "a prompt runs nothing"


async def test_a_run_is_completed_from_those_of_the_callers_station(api: Api) -> None:
    template = ResourceTemplateReference(uri="vtoc://runs/{run_id}")
    async with client(api, "legacy") as mcp:
        made = (await mcp.call_tool("count", {})).structured_content
        assert made is not None
        found = (await mcp.complete(template, {"name": "run_id", "value": made["id"][:4]})).completion
        assert (found.values, found.total, found.has_more) == ([made["id"]], 1, False)
        assert (await mcp.complete(template, {"name": "run_id", "value": "nothing"})).completion.values == []
        with pytest.raises(MCPError):
            await mcp.complete(ResourceTemplateReference(uri="vtoc://x/{y}"), {"name": "y", "value": ""})
    async with client(api, "legacy", "other") as mcp:
        assert (await mcp.complete(template, {"name": "run_id", "value": ""})).completion.values == []


@pytest.mark.parametrize("era", ERAS)
async def test_the_pictures_and_files_of_a_result_are_shown_and_can_be_read(api: Api, era: str) -> None:
    async with client(api, era) as mcp:
        done = await mcp.call_tool("showing", {})
        words, picture, table, large = done.content
        assert words.type == "text"
        assert (picture.type, picture.mime_type) == ("image", "image/png")  # type: ignore[union-attr]  # it is one
        assert base64.b64decode(picture.data) == PNG  # type: ignore[union-attr]  # it is a picture
        assert table.resource.text == "a,b"  # type: ignore[union-attr]  # it is a resource
        uri = str(table.resource.uri)  # type: ignore[union-attr]  # it is a resource
        assert uri.endswith("/files/a%20list.csv")
        assert (await mcp.read_resource(uri)).contents[0].text == "a,b"  # type: ignore[union-attr]  # it is a text
        assert "all.zip" in large.text  # type: ignore[union-attr]  # it is a text
        pictured = uri.replace("a%20list.csv", "map.png")
        blob = (await mcp.read_resource(pictured)).contents[0].blob  # type: ignore[union-attr]  # it is bytes
        assert base64.b64decode(blob) == PNG
        with pytest.raises(MCPError, match="too large"):
            await mcp.read_resource(uri.replace("a%20list.csv", "all.zip"))
        for wrong in (uri + "x", uri.replace("runs/", "runs/x")):
            with pytest.raises(MCPError):
                await mcp.read_resource(wrong)
    async with client(api, era, "other") as mcp:
        with pytest.raises(MCPError):
            await mcp.read_resource(uri)


async def test_a_session_is_told_when_a_resource_it_watches_changes(api: Api) -> None:
    told: list[str] = []

    async def hear(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            told.append(str(message.params.uri))

    async def hears() -> bool:
        return "vtoc://runs" in told

    async with client(api, "legacy", message_handler=hear) as mcp:
        for uri in ("vtoc://runs", "vtoc://stations"):
            with pytest.warns(MCPDeprecationWarning):
                await mcp.subscribe_resource(uri)
        await mcp.call_tool("count", {})
        await until(hears, 20, lambda: "nobody told of the new run")
        assert set(told) == {"vtoc://runs"}
        with pytest.warns(MCPDeprecationWarning):
            await mcp.unsubscribe_resource("vtoc://runs")
        for uri in ("vtoc://nothing", "vtoc://runs/1"):
            with pytest.warns(MCPDeprecationWarning), pytest.raises(MCPError):
                await mcp.subscribe_resource(uri)
    assert (await audited(api, "mcp.watch", "resource:vtoc://runs"))["detail"]["verdict"] == "ALLOW"


async def test_a_stream_of_2026_tells_of_changes_until_its_token_is_revoked(
    api: Api,
) -> None:
    await api.make_token("brief", "toc-s1", Level.OPERATOR)
    async with client(api, "2026-07-28", "brief") as mcp, mcp.listen(resource_subscriptions=["vtoc://runs"]) as changes:
        await mcp.call_tool("count", {})
        async with asyncio.timeout(20):
            assert (await anext(changes)).uri == "vtoc://runs"  # type: ignore[union-attr]  # it is a resource
            await api.centre.runtime.store.execute("UPDATE vtoc.api_tokens SET revoked_at = now() WHERE name = 'brief'")
            api.centre.runtime.api.authenticator.forget()
            async for change in changes:  # the stream ends, or the test does, by its timeout
                assert change.uri == "vtoc://runs"  # type: ignore[union-attr]  # it is a resource


async def events_of(answer: Any, number: int) -> list[dict[str, str]]:
    """The first so many events of a stream."""
    found: list[dict[str, str]] = [{}]
    async for line in answer.content:
        name, separator, value = line.decode().rstrip("\r\n").partition(": ")
        if separator:
            found[-1][name] = value
        elif found[-1]:
            if len(found) == number:
                return found
            found.append({})
    return [each for each in found if each]


async def test_an_answer_that_was_missed_is_taken_up_by_its_session_and_by_no_other(api: Api) -> None:
    mine, theirs = await session_headers(api), await session_headers(api, "lead")
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "waiting", "arguments": {}}}
    async with api.session.post(endpoint(api), json=call, headers=mine) as answer:
        (first,) = await events_of(answer, 1)
    assert first["retry"] == "1000"
    api.centre.plugin.gate.set()  # the client has gone; the run ends without it
    after = {"Last-Event-ID": first["id"]}
    async with asyncio.timeout(30):

        async def answered() -> bool:
            async with api.session.get(endpoint(api), headers={**mine, **after}) as again:
                if again.status != 200:
                    return False
                events = await events_of(again, 1)  # none, while it is not known yet that the first client has gone
                found = orjson.loads(events[0].get("data") or b"{}") if events else {}
                return found.get("id") == 7 and found["result"]["structuredContent"]["state"] == "succeeded"

        await until(answered, 30, lambda: "the answer was lost")
        async with api.session.get(endpoint(api), headers={**theirs, **after}) as stranger:
            assert await events_of(stranger, 1) == []
