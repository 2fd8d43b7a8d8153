"""Without the package mcp everything else runs, and what needs it says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.api_kit import open_api
from tests.mcp_kit import ROOT, calls, open_mcp_centre, said
from vtoc_bots.core.store.urls import DatabaseUrls

OURS = ("vtoc_bots.core.clients.mcp.", "vtoc_bots.core.web.mcp.")


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is not installed: neither it nor what of ours needs it can be imported."""
    for name in [*sys.modules]:
        if name.startswith(OURS) and name.rpartition(".")[2] not in ("config", "servers", "host", "caller", "lookups"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)


@pytest.mark.usefixtures("missing")
async def test_a_call_and_a_probe_say_what_to_install(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    servers = {"small": {"command": "anything", "tools": ["*"]}}
    async with open_mcp_centre(database_urls, tmp_path, servers, {"call": calls()}) as centre:
        await centre.person("ada")
        assert "pip install 'vtoc-bots[mcp]'" in said(await centre.ask("ada", "/playbook call tool=x"))
        probe = next(each for each in await centre.runtime.health.check() if each.name == "client.mcp.small")
        assert not probe.ok
        assert "pip install 'vtoc-bots[mcp]'" in probe.detail


@pytest.mark.usefixtures("missing")
async def test_the_route_says_what_to_install(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    async with open_api(database_urls, tmp_path) as api:
        headers = {"Authorization": f"Bearer {api.tokens['operator']}"}
        address = f"{api.centre.runtime.address}/mcp"
        async with api.session.post(address, json={}, headers=headers) as answer:
            assert answer.status == 503
            assert "pip install 'vtoc-bots[mcp]'" in (await answer.json())["detail"]


def test_a_process_that_needs_no_mcp_does_not_import_it() -> None:
    program = (
        "import sys, vtoc_bots.core.runtime, vtoc_bots.plugins.mcp\n"
        "print([name for name in ('mcp', 'mcp_types', 'httpx2', 'starlette') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
