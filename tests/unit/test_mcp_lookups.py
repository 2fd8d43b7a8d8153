"""What MCP clients may look at: schemas of tools, addresses of resources, and what a check's data says."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from vtoc_bots.core.access import Level
from vtoc_bots.core.clients.mcp.servers import judged
from vtoc_bots.core.web.mcp.caller import OURS
from vtoc_bots.core.web.mcp.lookups import LOOKUPS
from vtoc_bots.core.web.mcp.offers import DIALECT, offer_at, parts_of


def test_a_tools_schema_names_its_query_and_its_path() -> None:
    assert set(LOOKUPS["list_runs"].schema["properties"]) == {"limit", "cursor", "state", "playbook"}
    assert LOOKUPS["get_run"].schema["required"] == ["run_id"]
    assert LOOKUPS["show_dashboard"].schema["properties"] == {}
    assert all(each.schema["additionalProperties"] is False for each in LOOKUPS.values())


def test_arguments_are_checked_as_the_api_checks_them() -> None:
    run_id = uuid4()
    assert LOOKUPS["get_run"].values({"run_id": str(run_id)}, "toc-s1") == {"run_id": run_id}
    assert LOOKUPS["show_timeline"].values({"limit": 7}, "toc-s1")["slug"] == "toc-s1"
    for name, arguments in (
        ("get_run", {}),
        ("get_run", {"run_id": "x"}),
        ("list_runs", {"limit": 0}),
        ("list_runs", {"unknown": 1}),
        ("list_stations", {"unknown": 1}),
    ):
        with pytest.raises(ValidationError):
            LOOKUPS[name].values(arguments, "toc-s1")


def test_an_address_names_a_resource_and_its_parts() -> None:
    run = offer_at(OURS.offers, "vtoc://runs/123")
    assert run is not None
    assert (run[0].name, run[1]) == ("get_run", {"run_id": "123"})
    runs = offer_at(OURS.offers, "vtoc://runs")
    assert runs is not None
    assert runs[0].name == "list_runs"
    for uri in ("vtoc://", "vtoc:runs", "http://runs", "vtoc://runs/1/2", "vtoc://cancel_run", "vtoc://telemetry"):
        assert offer_at(OURS.offers, uri) is None
    assert parts_of("vtoc://runs/{run_id}/files/{name}", "vtoc://runs/1/files/a%2Fb%20c.png") == {
        "run_id": "1",
        "name": "a/b c.png",
    }


def test_every_schema_names_its_dialect() -> None:
    assert {offer.schema["$schema"] for offer in OURS.offers if offer.schema is not None} == {DIALECT}


def test_nothing_here_changes_anything_but_by_an_operators_level() -> None:
    assert [name for name, each in LOOKUPS.items() if each.changes] == ["cancel_run"]
    assert LOOKUPS["cancel_run"].operation.level is Level.OPERATOR
    assert {each.operation.method for name, each in LOOKUPS.items() if name != "cancel_run"} == {"GET"}


@pytest.mark.parametrize(
    ("data", "ok", "hint"),
    [
        (None, True, ""),
        ({"ok": True}, True, ""),
        ({"healthy": False, "remedy": "restart"}, False, "restart"),
        ({"status": "FAILED", "hints": ["a", "b"]}, False, "a; b"),
        ({"status": "degraded", "remediation": "soon"}, True, "soon"),
        ([1], True, ""),
    ],
)
def test_a_checks_data_says_whether_all_is_well(data: Any, ok: bool, hint: str) -> None:
    assert judged(data) == (ok, hint)
