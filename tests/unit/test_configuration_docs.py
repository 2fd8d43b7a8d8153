"""docs/configuration.md and the examples in config/ say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vtoc_bots.core.config import CAPTURE_KEYS
from vtoc_bots.core.settings import Settings, documented_settings, load_settings
from vtoc_bots.plugins.connectors.adsb.settings import AdsbSettings
from vtoc_bots.plugins.connectors.exercise.settings import ExerciseSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def load(config_dir: Path) -> Settings:
    return load_settings(config_dir, config_dir / "data", {})


def uncommented(name: str) -> str:
    """The example that stands commented out at the end of a shipped file."""
    lines = (ROOT / "config" / name).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if re.fullmatch(r"# \w+:", line))
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[start:])


def test_every_setting_is_in_the_documentation_and_no_other() -> None:
    wanted = [
        f"| `{setting.name}` | {setting.default or '–'} | {setting.accepts} | {setting.about} |"
        for setting in documented_settings()
    ]
    assert [line for line in PAGE.splitlines() if re.match(r"\| `[A-Z_]+` \| [^|]+ \| [^|]+ \| ", line)] == wanted


def test_the_shipped_files_mean_defaults() -> None:
    settings = load(ROOT / "config")
    assert [station.callsign for station in settings.stations] == ["TOC-S1"]
    assert [source.type for source in settings.sources] == ["exercise"]
    assert settings.disabled_sources == ()


def test_the_commented_examples_work(tmp_path: Path) -> None:
    for name in ("stations.yml", "connectors.yml"):
        (tmp_path / name).write_text(uncommented(name), encoding="utf-8")
    settings = load(tmp_path)
    assert [station.slug for station in settings.stations] == ["toc-s1", "toc-s2"]
    assert [source.slug for source in settings.sources] == ["roof-receiver", "basestation", "yesterday"]
    for source in (*settings.sources, *settings.disabled_sources):
        source.read(AdsbSettings) if source.type == "adsb" else source.read(ExerciseSettings)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_files_shown_in_the_documentation_work(tmp_path: Path, number: int) -> None:
    text = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[number]
    (tmp_path / ("stations.yml", "policies.yml", "connectors.yml")[number]).write_text(text, encoding="utf-8")
    settings = load(tmp_path)
    for source in settings.sources:
        source.read(AdsbSettings if source.type == "adsb" else ExerciseSettings)


def test_every_name_of_a_recorded_file_is_documented() -> None:
    assert all(f"`{key}`" in PAGE for key in CAPTURE_KEYS)
