"""SBS-1 lines."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adsb_kit import NOON, decode, events_in, reasons_in, recording
from vtoc_bots import Rejected, TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.decode import decoder_of
from vtoc_bots.plugins.connectors.adsb.lines import LONGEST_LINE_BYTES

POSITION = "MSG,3,1,1,4B1908,1,2024/06/01,11:59:58.250,2024/06/01,11:59:58.300,,2525,,,43.5,-1.25,,,,,,0"
VELOCITY = "MSG,4,1,1,4B1908,1,2024/06/01,11:59:58.250,2024/06/01,11:59:58.300,,,298,96,,,-128,,,,,0"


def one(line: str) -> TelemetryEvent:
    (event,) = events_in(decode(line.encode() + b"\r\n", "sbs"))
    return event


def test_every_line_of_a_real_stream_with_empty_dates_is_decoded() -> None:
    events = events_in(decode(recording("sbs1_node-sbs1_part1.txt").read_bytes(), "sbs"))
    assert len(events) == 2000
    assert sum(event.has_position for event in events) == 43
    assert {event.event_time for event in events} == {NOON}
    assert len([event for event in events if event.squawk]) == 8
    assert len([event for event in events if event.speed_mps is not None]) == 45


def test_a_position_line_is_decoded() -> None:
    event = one(POSITION)
    assert (event.latitude, event.longitude, event.altitude_datum, event.on_ground) == (43.5, -1.25, "baro", False)
    assert event.altitude_m == pytest.approx(769.62)
    assert event.event_time == datetime(2024, 6, 1, 11, 59, 58, 250_000, tzinfo=UTC)
    assert event.received_at == NOON
    assert (event.entity_id, event.entity_namespace, event.position_kind) == ("4b1908", "icao", None)


def test_a_velocity_line_is_decoded() -> None:
    event = one(VELOCITY)
    assert event.speed_mps == pytest.approx(153.3044, abs=1e-3)
    assert event.vertical_rate_mps == pytest.approx(-0.65024)
    assert (event.heading_deg, event.has_position, event.altitude_datum) == (96.0, False, None)


def test_callsign_squawk_and_flags_are_decoded() -> None:
    event = one("MSG,6,1,1,4B1908,1,,,,,SWR40   ,,,,,,,7700,0,-1,0,-1")
    assert (event.callsign, event.squawk, event.on_ground, event.payload) == (
        "SWR40",
        "7700",
        True,
        {"emergency": True},
    )


def test_an_id_line_names_an_aircraft() -> None:
    event = one("ID,,496,7162,405637,27928,2024/06/01,11:59:58.250,2024/06/01,11:59:58.300,IZG1CE")
    assert (event.entity_id, event.callsign) == ("405637", "IZG1CE")


@pytest.mark.parametrize(
    "line", ["STA,,5,179,400AE7,10103,,,,,RM", "CLK,,496,-1,,-1,,,,", "AIR,,496,5906,400F01,27931,,,,"]
)
def test_lines_that_say_nothing_about_an_aircraft_are_counted(line: str) -> None:
    assert reasons_in(decode(line.encode() + b"\n", "sbs")) == ["not_a_report"]


def test_a_position_by_multilateration_is_marked() -> None:
    event = one(POSITION.replace("MSG", "MLAT"))
    assert (event.position_kind, event.accuracy_m) == ("mlat", 200.0)


def test_times_are_those_of_the_servers_time_zone() -> None:
    (event,) = decode(POSITION.encode() + b"\n", "sbs", timezone=ZoneInfo("Europe/Zurich"))
    assert event.event_time == datetime(2024, 6, 1, 9, 59, 58, 250_000, tzinfo=UTC)
    assert event.event_time.tzinfo is UTC


@pytest.mark.parametrize("stamp", ["2024/13/01,11:59:58.250", "yesterday,noon", "2024/06/01,", ",11:59:58.250"])
def test_a_time_that_is_none_counts_as_the_time_of_receipt(stamp: str) -> None:
    assert one(POSITION.replace("2024/06/01,11:59:58.250", stamp)).event_time == NOON


def test_blank_lines_only_keep_the_link_alive() -> None:
    assert decode(b"\r\n\n\r\n", "sbs") == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (POSITION.replace("4B1908", "4B19"), "identity"),
        (POSITION.replace("4B1908", "XXXXXX"), "identity"),
        (POSITION.replace("43.5", "93.5"), "position"),
        (POSITION.replace("43.5", "nan"), "position"),
        (POSITION.replace("2525", "inf"), "malformed"),
        (POSITION.replace("2525", "high"), "malformed"),
        (POSITION + ",", "malformed"),
        ("hello", "malformed"),
        ("\x00\xff\xfe", "malformed"),
        ("x" * (LONGEST_LINE_BYTES + 1), "oversize"),
    ],
)
def test_a_wrong_line_is_counted_and_the_others_decoded(line: str, reason: str) -> None:
    results = decode(f"{VELOCITY}\n{line}\n{POSITION}\n".encode(), "sbs")
    assert reasons_in(results) == [reason]
    assert len(events_in(results)) == 2


def test_a_cut_off_last_line_is_counted_as_truncated() -> None:
    results = decode(f"{VELOCITY}\n{POSITION[:60]}".encode(), "sbs")
    assert reasons_in(results) == ["truncated"]


def test_a_line_without_an_end_does_not_fill_the_memory_and_the_next_is_decoded() -> None:
    decoder = decoder_of(format="sbs", source="tower")
    results = [result for _ in range(40) for result in decoder.feed(b"y" * 10_000, NOON)]
    assert reasons_in(results) == ["oversize"]
    rest = decoder.feed(f"yyy\n{VELOCITY}\n".encode(), NOON)
    assert (len(rest), len(events_in(rest)), decoder.finish()) == (1, 1, [])


fields = st.sampled_from(["", "0", "-1", "4B1908", "43.5", "1e309", "nan", "2024/06/01", "25:61:61", "\x00", "9" * 400])


@given(st.lists(fields | st.text(max_size=5), min_size=21, max_size=21))
def test_no_value_of_any_field_raises(values: list[str]) -> None:
    for result in decode(",".join(["MSG", *values]).encode() + b"\n", "sbs"):
        assert isinstance(result, TelemetryEvent | Rejected)
