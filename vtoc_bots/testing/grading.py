"""A pytest plugin of `vtoc-bots plugin check`: runs the contract suites alone and writes down how each test ended."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

from vtoc_bots.testing.action_contract import ActionContract
from vtoc_bots.testing.connector_contract import ConnectorContract
from vtoc_bots.testing.transport_contract import TransportContract

OPTION: Final = "--vtoc-grades"
PACKAGE: Final = "--vtoc-package"
CONTRACTS: Final = {"transport": TransportContract, "connector": ConnectorContract, "action": ActionContract}
_REPORT: Final = pytest.StashKey[list[dict[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the report goes, and whose tests are run."""
    parser.addoption(OPTION, help="the file that the outcomes are written to")
    parser.addoption(PACKAGE, default="", help="only contract tests whose module knows this package; all if empty")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the report."""
    config.stash[_REPORT] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what belongs to a contract."""
    package = str(config.getoption(PACKAGE))
    kept = [item for item in items if contract_of(item) and (not package or _knows(item, package))]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Note how a test ended: passed, failed or skipped, and why."""
    report = yield
    said = item.config.stash[_REPORT]
    if call.when == "call" or (call.when == "setup" and not report.passed):
        said.append(_outcome(item, report))
    elif call.when == "teardown" and report.failed and said and said[-1]["outcome"] == "passed":
        said[-1] = _outcome(item, report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report."""
    where = session.config.getoption(OPTION)
    if where:
        Path(str(where)).write_text(json.dumps(session.config.stash[_REPORT]), encoding="utf-8")


def contract_of(item: pytest.Item) -> str | None:
    """The kind of plugin whose contract a test belongs to."""
    cls = getattr(item, "cls", None)
    name = getattr(item, "originalname", "")
    if cls is None:
        return None
    return next((kind for kind, base in CONTRACTS.items() if issubclass(cls, base) and hasattr(base, name)), None)


def _outcome(item: pytest.Item, report: Any) -> dict[str, str]:
    spec = getattr(item, "funcargs", {}).get("spec")
    return {
        "contract": contract_of(item) or "",
        "test": getattr(item, "originalname", item.name),
        "id": item.nodeid,
        "of": str(getattr(spec, "type", None) or getattr(spec, "name", "")),
        "outcome": report.outcome,
        "why": _why(report),
    }


def _knows(item: pytest.Item, package: str) -> bool:
    names = [package, f"{package}."]
    return any(
        str(getattr(value, "__module__", "") or getattr(value, "__name__", "")).startswith(names[1])
        or getattr(value, "__name__", "") == names[0]
        for value in vars(getattr(item, "module", None) or object).values()
    )


def _why(report: Any) -> str:
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message).partition("\n")[0] if crash is not None else ""
