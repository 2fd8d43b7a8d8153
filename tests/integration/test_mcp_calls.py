"""Tools of a real MCP server, a program of its own, as steps of playbooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from tests.centre_kit import Centre
from tests.mcp_kit import calls, http_server, open_mcp_centre, said, stdio
from tests.mcp_server import PNG
from tests.platform_kit import until
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
        output = await output_of(centre, "mark")
        assert (output["server"], output["tool"]) == ("small", "mark")


async def test_what_tools_give_becomes_text_files_and_errors_in_their_own_words(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    playbooks = {
        "fail": calls("{words: the valve is stuck}"),
        "picture": calls("{}"),
        "much": calls("{characters: 400000}").replace(
            "${{ steps.call.text }}", "It is ${{ steps.call.files[0].size }}."
        ),
        "environment": calls("{name: SECRET_PLACE}"),
        "count": calls("{to: 3}"),
        "nothing": calls("{}"),
        "missing": calls("{a: 1}"),
    }
    servers = {"small": stdio(tmp_path / "marks"), "narrow": stdio(tmp_path / "marks", tools=["ad*"])}
    async with open_mcp_centre(database_urls, tmp_path, servers, playbooks) as centre:
        await centre.person("ada")
        assert "the valve is stuck" in said(await centre.ask("ada", "/playbook fail tool=fail"))
        assert "one pixel" in said(await centre.ask("ada", "/playbook picture tool=picture"))
        output = await output_of(centre, "picture")
        assert (output["files"][0]["content_type"], output["text"]) == ("image/png", "one pixel")
        assert (await centre.runtime.blobs.get(output["files"][0]["blob"])) == PNG
        assert "It is 400000." in said(await centre.ask("ada", "/playbook much tool=much"))
        assert len((await output_of(centre, "much"))["text"]) < 17_000
        assert "hidden-value" in said(await centre.ask("ada", "/playbook environment tool=environment"))
        assert "counted to 3" in said(await centre.ask("ada", "/playbook count tool=count"))
        unknown = said(await centre.ask("ada", "/playbook nothing tool=pictur"))
        assert "has no tool pictur. Did you mean picture?" in unknown
        assert "is not allowed" in said(await centre.ask("ada", "/playbook nothing server=narrow tool=picture"))
        assert "Did you mean small?" in said(await centre.ask("ada", "/playbook nothing server=smal tool=picture"))
        wrong = said(await centre.ask("ada", "/playbook missing tool=add"))
        assert "small.add: " in wrong
        assert "b" in wrong


async def output_of(centre: Centre, playbook: str) -> dict[str, Any]:
    """What the newest run of a playbook has of its call."""
    row = await centre.row(
        "SELECT s.output FROM vtoc_engine.steps s JOIN vtoc_engine.runs r ON r.id = s.run_id"
        " WHERE s.step = 'call' AND r.playbook = $1 ORDER BY r.created_at DESC LIMIT 1",
        playbook,
    )
    output: dict[str, Any] = row["output"]
    return output


async def test_progress_of_a_tool_is_the_progress_of_its_run(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    playbooks = {"both": calls("{to: 5}") + "  # the board is slower than the tool\n"}
    playbooks["both"] = playbooks["both"].replace("reply:", "  - {id: wait, needs: [call], uses: centre.wait}\nreply:")
    async with open_mcp_centre(database_urls, tmp_path, {"small": stdio(tmp_path / "marks")}, playbooks) as centre:
        await centre.person("ada")
        told: list[str] = []
        tell = centre.runtime.board.tell
        centre.runtime.board.tell = lambda run, card: (told.append(said(card)), tell(run, card))[1]  # type: ignore[method-assign, func-returns-value]  # the test listens
        await centre.say("ada", "/playbook both tool=count")
        await centre.wait_for("SELECT count(*) FROM vtoc_engine.steps WHERE step = 'call'", 1)
        assert any("counted 5 5/5" in text for text in told)


async def test_a_program_that_is_killed_is_started_again(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    playbooks = {"die": calls("{text: died}"), "add": calls("{a: 1, b: 1}"), "hang": calls("{text: hung}")}
    servers = {"small": stdio(marks, timeout_seconds=2.0)}
    async with open_mcp_centre(database_urls, tmp_path, servers, playbooks) as centre:
        await centre.person("ada")
        assert '"sum": 2' in said(await centre.ask("ada", "/playbook add tool=add"))
        first = small_processes()
        assert len(first) == 1
        first[0].kill()
        assert '"sum": 2' in said(await centre.ask("ada", "/playbook add tool=add"))
        assert small_processes() != first
        lost = said(await centre.ask("ada", "/playbook die tool=die"))
        assert "Look there whether it was done" in lost
        assert marks.read_text() == "died\n"
        hung = said(await centre.ask("ada", "/playbook hang tool=hang"))
        assert "did not answer within 2 s" in hung
        assert marks.read_text() == "died\nhung\n"
        assert '"sum": 2' in said(await centre.ask("ada", "/playbook add tool=add"))
        assert centre.runtime.mcp.systems == ()
    assert small_processes() == []


def small_processes() -> list[psutil.Process]:
    """The servers that this test's process started."""
    return [
        each for each in psutil.Process().children(recursive=True) if "tests.mcp_server" in " ".join(each.cmdline())
    ]


async def test_a_server_over_http_is_reached_again_after_it_was_killed(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    playbooks = {"add": calls("{a: 1, b: 1}"), "mark": calls("{text: over http}")}
    async with http_server(tmp_path / "marks") as server:
        servers = {era: {"url": server.url, "tools": ["*"], "protocol": era} for era in ("auto", "legacy")}
        async with open_mcp_centre(database_urls, tmp_path, servers, playbooks) as centre:
            await centre.person("ada")
            for era in servers:
                assert '"sum": 2' in said(await centre.ask("ada", f"/playbook add server={era} tool=add"))
            server.kill()
            down = said(await centre.ask("ada", "/playbook add server=auto tool=add"))
            assert "can't be reached" in down
            probes = {each.name: each for each in await centre.runtime.health.check()}
            assert not probes["client.mcp.auto"].ok
            assert not probes["client.mcp.auto"].required
            await server.start()
            for era in servers:
                assert "over http" in said(await centre.ask("ada", f"/playbook mark server={era} tool=mark"))

            async def is_well() -> bool:  # a probe's answer is told for a second
                probes = {each.name: each for each in await centre.runtime.health.check()}
                return probes["client.mcp.auto"].ok and "tools" in probes["client.mcp.auto"].detail

            await until(is_well, 10, lambda: "the probe does not see that the server is back")


async def test_diagnostics_run_what_is_configured_and_say_what_to_do(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    checks = [
        {"tool": "check", "arguments": {"ok": True}, "title": "Power"},
        {"tool": "check", "arguments": {"ok": False}, "title": "Antenna"},
        {"tool": "fail", "arguments": {"words": "no route"}, "title": "Link", "remedy": "plug in the cable"},
    ]
    small = stdio(tmp_path / "marks", diagnostics={"radar": checks})
    gone = {"command": "no-such-program", "tools": ["*"], "diagnostics": {"radar": [{"tool": "check"}]}}
    async with open_mcp_centre(database_urls, tmp_path, {"small": small, "gone": gone}, {}) as centre:
        await centre.person("ada")
        assert "/diagnostics radar" in said(await centre.ask("ada", "/diagnostics"))
        card = await centre.ask("ada", "/diagnostics radar")
        assert card.private
        words = said(card)
        assert "3 of 4 checks failed" in words
        assert "**Antenna**: turn it off and on" in words
        assert "**Link**: plug in the cable" in words
        assert "no route" in words
        assert "no-such-program" in words
        assert "Did you mean radar?" in said(await centre.ask("ada", "/diagnostics rada"))
