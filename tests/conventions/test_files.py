"""Rules of CONTRIBUTING.md that a machine can check, over every file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs_kit import ROOT, page, python_files, relative, tree

LONGEST, LONGEST_TEST = 400, 500
NO_NOUNS = {"utils", "util", "helpers", "helper", "base", "common", "misc"}
SLEEPS = {
    "tests/integration/test_web.py": "a handler that is slow, in a request that is cut off",
    "tests/integration/test_survival.py": "processes are killed at random moments",
    "tests/platform_kit.py": "steps of a worker that is killed in them",
    "tests/integration/test_contracts_catch.py": "a blocked loop is what is tested",
    "tests/unit/test_watchdog.py": "a blocked loop is what is tested",
}
"""Files that may sleep otherwise than between two looks at a condition, and why."""

IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b(?::\s*[A-Z0-9, ]+|\[[a-z\-, ]+\])?(.*)$")


def tracked() -> list[Path]:
    """The files that are committed, or every file of ours where there is no git."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, timeout=60, check=False)
    if done.returncode:
        return list(python_files())
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", python_files(), ids=relative)
def test_a_module_is_short_has_a_noun_for_a_name_and_says_what_it_is_for(path: Path) -> None:
    usual = LONGEST_TEST if path.is_relative_to(ROOT / "tests") else LONGEST
    assert len(path.read_text(encoding="utf-8").splitlines()) <= usual
    assert path.stem not in NO_NOUNS
    doc = ast.get_docstring(tree(path))
    assert doc, "it has no docstring"
    assert doc.partition("\n\n")[0].endswith((".", "?")), "its docstring does not begin with a sentence"


@pytest.mark.parametrize("path", python_files(), ids=relative)
def test_a_reason_stands_beside_every_ignore(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    bare = []
    for number, line in enumerate(lines):
        found = IGNORE.search(line)
        if found is None or "re.compile" in line:
            continue
        above = lines[number - 1].strip() if number else ""
        if len(found[1].strip(" #-—:")) < 5 and not above.startswith("#"):
            bare.append(f"{number + 1}: {line.strip()}")
    assert bare == []


def test_a_reason_stands_beside_every_rule_that_is_off() -> None:
    project = page("pyproject.toml")
    ruff = tomllib.loads(project)["tool"]["ruff"]["lint"]
    rules = [f'"{rule}",' for rule in ruff["ignore"]] + [f'"{glob}" =' for glob in ruff["per-file-ignores"]]
    for rule in rules:
        line = next(line for line in project.splitlines() if line.strip().startswith(rule))
        assert re.search(r"#\s+\S", line), line


@pytest.mark.parametrize("path", python_files("tests"), ids=relative)
def test_tests_sleep_only_between_two_looks_at_a_condition(path: Path) -> None:
    if relative(path) in SLEEPS:
        return
    looped = {id(inner) for loop in ast.walk(tree(path)) if isinstance(loop, ast.While) for inner in ast.walk(loop)}
    bare = [
        f"line {node.lineno}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("asyncio.sleep", "time.sleep")
        and id(node) not in looped
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]
    assert bare == []


def test_no_committed_file_names_a_machine_or_a_package_registry() -> None:
    places = (
        "/" + "work/",
        "/" + "root/",
        "/home" + "/",
        "index-" + "url =",
        "--index" + "-url",
        "trusted-" + "host =",
    )
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data or path == Path(__file__):
            continue
        text = data.decode("utf-8")
        found += [f"{relative(path)}: {place}" for place in places if place in text]
        if path.name.startswith("requirements"):
            found += [f"{relative(path)}: {line}" for line in text.splitlines() if "://" in line]
    assert found == []


def test_imports_point_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "folder",
    [
        path.parent
        for path in sorted((ROOT / "vtoc_bots/plugins").rglob("__init__.py"))
        if "hookimpl" in path.read_text()
    ],
    ids=relative,
)
def test_every_plugin_folder_has_the_standard_files(folder: Path) -> None:
    assert (folder / "README.md").is_file()
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# ")
    if folder.parent.name == "connectors":
        assert (folder / "settings.py").is_file()
        assert (folder / "connector.py").is_file()


def test_every_plugin_folder_is_an_entry_point() -> None:
    points = set(tomllib.loads(page("pyproject.toml"))["project"]["entry-points"]["vtoc_bots.plugins"].values())
    folders = {
        relative(path.parent).replace("/", ".")
        for path in (ROOT / "vtoc_bots/plugins").rglob("__init__.py")
        if "hookimpl" in path.read_text(encoding="utf-8")
    }
    assert points == folders


def test_test_names_are_sentences() -> None:
    short = [
        f"{relative(path)}: {node.name}"
        for path in python_files("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and node.name.count("_") < 2
    ]
    assert short == []
