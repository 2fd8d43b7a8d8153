"""The reference pages name every hook, command, option, exported name and plugin variable, as they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import vtoc_bots
from tests.docs_kit import ROOT, page, python_files, relative, tree
from vtoc_bots.cli import app
from vtoc_bots.core.commands import CommandSpec
from vtoc_bots.core.loader import installed, load
from vtoc_bots.core.settings import load_settings
from vtoc_bots.plugins.terminal import transport
from vtoc_bots.scaffold.hook_reference import generated

HOOKS, OPERATORS = page("docs/hooks.md"), page("docs/operators.md")
PROTOCOLS = ("Transport", "LooksUpReceipts", "Connector", "Decoder", "Policy", "Observer")


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns) if node.returns else None}"


def test_every_hook_is_documented_with_its_exact_signature_and_no_other() -> None:
    found = [
        signature(node)
        for node in tree(ROOT / "vtoc_bots/core/hookspecs.py").body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("vtoc_")
    ]
    documented = re.findall(r"^\| \w+ \| `(vtoc_[^`]+)` \|", HOOKS, re.MULTILINE)
    assert sorted(documented) == sorted(found)


def test_the_generated_parts_of_the_hook_reference_are_as_the_code_is() -> None:
    assert generated(HOOKS) == HOOKS, "make hooks"


def test_what_hooks_return_is_documented_with_its_exact_methods() -> None:
    missing = []
    for node in tree(ROOT / "vtoc_bots/core/ports.py").body:
        if isinstance(node, ast.ClassDef) and node.name in PROTOCOLS:
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name != "caps":
                    kind = "async def" if isinstance(method, ast.AsyncFunctionDef) else "def"
                    if f"{kind} {signature(method)}" not in HOOKS:
                        missing.append(f"{node.name}: {kind} {signature(method)}")
    assert missing == []


def test_every_event_that_observers_are_told_of_is_documented_with_its_detail() -> None:
    told = {
        f"| `{ast.literal_eval(node.args[0])}` | {', '.join(f'`{word.arg}`' for word in node.keywords)} |"
        for path in python_files("vtoc_bots")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and re.search(r"observers\.tell$", ast.unparse(node.func))
    }
    part = HOOKS.split("An **Observer** has")[1].split("## ")[0]
    assert {match[0] for match in re.finditer(r"^\| `\w+` \| [^|]+ \|", part, re.MULTILINE)} == told


def built_in_commands(tmp_path: Path) -> list[CommandSpec]:
    own = [entry for entry in installed() if entry.dist.name == "vtoc-bots"]
    loaded = load(load_settings(tmp_path, tmp_path, environ={}), entries=own)
    return [spec for spec in loaded.commands if not spec.event]


def test_every_command_is_documented_and_no_other(tmp_path: Path) -> None:
    specs = built_in_commands(tmp_path)
    rows = {
        f"| `{vtoc_bots.usage_line(spec)}` | {'anyone' if spec.level is None else spec.level} | {spec.summary} |"
        for spec in specs
    }
    shown = OPERATORS.replace("\\|", "|")  # what would end a cell of the table
    assert {line for line in shown.splitlines() if line.startswith("| `/")} == rows
    assert [alias for spec in specs for alias in spec.aliases if f"`/{alias}`" not in OPERATORS] == []


def commands_of(group: Any, path: str = "vtoc-bots") -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(None):  # plugins' groups too
        where, each = f"{path} {name}", group.get_command(None, name)
        yield from commands_of(each, where) if hasattr(each, "commands") else [(where, each)]


def test_every_option_of_the_command_line_is_documented() -> None:
    part = OPERATORS.split("## The command line")[1]
    rows = {row[0]: row[1] for row in re.findall(r"^\| `(vtoc-bots[^`]*)` \| (.*) \|$", part, re.MULTILINE)}
    missing, known = [], set()
    for where, each in commands_of(typer.main.get_group(app)):
        row = next((row for row in rows if f"{row} ".startswith(f"{where} ")), None)
        if row is None:
            missing.append(where)
            continue
        known.add(row)
        flags = [option for param in each.params for option in param.opts if option.startswith("--")]
        about = f"{row} {rows[row]} --config --data --help"
        missing += [f"{where} {flag}" for flag in flags if not re.search(rf"{flag}\b", about)]
    assert missing == []
    assert set(rows) - known == {"vtoc-bots --version"}


def test_every_exit_code_of_a_terminal_is_documented() -> None:
    codes = {value for name, value in vars(transport).items() if name.startswith("EXIT_")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", OPERATORS, re.MULTILINE)} == codes | {2}


def test_every_exported_name_is_listed_and_no_other() -> None:
    part = page("docs/plugins.md").split("## What vtoc_bots exports")[1]
    assert sorted(re.findall(r"`([A-Za-z_]+)`", "".join(re.findall(r"^\| .*", part, re.MULTILINE)))) == sorted(
        vtoc_bots.__all__
    )


@pytest.mark.parametrize("path", sorted((ROOT / "vtoc_bots/plugins").rglob("settings.py")), ids=relative)
def test_every_variable_of_a_plugin_is_in_its_readme(path: Path) -> None:
    readme = (path.parent / "README.md").read_text(encoding="utf-8")
    variables = re.findall(r"alias=\"([A-Z_]+)\"", path.read_text(encoding="utf-8"))
    assert [name for name in variables if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", *(
    relative(path) for folder in ("docs", "vtoc_bots/plugins") for path in sorted((ROOT / folder).rglob("*.md"))
)])  # fmt: skip
def test_every_link_between_pages_leads_somewhere(name: str) -> None:
    broken = []
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page(name)):
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def anchors(text: str) -> set[str]:
    """What the headings of a page are linked by."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_architecture_page_shows_the_layers_that_are_checked() -> None:
    config = page(".importlinter").split("layers =\n")[1].split("exhaustive")[0]
    checked = [line.replace("vtoc_bots.core.", "").replace("vtoc_bots.", "").strip() for line in config.splitlines()]
    block = page("ARCHITECTURE.md").split("## One-way imports")[1].split("\n\n")[2]
    shown = [line.strip().replace(" · ", " : ") for line in block.splitlines()]
    assert shown == [line for line in checked if line]
