"""Schemathesis asks the API what its document allows, and much that it does not: every answer is as written."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.api_kit import PLAYBOOKS, Api, open_api
from vtoc_bots.core.store.urls import DatabaseUrls

CONFIG = """
request-timeout = 10.0
workers = 1
warnings = false

[parameters]
"path.source" = "radar"
"path.slug" = "toc-s1"

[generation]
max-examples = 40
deterministic = true

[checks.positive_data_acceptance]
# 400 and 422: what a schema can't say (a cursor of ours, a playbook's inputs). 404 and 409: what is there.
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422"]
"""
"""One worker: Python 3.11 counts the depth of a syntax tree for all threads together, and Hypothesis parses sources in
each of them, with a callback of the garbage collector that lets another thread in between (SystemError: AST constructor
recursion depth mismatch)."""


PHASES = ("Coverage", "Fuzzing", "Stateful")


async def fuzz(api: Api, folder: Path) -> tuple[int, str]:
    """Run it against the API; its exit code and what it says."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"{api.base}/openapi.json", "--header", f"Authorization: Bearer {api.tokens['lead']}"),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--no-color", "--continue-on-failure"),
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode(errors="replace")


async def test_no_request_gets_an_undocumented_answer_or_a_fault(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    async with open_api(database_urls, tmp_path, {"count": PLAYBOOKS["count"]}) as api:
        (tmp_path / "fuzz").mkdir()
        await api.post("/telemetry/sources", {"name": "Radar", "slug": "radar"})
        code, told = await fuzz(api, tmp_path / "fuzz")
        faults = await api.centre.row("SELECT count(*) AS n FROM vtoc_engine.audit WHERE event LIKE 'api.%'")
    assert code == 0, told
    assert [phase for phase in PHASES if f"✅ {phase}" not in told] == [], told
    assert faults["n"] > 0, "it got as far as doing things"
