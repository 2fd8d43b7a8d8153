"""`vtoc-bots plugin check`: which grade a plugin has reached, and what the next one takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from vtoc_bots.core.loader import Loaded, PluginManifest, PluginState, load
from vtoc_bots.core.playbooks.load import load_playbooks
from vtoc_bots.core.ports import ActionSpec, ConnectorSpec
from vtoc_bots.scaffold.findings import Finding
from vtoc_bots.scaffold.source_check import untyped
from vtoc_bots.scaffold.subject import Subject

SUITE_SECONDS: Final = 900
MOST_SHOWN: Final = 5
KINDS: Final = {"transports": "transport", "connectors": "connector", "actions": "action"}
SECOND: Final = frozenset(
    {
        "test_it_connects_again_and_hears_on",
        "test_it_connects_again_after_pauses_of_the_injected_clock",
        "test_it_says_how_it_is",
        "test_live_events_are_whole_and_it_says_how_it_is",
        "test_it_ends_when_it_is_cancelled",
        "test_a_wrong_credential_is_one_line_that_names_the_variable",
    }
)
"""Tests of the contracts that the second grade is about; the third is about all the others."""
NEEDED: Final = {
    "test_it_says_how_it_is": "it reports no health: give the transport an async probe(), see ReportsHealth"
}
"""Tests that must not be skipped, and what to do where they are."""


class PlaceholderSettings:
    """Settings in which every variable has some value, so that a plugin loads whatever it needs."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._settings, name)

    def missing(self, *names: str) -> tuple[str, ...]:
        """None is."""
        return ()

    def read(self, model: Any) -> Any:
        """The model with what is set, and a placeholder where something needed is not."""
        values = dict(self._settings.variables)
        for name, field in model.model_fields.items():
            key = field.alias or name
            if field.is_required() and key not in values:
                values[key] = "https://placeholder.example" if "URL" in key.upper() else "1"
        return model.model_validate(values)


def findings_of(subject: Subject, settings: Any) -> list[Finding]:
    """Everything there is to find about a plugin."""
    loaded = load(PlaceholderSettings(settings), entries=[subject.entry])
    [report] = loaded.reports
    if report.state is not PluginState.ON:
        return [Finding(1, False, f"it does not load: {report.reason}"), *_after(loaded)]
    declared = {kind: names for kind, names in report.registers.items() if kind in KINDS}
    first = [
        Finding(1, True, "it loads"),
        *_described(subject, loaded, report.manifest),
        *_typed(subject),
        *_playbooks(loaded, load(settings).actions),
    ]
    if not declared:
        return [*first, Finding(2, True, "nothing of it connects"), Finding(3, True, "no contract is for it")]
    return [*first, *_tested(subject, declared)]


def _after(loaded: Loaded) -> list[Finding]:
    return [Finding(grade, False, "it must load first") for grade in (2, 3)]


def _described(subject: Subject, loaded: Loaded, manifest: PluginManifest | None) -> Iterator[Finding]:
    yield Finding(1, manifest is not None and bool(manifest.summary), "its module needs a `manifest` with a summary")
    required = manifest.required_settings if manifest is not None else ()
    for name in required:
        yield Finding(1, name in subject.readme, f"its README does not say what {name} is")
    secret = ("TOKEN", "SECRET", "PASSWORD", "KEY")
    for name in required:
        if name.rpartition("_")[2] in secret:
            known = manifest is not None and name in manifest.secrets
            yield Finding(1, known, f"{name} looks like a secret: name it in the manifest's secrets")
    for spec in loaded.connectors:
        yield from _settings_described(spec, subject)


def _playbooks(loaded: Loaded, others: Sequence[ActionSpec]) -> Iterator[Finding]:
    """What is wrong with its playbooks, as far as they use its own actions and those that are installed."""
    if not loaded.playbook_paths:
        return
    known = {spec.name: spec for spec in (*others, *loaded.actions)}
    _, errors = load_playbooks(loaded.playbook_paths, known)
    yield Finding(1, not errors, "; ".join(str(error) for error in errors))


def _settings_described(spec: ConnectorSpec, subject: Subject) -> Iterator[Finding]:
    yield Finding(1, bool(spec.description), f"the connector {spec.type} has no description")
    for name, field in spec.settings.model_fields.items():
        yield Finding(1, bool(field.description), f"the setting {name} of {spec.type} has no description")
    strict = spec.settings.model_config.get("extra") == "forbid"
    yield Finding(1, strict, f"the settings of {spec.type} must forbid unknown keys (extra='forbid')")


def _typed(subject: Subject) -> Iterator[Finding]:
    spec = find_spec(subject.module)
    if spec is None or spec.origin is None:
        return
    path = Path(spec.origin)
    root = path.parent if path.name == "__init__.py" else path
    bare = untyped(root)
    more = f" and {len(bare) - MOST_SHOWN} more" if len(bare) > MOST_SHOWN else ""
    yield Finding(1, not bare, f"functions without types: {', '.join(bare[:MOST_SHOWN])}{more}")
    if root.is_dir():
        marked = any(
            (folder / "py.typed").is_file() for folder in (root, *root.parents[: len(subject.module.split("."))])
        )
        yield Finding(1, marked, f"{root.name} has no py.typed: type checkers won't believe its types")


def _tested(subject: Subject, declared: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """What its contract tests say."""
    if find_spec("pytest") is None or find_spec("pytest_asyncio") is None:
        why = "its tests can't be run: pip install 'vtoc-bots[testing]'"
    elif subject.folder is None or not (subject.folder / "tests").is_dir():
        why = "its tests are needed: give the folder that has them (vtoc-bots plugin check FOLDER)"
    else:
        why, outcomes = _outcomes(subject)
        if not why:
            yield from _judged(outcomes, declared)
            return
    yield from (Finding(grade, False, why) for grade in (2, 3))


def _outcomes(subject: Subject) -> tuple[str, list[dict[str, str]]]:
    """Run the contract tests: why that could not be done, and how each ended."""
    assert subject.folder is not None
    with TemporaryDirectory(prefix="vtoc-check-") as folder:
        report = Path(folder) / "grades.json"
        run = [sys.executable, "-m", "pytest", "-q", "-p", "vtoc_bots.testing.grading", "--vtoc-grades", str(report)]
        if not subject.alone:
            run += ["--vtoc-package", subject.module]
        try:
            done = subprocess.run(  # noqa: S603  our own interpreter, on the folder that was given
                [*run, "tests"], cwd=subject.folder, capture_output=True, text=True, timeout=SUITE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"its tests did not end within {SUITE_SECONDS} s", []
        if not report.is_file() or done.returncode not in (0, 1, 5):
            last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
            return f"its tests can't be run: {last}", []
        outcomes: list[dict[str, str]] = json.loads(report.read_text(encoding="utf-8"))
        return "", outcomes


def _judged(outcomes: Sequence[Mapping[str, str]], declared: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    for kind, names in declared.items():
        contract = KINDS[kind]
        ended = [each for each in outcomes if each["contract"] == contract]
        for name in names:
            covered = any(each["of"] in (name, "") or contract == "transport" for each in ended)
            text = f"no test subclasses {contract.capitalize()}Contract for the {contract} {name}"
            yield from (Finding(grade, covered, text) for grade in (2, 3))
        for each in ended:
            yield Finding(_grade(each["test"]), each["outcome"] != "failed", f"{each['id']} failed: {each['why']}")
            if each["outcome"] == "skipped" and each["test"] in NEEDED:
                yield Finding(_grade(each["test"]), False, NEEDED[each["test"]])


def _grade(test: str) -> int:
    return 2 if test in SECOND else 3
