"""The ChatKit plugin declares what it is, and costs little until somebody asks its server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vtoc_bots.core.loader import load
from vtoc_bots.core.settings import load_settings
from vtoc_bots.plugins import chatkit

REMOTE = {
    "CHATKIT_API_BASE_URL": "https://chatkit.example",
    "CHATKIT_API_KEY": "a-key-of-the-organisation",
    "CHATKIT_ORG_ID": "org-7",
    "POSTGRES_STATION_ROLE": "ops",
    "STATION_CALLSIGN": "TOC-S1",
}


@pytest.mark.parametrize(("environ", "account"), [({}, "own"), (REMOTE, "org-7")])
def test_its_account_is_the_organisation_that_is_set(tmp_path: Path, environ: dict[str, str], account: str) -> None:
    settings = load_settings(tmp_path, tmp_path, environ=environ)
    loaded = load(settings, entries=[], extra={"chatkit": chatkit})
    (spec,) = loaded.transports
    assert (spec.name, spec.account) == ("chatkit", account)
    assert {command.name for command in loaded.commands} == {"chatkit said", "chatkit thread"}
    assert all(command.event for command in loaded.commands)


def test_the_sdk_is_not_imported_with_the_transport() -> None:
    code = (
        "import sys, vtoc_bots.plugins.chatkit, vtoc_bots.plugins.chatkit.transport;"
        "sys.exit(any(name.partition('.')[0] in ('chatkit', 'agents', 'openai') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == 0
