"""The examples of docs/playbooks.md work, and it names every key there is."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from vtoc_bots.core.playbooks.check import RUN, STATION
from vtoc_bots.core.playbooks.load import parse_source
from vtoc_bots.core.playbooks.schema import INPUT_TYPES, playbook_schema
from vtoc_bots.core.ports import ActionSpec

PAGE = (Path(__file__).parents[2] / "docs" / "playbooks.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_loads_with_the_actions_beside_it() -> None:
    module = ModuleType("example")
    exec(compile(block("python"), "docs/playbooks.md", "exec"), module.__dict__)
    actions = {spec.name: spec for spec in vars(module).values() if isinstance(spec, ActionSpec)}
    playbook = parse_source(block("yaml"), actions)
    assert [step.needs for step in playbook.steps] == [(), ("reports",)]


@pytest.mark.parametrize("model", ["", "StepFile", "InputFile", "ApprovalFile", "RetryFile", "WaitFile", "ReplyFile"])
def test_every_key_of_the_file_is_on_the_page(model: str) -> None:
    schema = playbook_schema()
    keys = (schema["$defs"][model] if model else schema)["properties"]
    assert [key for key in keys if not re.search(rf"[`{{ ]{key}[`:, }}]", PAGE)] == []


def test_every_input_type_and_every_name_that_expressions_see_is_on_the_page() -> None:
    assert [name for name in INPUT_TYPES if f"`{name}`" not in PAGE] == []
    assert [name for name in (*(STATION.fields or ()), *(RUN.fields or ())) if f"`{name}`" not in PAGE] == []
