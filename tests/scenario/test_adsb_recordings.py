"""Real Mode S recordings: every position, name and altitude is what independent decoders found."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.adsb_kit import (
    NOON,
    TOULOUSE,
    all_call,
    avr,
    decode,
    events_in,
    positions_in,
    reasons_in,
    recording,
)
from vtoc_bots import Rejected, TelemetryEvent, distance_m
from vtoc_bots.plugins.connectors.adsb.decode import decoder_of
from vtoc_bots.plugins.connectors.exercise.encode_mode_s import beast


def toulouse() -> list[dict[str, Any]]:
    with gzip.open(recording("jet1090_toulouse_part1.jsonl.gz")) as file:
        return [json.loads(line) for line in file]


def as_received(lines: list[dict[str, Any]]) -> Iterator[tuple[bytes, datetime | None]]:
    for line in lines:
        yield avr(bytes.fromhex(line["frame"])), datetime.fromtimestamp(line["timestamp"], UTC)


def as_one_avr_recording(lines: list[dict[str, Any]]) -> Iterator[tuple[bytes, datetime | None]]:
    for line in lines:
        yield avr(bytes.fromhex(line["frame"])), None


def as_one_beast_recording(lines: list[dict[str, Any]]) -> Iterator[tuple[bytes, datetime | None]]:
    for line in lines:
        yield beast(bytes.fromhex(line["frame"]), line["timestamp"]), NOON


@pytest.mark.parametrize("stream", [as_received, as_one_avr_recording, as_one_beast_recording])
def test_real_positions_are_within_a_metre_of_their_expected_fields(stream: Any) -> None:
    lines = toulouse()
    format = "beast" if stream is as_one_beast_recording else "avr"
    one = decoder_of(format=format, source="toulouse", position=TOULOUSE)
    expected = right = 0
    for line, (data, received_at) in zip(lines, stream(lines), strict=True):
        (result,) = one.feed(data, received_at)
        if "latitude" not in line:
            continue
        expected += 1
        assert isinstance(result, TelemetryEvent)
        if result.has_position:
            there = result.latitude or 0.0, result.longitude or 0.0
            right += distance_m(*there, line["latitude"], line["longitude"]) <= 1.0
    assert (expected, right) == (5384, 5384)


def test_with_the_stations_position_only_first_surface_frames_are_missing() -> None:
    lines = toulouse()
    one = decoder_of(format="avr", source="toulouse", position=TOULOUSE, position_is_exact=False)
    results = [one.feed(data, at)[0] for data, at in as_received(lines)]
    missing = [
        line
        for line, result in zip(lines, results, strict=True)
        if "latitude" in line and not (isinstance(result, TelemetryEvent) and result.has_position)
    ]
    assert len(missing) == 10
    assert {line["bds"] for line in missing} == {"06"}


def test_other_real_fields_are_as_expected() -> None:
    one = decoder_of(format="avr", source="toulouse", position=TOULOUSE)
    compared = 0
    lines = toulouse()
    for line, (data, at) in zip(lines, as_received(lines), strict=True):
        (result,) = one.feed(data, at)
        if isinstance(result, Rejected):
            assert result.reason == "unknown_address"
            assert line["df"] in ("20", "21")
            continue
        assert result.entity_id == line["icao24"]
        compared += 1
        if "callsign" in line:
            assert result.callsign == line["callsign"]
        if "squawk" in line:
            assert result.squawk == line["squawk"]
        if line.get("altitude"):
            assert result.altitude_m == pytest.approx(line["altitude"] * 0.3048)
        elif "altitude" in line:
            # An altitude field of all zeros means unknown; the expected fields have it as 0 feet.
            assert result.altitude_m is None
        if line.get("bds") == "09" and line.get("groundspeed") is not None:
            assert result.speed_mps == pytest.approx(line["groundspeed"] * 1852 / 3600, rel=1e-6)
            assert result.heading_deg == pytest.approx(line["track"], abs=1e-4)
            assert result.vertical_rate_mps == pytest.approx(line["vertical_rate"] * 0.3048 / 60)
    assert compared > 23_900


def test_pymodes_expected_fields_are_found() -> None:
    expected = json.loads(recording("avr_pymodes_golden_v2.expected.json").read_bytes())
    one = decoder_of(format="avr", source="golden")
    for text, fields in expected.items():
        one.feed(avr(all_call(fields["icao"].lower())), NOON)
        (event,) = one.feed(avr(bytes.fromhex(text)), NOON)
        assert isinstance(event, TelemetryEvent)
        assert event.entity_id == fields["icao"].lower()
        if "altitude" in fields:
            assert event.altitude_m == pytest.approx(fields["altitude"] * 0.3048)
        if "squawk" in fields:
            assert event.squawk == fields["squawk"]
        if "callsign" in fields:
            assert event.callsign == fields["callsign"].strip("_")
        if fields["df"] == 17 and "groundspeed" in fields:
            assert event.speed_mps == pytest.approx(fields["groundspeed"] * 1852 / 3600, abs=0.52)
            assert event.heading_deg == pytest.approx(fields["track"])
            assert event.vertical_rate_mps == pytest.approx(fields["vertical_rate"] * 0.3048 / 60)


def test_pymodes_frames_with_times_make_a_steady_track() -> None:
    one = decoder_of(format="avr", source="golden")
    track: list[tuple[float, tuple[float, float]]] = []
    for line in recording("avr_pymodes_sample_data_adsb.csv").read_text().splitlines():
        seconds, frame, *_ = line.replace('"', "").split(",")
        results = one.feed(avr(bytes.fromhex(frame)), datetime.fromtimestamp(float(seconds), UTC))
        assert not reasons_in(results)
        track += ((float(seconds), there) for there in positions_in(results))
    assert len(track) > 800
    for (before, here), (after, there) in pairwise(track):
        # Its times are whole seconds, and it flies 493 knots.
        assert distance_m(*here, *there) < 300 * (after - before + 2)


def test_a_real_beast_recording_decodes() -> None:
    results = decode(recording("beast_traffic_sample_dump1090.bin").read_bytes(), "beast", position=(42.0, 2.0))
    assert (len(results), len(events_in(results))) == (239, 229)
    assert set(reasons_in(results)) == {"unknown_address"}
    assert all(event.event_time == NOON for event in events_in(results))
