"""Recordings: replayed as a source, and printed by `vtoc-bots replay`."""

from __future__ import annotations

import gzip
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.adsb_kit import NOON, FakeClock, adsb_decoder, recording
from vtoc_bots import CaptureFeed, ConfigError, ConnectorSpec, Decoder, TelemetryEvent
from vtoc_bots.core.feeds.replay import replay
from vtoc_bots.plugins.connectors.adsb import connector_spec
from vtoc_bots.plugins.connectors.exercise import connector_spec as exercise_spec

LINE = "MSG,3,1,1,4B1908,1,2024/06/01,12:00:{:02d}.000,2024/06/01,12:00:00.000,,2525,,,43.5,-1.25,,,,,,0\r\n"


def run(
    path: Path, format: str | None = None, spec: ConnectorSpec | None = None
) -> tuple[int, list[dict[str, object]], str]:
    out, err = io.StringIO(), io.StringIO()
    status = replay(path, spec or connector_spec(), format, (43.63, 1.37), out, err)
    return status, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def sbs(tmp_path: Path, *seconds: int, name: str = "a.sbs") -> Path:
    path = tmp_path / name
    path.write_text("".join(LINE.format(second) for second in seconds))
    return path


def decoder_for(head: bytes, name: str) -> Decoder:
    return adsb_decoder("adsb", head=head, name=name, source="tower")


async def everything(feed: CaptureFeed) -> list[TelemetryEvent]:
    return [event async for event in feed.events()]


def test_replay_prints_every_field_of_every_event(tmp_path: Path) -> None:
    status, lines, err = run(sbs(tmp_path, 5))
    assert (status, err) == (0, "records read 1, decoded 1, rejected 0\n")
    assert lines == [
        {
            **dict.fromkeys(TelemetryEvent._fields),
            "entity_id": "4b1908",
            "entity_namespace": "icao",
            "source": "a.sbs",
            "source_type": "adsb",
            "event_time": "2024-06-01T12:00:05Z",
            "latitude": 43.5,
            "longitude": -1.25,
            "altitude_m": pytest.approx(769.62),
            "altitude_datum": "baro",
            "on_ground": False,
            "exercise": False,
            "payload": {},
        }
    ]


def test_a_record_without_a_time_has_none_in_replay() -> None:
    status, lines, err = run(recording("sbs1_node-sbs1_part1.txt"))
    assert (status, len(lines), err) == (0, 2000, "records read 2000, decoded 2000, rejected 0\n")
    assert {line["event_time"] for line in lines} == {None}


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("readsb_aircraft_1.json", 64),
        ("readsb_jsonport_1.jsonl", 48),
        ("opensky_states_python-opensky.json", 4),
        ("beast_traffic_sample_dump1090.bin", 229),
    ],
)
def test_replay_detects_the_format_of_real_recordings(name: str, events: int) -> None:
    assert len(run(recording(name))[1]) == events


def test_replay_sees_through_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.sbs.gz"
    path.write_bytes(gzip.compress(sbs(tmp_path, 1, 2).read_bytes()))
    assert len(run(path)[1]) == 2


def test_broken_gzip_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.sbs.gz"
    path.write_bytes(gzip.compress(sbs(tmp_path, *range(60)).read_bytes())[:-30])
    status, _, err = run(path)
    assert status == 0
    assert "truncated 1" in err


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda data: b"\x1f\x8b" + data))
def test_replay_of_garbage_exits_0(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(data)
    status, _, err = run(path)
    assert status == 0
    assert err.startswith("records read ")


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    status, _, err = run(tmp_path / "absent.json")
    assert status == 2
    assert "can't read" in err
    assert "absent.json: No such file or directory" in err


def test_an_unknown_format_and_a_type_without_recordings_are_errors(tmp_path: Path) -> None:
    status, _, err = run(sbs(tmp_path, 1), format="morse")
    assert status == 2
    assert "there is no format 'morse'. Take one of aircraft, jsonport" in err
    assert run(sbs(tmp_path, 1), spec=exercise_spec())[0] == 2


def test_a_reader_that_has_enough_ends_the_replay_quietly(tmp_path: Path) -> None:
    path = sbs(tmp_path, *range(60), name="long.sbs")
    path.write_text(path.read_text() * 50)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        assert replay(path, connector_spec(), None, None, out, io.StringIO()) == 0


async def test_a_recording_takes_the_files_time_where_records_have_none(tmp_path: Path) -> None:
    path = tmp_path / "old.sbs"
    path.write_text("MSG,8,,,4B1908,,,,,,,,,,,,,,,,,\n" * 3)
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    feed = CaptureFeed("tower", path, FakeClock(), decoder_for)
    assert feed.state() == "waiting"
    assert {event.event_time for event in await everything(feed)} == {NOON}
    assert feed.state() == "finished"
    assert feed.stats() == {"read": 3, "decoded": 3, "rejected": {}, "bytes": 96, "last_event_at": NOON}


async def test_a_recording_plays_at_full_speed_by_default_and_paced_on_request(tmp_path: Path) -> None:
    path = sbs(tmp_path, 0, 4, 3, 10)
    quick, paced = FakeClock(), FakeClock()
    assert len(await everything(CaptureFeed("tower", path, quick, decoder_for))) == 4
    await everything(CaptureFeed("tower", path, paced, decoder_for, speed=2.0))
    assert (quick.sleeps, paced.sleeps) == ([], [2.0, 3.0])


async def test_a_recording_that_is_not_there_fails_naming_source_and_file(tmp_path: Path) -> None:
    feed = CaptureFeed("tower", tmp_path / "absent", FakeClock(), decoder_for)
    with pytest.raises(ConfigError, match=r"tower: can't read .*absent: No such file"):
        await everything(feed)
    assert feed.state() == "failed"


async def test_a_long_recording_is_read_in_pieces(tmp_path: Path) -> None:
    path = sbs(tmp_path, *range(60))
    path.write_text(path.read_text() * 50)
    feed = CaptureFeed("tower", path, FakeClock(), decoder_for)
    assert len(await everything(feed)) == 3000
    assert feed.stats()["last_event_at"] == datetime(2024, 6, 1, 12, 0, 59, tzinfo=UTC)
