"""config/agentkit.yml: what its entries become, and what is wrong with them, by file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vtoc_bots import ActionContext, action
from vtoc_bots.core.config import StationEntry
from vtoc_bots.core.documents import parse_document
from vtoc_bots.core.playbook_overlay import Overlay, agentkit_schema
from vtoc_bots.core.playbooks.load import parse_source
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.plugins.agentkit import vtoc_actions

ROOT = Path(__file__).parents[2]
STATIONS = [StationEntry.model_validate({"slug": "toc-s1", "role": "ops"})]
FILE = "id: tidy\ntitle: Tidy up\ninputs: {n: {type: int, default: 1}}\nsteps:\n  - {id: one, uses: test.count}\n"


@action("test.count")
async def counted(ctx: ActionContext) -> int:
    """Count."""
    return 1


async def entry(ctx: ActionContext, who: str, times: int = 1) -> str:
    """Greet."""
    return who * times


def overlay(text: str, folder: Path, remote: bool = True) -> tuple[dict[str, Playbook], list[str], Overlay]:
    actions = {spec.name: spec for spec in (*vtoc_actions(), counted)}
    made = Overlay(parse_document(text, "agentkit.yml"), actions, STATIONS, folder, remote)
    return made.playbooks(), [str(problem) for problem in made.problems], made


def test_a_remote_playbook_calls_its_tool_with_what_people_give(tmp_path: Path) -> None:
    text = """
playbooks:
  survey:
    name: Survey a pier
    description: Looks.
    station_role: vtoc_ops
    runner: remote
    options:
      tool: drone.survey
      inputs: {pier: {type: string, required: true}}
      values: {camera: wide}
      within: 2h
      level: lead
      approval: {quorum: 2}
"""
    playbooks, problems, made = overlay(text, tmp_path)
    assert problems == []
    playbook = playbooks["survey"]
    assert (playbook.title, playbook.role, str(playbook.level)) == ("Survey a pier", "ops", "lead")
    assert playbook.approval is not None
    assert [spec.name for spec in playbook.inputs] == ["pier"]
    assert playbook.steps[0].uses == "agentkit.call"
    source: dict[str, Any] = json.loads(playbook.source)
    given = {"camera": "wide", "pier": "${{ inputs.pier }}"}
    assert source["steps"][0]["with"] == {"tool": "drone.survey", "input": given, "within": "2h"}
    assert parse_source(playbook.source, made.actions).digest == playbook.digest


def test_a_file_keeps_its_steps_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "tidy.yml").write_text(FILE)
    text = "playbooks:\n  tidy: {name: Clean, station_role: ops, file: tidy.yml}\n"
    playbooks, problems, made = overlay(text, tmp_path)
    assert problems == []
    assert (playbooks["tidy"].title, playbooks["tidy"].role) == ("Clean", "ops")
    assert [step.uses for step in playbooks["tidy"].steps] == ["test.count"]
    assert parse_source(playbooks["tidy"].source, made.actions).digest == playbooks["tidy"].digest


def test_an_entry_point_becomes_an_action_of_one_step(tmp_path: Path) -> None:
    text = f"""
playbooks:
  greet:
    station_role: ops
    entrypoint: {__name__}:entry
    options: {{inputs: {{who: {{type: string, required: true}}}}, values: {{times: 2}}}}
"""
    playbooks, problems, made = overlay(text, tmp_path)
    assert problems == []
    assert playbooks["greet"].steps[0].uses == "greet.run"
    assert made.actions["greet.run"].summary == "Greet."


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("survey: {station_role: intel, runner: remote}", 2, "no station here runs on that schema: toc-s1 (ops)"),
        ("survey: {station_role: ops}", 2, "give one of file, entrypoint and runner: remote"),
        ("survey: {station_role: ops, runner: remote, file: x.yml}", 2, "give one of file"),
        ("survey: {runner: remote}", 2, "station_role is missing"),
        ("survey: {station_role: police, runner: remote}", 2, "ops, intel or logistics"),
        ("survey: {station_role: ops, runer: remote}", 2, "Did you mean runner?"),
        ("Survey!: {station_role: ops, runner: remote}", 2, "lower-case letters"),
        ("survey:\n    station_role: ops\n    file: gone.yml", 4, "gone.yml can't be read"),
        ("survey:\n    station_role: ops\n    file: tidy.yml", 4, "is the playbook tidy, not survey"),
        ("survey:\n    station_role: ops\n    entrypoint: no.such:thing", 4, "no.such:thing is of no use"),
        ("survey: {station_role: ops, entrypoint: no-such}", 2, "entrypoint"),
        ("tidy: {station_role: ops, file: intel.yml}", 2, "intel.yml is for intel, not ops"),
        ("tidy: {station_role: ops, file: tidy.yml, options: {within: 1h}}", 2, "options are for"),
        ("survey: {station_role: ops, runner: remote, options: {inputs: {n: {type: nmber}}}}", 2, "nmber"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    (tmp_path / "tidy.yml").write_text(FILE)
    (tmp_path / "intel.yml").write_text(f"{FILE}role: intel\n")
    _, problems, _ = overlay(f"playbooks:\n  {text}\n", tmp_path)
    found = [problem for problem in problems if words in problem]
    assert found, problems
    assert found[0].startswith(f"agentkit.yml:{line}:")


def test_a_remote_playbook_needs_a_service(tmp_path: Path) -> None:
    text = "playbooks:\n  survey: {station_role: ops, runner: remote}\n"
    _, problems, _ = overlay(text, tmp_path, remote=False)
    assert problems == [
        "agentkit.yml:2: playbooks.survey runs remotely, and no AgentKit is set. Set AGENTKIT_API_BASE_URL"
    ]


@pytest.mark.parametrize("text", ["", "playbooks:\n", "# nothing\n"])
def test_an_empty_file_adds_nothing(tmp_path: Path, text: str) -> None:
    assert overlay(text, tmp_path)[:2] == ({}, [])


def test_the_schema_in_the_repository_is_that_of_the_code() -> None:
    assert json.loads((ROOT / "config" / "agentkit.schema.json").read_text()) == agentkit_schema()


def test_the_example_that_is_shipped_works(tmp_path: Path) -> None:
    lines = (ROOT / "config" / "agentkit.yml").read_text(encoding="utf-8").splitlines()
    start = lines.index("# playbooks:")
    text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[start:])
    text = text.replace("../playbooks/ops/op_airtrack_merge.yml", "tidy.yml")
    (tmp_path / "tidy.yml").write_text(FILE.replace("id: tidy", "id: op_airtrack_merge"))
    playbooks, problems, _ = overlay(text, tmp_path)
    assert problems == []
    assert sorted(playbooks) == ["op_airtrack_merge", "pier_survey"]


def test_an_entry_point_that_can_not_be_imported_is_a_line_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_entry.py").write_text("def call(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = "playbooks:\n  broken:\n    station_role: ops\n    entrypoint: broken_entry:call\n"
    playbooks, problems, _ = overlay(text, tmp_path)
    assert playbooks == {}
    (problem,) = problems
    assert problem.startswith("agentkit.yml:4: playbooks.broken: broken_entry:call is of no use: SyntaxError: ")
