"""The product's main job, as an operator's script does it: a capture in, a table and a map out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RECORDINGS = Path(os.environ.get("VTOC_TEST_DATA", "../shared")) / "data" / "adsb"


def chat(folder: Path, lines: str, source: dict[str, str], wait: int = 60) -> subprocess.CompletedProcess[str]:
    """Run ``vtoc-bots chat`` on one offline source."""
    config = folder / "config"
    config.mkdir(exist_ok=True)
    (config / "connectors.yml").write_text(
        json.dumps({"sources": {"capture": {"type": "adsb", "mode": "offline", **source}}})
    )
    command = [sys.executable, "-m", "vtoc_bots", "chat", "--config", str(config), "--data", str(folder / "data")]
    return subprocess.run(
        [*command, "--out", str(folder / "out"), "--wait", str(wait)],
        input=lines,
        capture_output=True,
        text=True,
        timeout=wait + 60,
        check=False,
    )


def made_capture(folder: Path) -> Path:
    """Three aircraft, one of them without a position, in readsb's format."""
    aircraft = [
        {
            "hex": "abc001",
            "flight": "AAA1    ",
            "lat": 43.1,
            "lon": 6.1,
            "alt_baro": 30000,
            "gs": 400,
            "track": 90,
            "seen": 0.1,
        },
        {"hex": "abc002", "flight": "BBB2    ", "lat": 43.3, "lon": 6.4, "alt_baro": "ground", "gs": 10, "seen": 0.2},
        {"hex": "abc003", "flight": "CCC3    ", "alt_baro": 10000, "seen": 0.3},
    ]
    path = folder / "aircraft.json"
    path.write_text(json.dumps({"now": 1700513836.5, "messages": 1, "aircraft": aircraft}))
    return path


def test_a_capture_is_answered_with_its_tracks_and_a_map_and_again_without_replaying(tmp_path: Path) -> None:
    source = {"url": f"file://{made_capture(tmp_path)}"}
    for _ in range(2):
        ended = chat(tmp_path, "/playbook op_airtrack_merge\n/sources\n", source)
        assert ended.returncode == 0, ended.stderr
        assert "Air tracks: 2" in ended.stdout
        assert "AAA1" in ended.stdout
        assert "2023-11-20" in ended.stdout
        picture = re.search(r"^\[image\] (.+)$", ended.stdout, re.MULTILINE)
        assert picture is not None
        assert Path(picture[1]).read_bytes().startswith(b"\x89PNG")
    log = (tmp_path / "data" / "log" / "vtoc-bots.log").read_text()
    assert log.count('"event":"capture_replayed"') == 1


def test_a_capture_that_can_not_be_read_is_told_to_the_operator(tmp_path: Path) -> None:
    ended = chat(tmp_path, "/playbook op_airtrack_merge\n", {"log_path": str(tmp_path / "gone.json")})
    assert ended.returncode == 0, ended.stderr
    assert "FAILED" in ended.stdout
    assert "capture" in ended.stdout


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not here (VTOC_TEST_DATA)")
@pytest.mark.parametrize("key", ["url", "log_path"])
def test_the_recorded_snapshot_has_63_tracks(tmp_path: Path, key: str) -> None:
    path = RECORDINGS / "readsb_aircraft_1.json"
    ended = chat(tmp_path, "/playbook op_airtrack_merge\n", {key: f"file://{path}" if key == "url" else str(path)})
    assert ended.returncode == 0, ended.stderr
    assert "Air tracks: 63" in ended.stdout
