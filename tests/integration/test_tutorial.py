"""docs/tutorial.md, done from an empty folder: what it makes is tested, checked, installed, listed, and answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs_kit import blocks

PAGE = "docs/tutorial.md"
SCRIPTS = Path(sys.executable).parent
NAMED = re.compile(r"^# (\S+\.(?:py|yml))\n")


def files_of(page: str) -> dict[str, str]:
    """The files that the page shows, by path: blocks whose first line is a comment with it."""
    every = [*blocks(page, "python"), *blocks(page, "yaml")]
    return {found[1]: text[found.end() :] for text in every if (found := NAMED.match(text))}


def call(where: Path, *command: str, site: Path | None = None, said: str = "") -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(where), "NO_COLOR": "1"}
    if site is not None:
        environ["PYTHONPATH"] = str(site)
    return subprocess.run(
        [SCRIPTS / command[0], *command[1:]],
        cwd=where,
        env=environ,
        input=said,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which the tutorial was followed to the end of its files."""
    parent = tmp_path_factory.mktemp("afternoon")
    # The embedded Postgres's user passes through.
    parent.chmod(0o755)
    [begin] = [line for block in blocks(PAGE, "sh") for line in block.splitlines() if "new action" in line]
    made = call(parent, *begin.split())
    assert made.returncode == 0, made.stderr
    for name, text in files_of(PAGE).items():
        path = parent / "vtoc-bots-tides" / name
        assert path.exists(), f"the scaffold makes no {name}"
        path.write_text(text, encoding="utf-8")
    return parent / "vtoc-bots-tides"


def test_the_page_shows_a_whole_plugin() -> None:
    assert {name.rpartition("/")[2] for name in files_of(PAGE)} == {
        "actions.py",
        "commands.py",
        "report.yml",
        "__init__.py",
        "test_action.py",
    }


def test_its_tests_pass(folder: Path) -> None:
    done = call(folder, "pytest", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_linter_type_checker_and_check_are_content(folder: Path) -> None:
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        done = call(folder, *command)
        assert done.returncode == 0, done.stdout
    checked = call(folder, "vtoc-bots", "plugin", "check", ".")
    assert checked.returncode == 0, checked.stdout
    assert "grade 3 of 3" in checked.stdout


def test_installed_with_pip_it_is_listed_and_answers(folder: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    site = tmp_path / "site"
    offline = ("--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check", "--no-index")
    install = ["python", "-m", "pip", "install", *offline, "--target", str(site), str(folder)]
    installed = call(tmp_path, *install)
    assert installed.returncode == 0, installed.stderr
    listed = call(tmp_path, "vtoc-bots", "plugin", "list", site=site)
    [row] = [line for line in listed.stdout.splitlines() if line.startswith("tides ")]
    assert "vtoc-bots-tides 0.1.0" in row
    assert "commands: tides; actions: tides.next" in row
    answered = call(tmp_path, "vtoc-bots", "chat", site=site, said="/tides hamburg\n")
    assert answered.returncode == 0, answered.stderr
    assert "High water at hamburg" in answered.stdout
