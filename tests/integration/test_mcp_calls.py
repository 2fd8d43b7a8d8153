"""Tools of a real MCP server, a program of its own, as steps of playbooks."""

from __future__ import annotations

from pathlib import Path

import orjson

from tests.mcp_kit import calls, open_mcp_centre, said, stdio
from vtoc_bots.core.store.urls import DatabaseUrls


async def test_a_step_calls_a_tool_of_a_program_and_gives_its_data_on(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    playbooks = {
        "add": calls("{a: 2, b: 40}").replace("${{ steps.call.text }}", "It is ${{ steps.call.data.sum }}."),
        "mark": calls("{text: once}"),
    }
    marks = tmp_path / "marks"
    async with open_mcp_centre(database_urls, tmp_path, {"small": stdio(marks)}, playbooks) as centre:
        await centre.person("ada")
        assert "It is 42." in said(await centre.ask("ada", "/playbook add tool=add"))
        card = await centre.ask("ada", "/playbook mark tool=mark")
        run = await centre.row("SELECT id FROM vtoc_engine.runs WHERE playbook = 'mark'")
        assert f"marked once under {run['id']}:call" in said(card)
        assert marks.read_text() == "once\n"
        stored = await centre.row("SELECT output FROM vtoc_engine.steps WHERE step = 'call' AND run_id = $1", run["id"])
        output = orjson.loads(stored["output"]) if isinstance(stored["output"], str | bytes) else stored["output"]
        assert (output["server"], output["tool"]) == ("small", "mark")
