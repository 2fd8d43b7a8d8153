"""Stations and sources from their YAML files: defaults, and errors that name the line and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from vtoc_bots.core.config import StationEntry, channels_of, default_mode, slug_of
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.settings import Settings, load_settings


def load(tmp_path: Path, **variables: str) -> Settings:
    return load_settings(tmp_path, tmp_path / "data", variables, env_dir=tmp_path)


def refused(tmp_path: Path, **variables: str) -> str:
    with pytest.raises(StartupError) as caught:
        load(tmp_path, **variables)
    return str(caught.value)


def write(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")


STATIONS = """\
stations:
  toc-s1:
    role: ops
    latitude: 48.85
    longitude: 2.35
    radius_m: 50000
    timezone: Europe/Paris
    channels: ["telegram:*:-100123*"]
  TOC_S2: {role: vtoc_intel, name: Second}
"""


def test_stations_are_read_with_their_defaults(tmp_path: Path) -> None:
    write(tmp_path, "stations.yml", STATIONS)
    settings = load(tmp_path)
    first, second = settings.stations
    assert settings.station is not None
    assert settings.station == first
    assert (first.callsign, first.name, first.latitude, first.channels) == (
        "TOC-S1",
        "TOC-S1",
        48.85,
        ("telegram:*:-100123*",),
    )
    assert (second.slug, second.callsign, second.name, second.role) == ("toc-s2", "TOC_S2", "Second", "intel")


def test_the_callsign_picks_this_process_station_and_adds_an_unlisted_one(tmp_path: Path) -> None:
    write(tmp_path, "stations.yml", STATIONS)
    assert load(tmp_path, STATION_CALLSIGN="TOC-S2").station.role == "intel"
    settings = load(tmp_path, STATION_CALLSIGN="TOC-S9", POSTGRES_STATION_ROLE="logistics")
    assert [station.slug for station in settings.stations] == ["toc-s1", "toc-s2", "toc-s9"]
    assert settings.station.role == "logistics"


def test_a_role_that_contradicts_stations_yml_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "stations.yml", STATIONS)
    text = refused(tmp_path, STATION_CALLSIGN="TOC-S2", POSTGRES_STATION_ROLE="ops")
    assert "station toc-s2 is intel, but POSTGRES_STATION_ROLE is ops" in text


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{rolle: ops}", "rolle is not a known key. Did you mean role?"),
        ("{role: boss}", "a station role is ops, intel or logistics"),
        ("{latitude: 1}", "latitude and longitude come together"),
        ("{latitude: 91, longitude: 0}", "less than or equal to 90"),
        ("{radius_m: 5}", "radius_m needs latitude and longitude"),
        ("{timezone: Mars/Olympus}", "no such timezone"),
        ("{timezone: ../../etc/passwd}", "no such timezone"),
        ("{callsign: NO}", "put it in quotes"),
        ("{slug: x}", "the key is the slug"),
        ("text", "holds keys and values"),
    ],
)
def test_a_wrong_station_is_named_with_its_line_and_the_fix(tmp_path: Path, entry: str, said: str) -> None:
    write(tmp_path, "stations.yml", f"stations:\n\n  toc-s1: {entry}\n")
    text = refused(tmp_path)
    assert text.startswith(f"{tmp_path / 'stations.yml'}:3: ")
    assert said in text


SOURCES = """\
sources:
  paris_1:
    type: adsb
    url: file:///captures/aircraft.json
    position: 48.85,2.35
  tower:
    type: adsb
    enabled: false
    mode: online
    schedule: "*/5 * * * *"
    log_path: x.json
    station: TOC_S1
    station_role: vtoc_ops
    chatkit_channel: toc-s1
    broadcast: true
"""


class AdsbLike(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str = ""
    position: str | None = None


def test_enabled_sources_replace_the_exercise_and_keep_their_connectors_keys(tmp_path: Path) -> None:
    write(tmp_path, "connectors.yml", SOURCES)
    settings = load(tmp_path)
    (source,) = settings.sources
    assert (source.slug, source.type, source.mode, source.station) == ("paris_1", "adsb", "offline", "toc-s1")
    assert source.read(AdsbLike).position == "48.85,2.35"
    (tower,) = settings.disabled_sources
    assert (tower.mode, tower.schedule, tower.broadcast, tower.options) == (
        "online",
        "*/5 * * * *",
        True,
        {"log_path": "x.json"},
    )


def test_the_exercise_runs_when_no_source_is_enabled(tmp_path: Path) -> None:
    write(tmp_path, "connectors.yml", "sources:\n  a: {type: adsb, enabled: false}\n")
    assert [source.type for source in load(tmp_path).sources] == ["exercise"]


def test_a_connectors_wrong_keys_are_named_with_their_lines(tmp_path: Path) -> None:
    write(tmp_path, "connectors.yml", "sources:\n  a:\n    type: adsb\n    urll: x\n    position: 3\n")
    (source,) = load(tmp_path).sources
    with pytest.raises(StartupError) as caught:
        source.read(AdsbLike)
    text = str(caught.value)
    assert f"{tmp_path / 'connectors.yml'}:4: sources.a.urll is not a known key. Did you mean url?" in text
    assert f"{tmp_path / 'connectors.yml'}:5: sources.a.position must be text" in text


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{enabled: true}", "type is missing"),
        ("{type: adsb, mode: live}", "'online', 'offline' or 'chatkit'"),
        ("{type: adsb, schedule: sometimes}", "a schedule is five cron fields"),
        ("{type: adsb, schedule: 61 * * * *}", "a schedule is five cron fields"),
        ("{type: adsb, schedule: 99999d}", "out of range"),
        ("{type: adsb, station: toc-s7}", "no station toc-s7; stations.yml knows toc-s1. Did you mean toc-s1?"),
        ("{type: adsb, station_role: intel}", "station toc-s1 is ops, not intel"),
        ("{type: adsb, broadcast: perhaps}", "valid boolean"),
    ],
)
def test_a_wrong_source_is_named_with_its_line_and_the_fix(tmp_path: Path, entry: str, said: str) -> None:
    write(tmp_path, "connectors.yml", f"sources:\n\n  a: {entry}\n")
    text = refused(tmp_path)
    assert text.startswith(f"{tmp_path / 'connectors.yml'}:3: ")
    assert said in text


@pytest.mark.parametrize("schedule", ["now", "30s", "15m", "*/5 * * * *", "0 6 * * mon-fri"])
def test_a_schedule_is_cron_an_interval_or_now(tmp_path: Path, schedule: str) -> None:
    write(tmp_path, "connectors.yml", f"sources:\n  a: {{type: adsb, schedule: '{schedule}'}}\n")
    assert load(tmp_path).sources[0].schedule == schedule


def test_all_that_is_wrong_in_a_file_is_said_at_once(tmp_path: Path) -> None:
    write(tmp_path, "connectors.yml", "source: {}\nsources:\n  a: {mode: x}\n  b: 1\n")
    text = refused(tmp_path)
    assert "4 things are wrong" in text
    assert "source is not a known section. Did you mean sources?" in text


def test_a_file_is_the_default_for_offline_and_a_stream_for_online() -> None:
    assert default_mode({"url": "file://x"}) == "offline"
    assert default_mode({"log_path": "x"}) == "offline"
    assert default_mode({"url": "sbs://h:1"}) == "online"


@given(st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True))
def test_a_slug_of_a_slug_is_itself(text: str) -> None:
    assert slug_of(slug_of(text)) == slug_of(text)


def test_a_conversation_that_one_station_alone_is_told_in_is_its_own() -> None:
    pier, quay, both = "room:bot:pier", "room:bot:quay", "room:bot:both"
    first = StationEntry(slug="one", callsign="ONE", name="One", channels=(pier,), notices=(both, quay))
    second = StationEntry(slug="two", callsign="TWO", name="Two", notices=(pier, both))
    assert channels_of((first, second)) == {pier: "one", quay: "one"}
