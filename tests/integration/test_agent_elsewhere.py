"""The agent works for people who ask in a chat: other programs are not offered it, and do not find it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api_kit import PLAYBOOKS
from tests.mcp_caller_kit import ERAS, client, open_quiet_api
from tests.model_kit import fake_model, variables
from vtoc_bots.core.store.urls import DatabaseUrls

BRIEF = """
inputs: {question: {type: string, required: true}}
steps: [{id: answer, uses: agent.answer, with: {question: "${{ inputs.question }}"}}]
"""
PERHAPS = """
inputs: {question: {type: string, default: ""}}
steps:
  - {id: answer, if: "${{ inputs.question != '' }}", uses: agent.answer, with: {question: "${{ inputs.question }}"}}
"""
HIDDEN = {"agent_answer", "agent.answer", "brief"}


async def test_other_programs_are_not_offered_the_agent_and_do_not_find_it(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    playbooks = {**PLAYBOOKS, "brief": BRIEF, "perhaps": PERHAPS}
    async with fake_model() as model, open_quiet_api(database_urls, tmp_path, playbooks, **variables(model)) as api:
        tools = {tool["name"] for tool in (await api.get("/agent-actions/tools", token="lead")).body}
        here = (await api.get("/stations/toc-s1/playbooks", token="lead")).body["playbooks"]
        actions = (await api.get("/stations/toc-s1/agentkit/actions", token="lead")).body["actions"]
        for names in (tools, {each["id"] for each in here}, {each["name"] for each in actions}):
            assert {"count", "perhaps"} <= names
            assert not HIDDEN & names
        asked = {"question": "who is there?"}
        for name in HIDDEN:
            body = {"tool_name": name, "action_input": asked}
            assert (await api.post("/agent-actions/execute", body, token="lead")).status == 404
        for name in HIDDEN - {"agent.answer"}:
            assert (await api.post("/runs", {"playbook": name, "inputs": asked}, token="lead")).status == 404
            command = {"playbook": name, "inputs": asked}
            body = {"channel": "toc-s1", "station_slug": "toc-s1", "command": "playbook:run", "payload": command}
            assert (await api.post("/chatkit/commands", body, token="lead")).status == 404
        assert await api.centre.runtime.store.fetchval("SELECT count(*) FROM vtoc_engine.runs") == 0
        for era in ERAS:
            async with client(api, era, "lead") as assistant:
                offered = {each.name for each in (await assistant.list_tools()).tools}
                prompts = {each.name for each in (await assistant.list_prompts()).prompts}
                assert "count" in offered
                assert not HIDDEN & (offered | prompts)
                with pytest.raises(Exception, match="there is no tool agent_answer"):
                    await assistant.call_tool("agent_answer", asked)
