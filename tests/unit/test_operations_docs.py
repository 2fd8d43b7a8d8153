"""docs/operations.md knows every event that observability and the web server log."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_event_logged_here_is_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    events = page.split("| event |")[1].split("\n\n")[0]
    documented = set(re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in events.splitlines()[2:])))
    code = [*(ROOT / "vtoc_bots/core/observe").glob("*.py"), *(ROOT / "vtoc_bots/core/web").glob("*.py")]
    logged = set()
    for path in code:
        logged |= set(re.findall(r"logger\.(?:\w+)\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")))
    assert documented == logged | {"library_logged"}
