"""`vtoc-bots plugin new` and `plugin check`: what is made works, and the grades tell what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs_kit import ROOT
from vtoc_bots import UsageError
from vtoc_bots.scaffold.findings import Finding, lines_of, reached
from vtoc_bots.scaffold.package import check_name, new_package, words_of
from vtoc_bots.scaffold.source_check import untyped

KINDS = ("action", "connector", "transport")
SCRIPTS = Path(sys.executable).parent
Runs = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Runs one of the environment's scripts in a folder."""

    def run(*command: str, where: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / command[0], *command[1:]], cwd=where, capture_output=True, text=True, timeout=300
        )

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_reaches_the_third_grade_as_it_is(tmp_path: Path, runs: Runs, kind: str) -> None:
    made = runs("vtoc-bots", "plugin", "new", kind, "harbour-log")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "vtoc-bots-harbour-log"
    assert 'name = "vtoc-bots-harbour-log"' in (folder / "pyproject.toml").read_text()
    checked = runs("vtoc-bots", "plugin", "check", ".", where=folder)
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.startswith("harbour-log: grade 3 of 3")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "harbour-log", "abcdefghijkl-nopqrstuv-x"])
def test_what_is_made_passes_the_linter_and_the_type_checker(tmp_path: Path, runs: Runs, kind: str, name: str) -> None:
    folder = new_package(kind, name, tmp_path, "0.1.0")  # type: ignore[arg-type]  # one of the kinds
    assert not [path for path in folder.rglob("*") if path.is_file() and re.search(r"@\w+@", path.read_text())]
    for command in (["ruff", "format", "--check", "."], ["ruff", "check", "."]):
        done = runs(*command, where=folder)
        assert done.returncode == 0, done.stdout
    if name == "harbour-log":
        cache = str(ROOT / ".mypy_cache")
        typed = runs("mypy", "--cache-dir", cache, words_of(kind, name, "0.1.0")["module"], "tests", where=folder)  # type: ignore[arg-type]  # one of the kinds
        assert typed.returncode == 0, typed.stdout


@pytest.mark.parametrize(
    "name", ["", "My Plugin", "a_b", "-a", "a--b", "9lives", "../up", "x" * 25, "vtoc-thing", "class"]
)
def test_a_name_that_will_not_do_is_one_clear_line(tmp_path: Path, runs: Runs, name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)
    refused = runs("vtoc-bots", "plugin", "new", "action", "--", name)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_installed_plugins_name_is_taken(runs: Runs) -> None:
    assert "the name adsb is taken" in runs("vtoc-bots", "plugin", "new", "connector", "adsb").stderr


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    (tmp_path / "vtoc-bots-mine").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        new_package("action", "mine", tmp_path, "0.1.0")
    assert list((tmp_path / "vtoc-bots-mine").iterdir()) == []


def test_a_plugin_that_does_not_load_has_no_grade(tmp_path: Path, runs: Runs) -> None:
    folder = new_package("action", "mine", tmp_path, "0.1.0")
    (folder / "vtoc_bots_mine" / "commands.py").write_text("import nowhere_at_all\n")
    checked = runs("vtoc-bots", "plugin", "check", str(folder))
    assert checked.returncode == 11
    assert "No module named 'nowhere_at_all'" in checked.stdout


def test_a_playbook_that_is_wrong_is_named_with_its_line(tmp_path: Path, runs: Runs) -> None:
    folder = new_package("action", "mine", tmp_path, "0.1.0")
    path = folder / "vtoc_bots_mine" / "playbooks" / "report.yml"
    path.write_text(path.read_text().replace("mine.tally", "mine.tully"))
    checked = runs("vtoc-bots", "plugin", "check", str(folder))
    assert checked.returncode == 11
    assert re.search(r"report\.yml:\d+: .*mine\.tully", checked.stdout), checked.stdout


def test_what_is_missing_for_the_first_grade_is_named(tmp_path: Path, runs: Runs) -> None:
    folder = new_package("transport", "mine", tmp_path, "0.1.0")
    package = folder / "vtoc_bots_mine"
    (package / "py.typed").unlink()
    (package / "extra.py").write_text("def loose(one, two=3):\n    return one\n")
    (folder / "README.md").write_text("# Nothing\n")
    for path in (folder / "tests").glob("test_*.py"):
        path.unlink()
    checked = runs("vtoc-bots", "plugin", "check", str(folder))
    assert checked.returncode == 11
    for missing in ("extra.py:1 loose", "py.typed", "MINE_TOKEN", "TransportContract"):
        assert missing in checked.stdout


def test_a_connector_that_gives_up_stays_at_the_first_grade(tmp_path: Path, runs: Runs) -> None:
    folder = new_package("connector", "mine", tmp_path, "0.1.0")
    path = folder / "vtoc_bots_mine" / "connector.py"
    path.write_text(path.read_text() + GIVES_UP)
    checked = runs("vtoc-bots", "plugin", "check", str(folder))
    assert checked.returncode == 12, checked.stdout
    assert "test_it_connects_again_after_pauses_of_the_injected_clock" in checked.stdout


GIVES_UP = '''

class Impatient(TcpReader):
    """Reads one connection, and ends the process's patience with it."""

    async def chunks(self) -> "AsyncGenerator[tuple[bytes, datetime]]":
        async for chunk in super().chunks():
            yield chunk
        raise RuntimeError("the end")


TcpReader = Impatient
'''


def test_an_action_that_blocks_stays_at_the_second_grade(tmp_path: Path, runs: Runs) -> None:
    folder = new_package("action", "mine", tmp_path, "0.1.0")
    path = folder / "vtoc_bots_mine" / "actions.py"
    path.write_text(
        path.read_text().replace("    shape = area", "    import time\n\n    time.sleep(1)\n    shape = area")
    )
    checked = runs("vtoc-bots", "plugin", "check", str(folder))
    assert checked.returncode == 13, checked.stdout
    assert "the event loop was held up" in checked.stdout


def test_an_installed_plugin_without_its_tests_is_told_to_bring_them(runs: Runs) -> None:
    assert "neither an installed plugin" in runs("vtoc-bots", "plugin", "check", "no-such-plugin").stderr
    alone = runs("vtoc-bots", "plugin", "check", "catalogue")
    assert alone.returncode == 0, alone.stdout


def test_grades_build_upon_each_other() -> None:
    third = [Finding(1, True, ""), Finding(2, True, ""), Finding(3, True, "")]
    assert reached(third) == 3
    assert reached([*third, Finding(2, False, "it is deaf")]) == 1
    text = "\n".join(lines_of("mine", [*third, Finding(2, False, "it is deaf")]))
    assert "grade 1 of 3" in text
    assert "- it is deaf" in text
    assert "3. stands repeats, faults and a busy loop: after the one before" in text


def test_functions_without_types_are_found_from_the_source(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "class A:\n    def ok(self, x: int) -> int: ...\n    def bad(self, x) -> int: ...\n"
        "async def worse(*a: int, **k) -> None: ...\ndef worst(): ...\n"
    )
    assert untyped(tmp_path / "one.py") == ["one.py:3 bad", "one.py:4 worse", "one.py:5 worst"]
