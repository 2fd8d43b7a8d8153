"""aircraft.json, the v2 APIs and the JSON port."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adsb_kit import NOON, decode, events_in, reasons_in, recording
from vtoc_bots import Rejected, TelemetryEvent

NOW = NOON.timestamp()


def one(now: Any = NOW, **fields: Any) -> TelemetryEvent:
    (event,) = events_in(decode(document({"hex": "4b1908", **fields}, now=now), "aircraft"))
    return event


def document(*aircraft: Any, now: Any = NOW) -> bytes:
    return json.dumps({"now": now, "messages": 1, "aircraft": list(aircraft)}).encode()


@pytest.mark.parametrize(
    ("name", "aircraft", "positions"), [("readsb_aircraft_1.json", 64, 63), ("readsb_aircraft_2.json", 69, 67)]
)
def test_every_aircraft_of_a_real_document_is_decoded(name: str, aircraft: int, positions: int) -> None:
    results = decode(recording(name).read_bytes(), "aircraft")
    events = events_in(results)
    assert (len(results), len(events)) == (aircraft, aircraft)
    assert sum(event.has_position for event in events) == positions


@pytest.mark.parametrize(
    ("name", "lines", "positions"), [("readsb_jsonport_1.jsonl", 48, 45), ("readsb_jsonport_3.jsonl", 11, 11)]
)
def test_every_line_of_a_real_json_port_is_decoded(name: str, lines: int, positions: int) -> None:
    events = events_in(decode(recording(name).read_bytes(), "jsonport"))
    assert len(events) == lines
    assert sum(event.has_position for event in events) == positions


def test_fields_are_converted_to_si_units() -> None:
    event = one(
        lat=43.5, lon=1.5, alt_baro=35000, alt_geom=36000, gs=450.0, track=271.5, baro_rate=-1280, flight="EXR1    ",
        squawk="7700", category="A3", nac_p=9, rc=186, type="adsb_icao", r="X-ABCD", emergency="general",
    )  # fmt: skip
    assert (event.latitude, event.longitude, event.altitude_datum, event.on_ground) == (43.5, 1.5, "baro", False)
    assert event.altitude_m == pytest.approx(10_668.0)
    assert event.speed_mps == pytest.approx(231.5)
    assert event.vertical_rate_mps == pytest.approx(-6.5024)
    assert (event.heading_deg, event.callsign, event.squawk, event.category) == (271.5, "EXR1", "7700", "A3")
    assert (event.accuracy_m, event.position_kind) == (30.0, "adsb_icao")
    assert event.payload == {"r": "X-ABCD", "nac_p": 9, "rc": 186, "alt_geom": 36000, "emergency": "general"}
    assert (event.entity_namespace, event.entity_id, event.source, event.source_type) == (
        "icao", "4b1908", "tower", "adsb",
    )  # fmt: skip


def test_the_age_of_the_position_is_subtracted() -> None:
    assert one(lat=1.0, lon=2.0, seen=0.5, seen_pos=12.5).event_time == NOON - timedelta(seconds=12.5)


def test_without_a_position_the_age_of_the_last_message_counts() -> None:
    assert one(seen=0.5, seen_pos=12.5).event_time == NOON - timedelta(seconds=0.5)


def test_now_is_taken_in_seconds_and_in_milliseconds() -> None:
    before = NOON - timedelta(minutes=5)
    assert one(now=before.timestamp()).event_time == one(now=int(before.timestamp() * 1000)).event_time == before


def test_a_v2_answer_is_decoded() -> None:
    data = json.dumps({"ac": [{"hex": "4b1908", "lat": 1, "lon": 2}], "msg": "No error", "now": int(NOW * 1000)})
    (event,) = decode(data.encode(), "v2")
    assert (event.event_time, event.has_position) == (NOON, True)


def test_without_now_the_time_of_receipt_counts() -> None:
    (event,) = decode(b'{"aircraft":[{"hex":"4b1908","seen":2}]}', "aircraft")
    assert event.event_time == NOON - timedelta(seconds=2)


def test_without_any_time_the_time_is_unknown() -> None:
    (event,) = decode(b'{"aircraft":[{"hex":"4b1908","seen":2}]}', "aircraft", None)
    assert event.event_time is None


def test_ground_is_no_altitude() -> None:
    event = one(alt_baro="ground", alt_geom=500)
    assert (event.altitude_m, event.altitude_datum, event.on_ground) == (None, None, True)


def test_the_geometric_altitude_serves_where_there_is_no_other() -> None:
    event = one(alt_geom=1000)
    assert event.altitude_m == pytest.approx(304.8)
    assert (event.altitude_datum, event.on_ground) == ("geom", None)


def test_a_tilde_marks_an_address_that_is_not_icaos() -> None:
    (event,) = events_in(decode(document({"hex": "~2FF123", "type": "tisb_other", "lat": 1, "lon": 2}), "aircraft"))
    assert (event.entity_namespace, event.entity_id, event.position_kind) == ("nonicao", "2ff123", "tisb")


def test_the_last_position_is_no_position() -> None:
    event = one(lastPosition={"lat": 1.0, "lon": 2.0, "seen_pos": 70})
    assert not event.has_position
    assert event.position_kind is None


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("adsb_icao", "adsb_icao"), ("adsb_icao_nt", "adsb_icao"), ("adsr_icao", "adsr"), ("tisb_icao", "tisb"),
        ("tisb_trackfile", "tisb"), ("adsc", "adsc"), ("mlat", "mlat"), ("other", "other"), ("mode_s", "mode_s"),
        ("something_new", "other"), (5, "other"),
    ],
)  # fmt: skip
def test_the_type_tells_how_the_position_was_made(type_: Any, kind: str) -> None:
    assert one(type=type_, lat=1.0, lon=2.0).position_kind == kind


@pytest.mark.parametrize(("field", "kind"), [("mlat", "mlat"), ("tisb", "tisb"), (None, "adsb_icao")])
def test_without_a_type_the_lists_of_fields_tell_it(field: str | None, kind: str) -> None:
    assert one(lat=1.0, lon=2.0, **({field: ["lat", "lon"]} if field else {})).position_kind == kind


def test_accuracy_comes_from_nac_p_then_rc_then_the_kind() -> None:
    where = {"lat": 1.0, "lon": 2.0}
    assert one(**where, nac_p=10, rc=186).accuracy_m == 10.0
    assert one(**where, nac_p=0, rc=186).accuracy_m == 186.0
    assert one(**where, nac_p=99, rc=0, type="mlat").accuracy_m == 200.0
    assert one(**where, rc=0).accuracy_m is None
    assert one(nac_p=10).accuracy_m is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"lat": 1}, "identity"),
        ({"hex": "xyz"}, "identity"),
        ({"hex": 5}, "identity"),
        ({"hex": "4b19081"}, "identity"),
        ("text", "malformed"),
        ({"hex": "4b1908", "lat": 91, "lon": 0}, "position"),
        ({"hex": "4b1908", "lat": 0, "lon": 180.5}, "position"),
    ],
)
def test_a_wrong_aircraft_is_counted_and_the_others_decoded(record: Any, reason: str) -> None:
    results = decode(document(record, {"hex": "4b1908"}), "aircraft")
    assert reasons_in(results) == [reason]
    assert len(events_in(results)) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed"),
        (b'{"now":1,"aircraft":[{"hex":"4b', "truncated"),
        (b"<html>busy</html>", "malformed"),
        (b"[]", "malformed"),
        (b'{"aircraft":{}}', "malformed"),
        (b'{"now":1}', "malformed"),
        (b'{"aircraft":[' * 100_000, "malformed"),
    ],
)
def test_a_document_that_is_none_is_one_rejection(data: bytes, reason: str) -> None:
    assert reasons_in(decode(data, "aircraft")) == [reason]


def test_the_last_line_without_its_end_is_decoded_with_the_time_of_its_receipt() -> None:
    (event,) = decode(b'{"hex":"4b1908"}', "jsonport")
    assert event.event_time == NOON


def test_a_cut_off_last_line_is_counted_as_truncated() -> None:
    assert reasons_in(decode(b'{"hex":"4b1908"},\n{"hex":"4b19', "jsonport")) == ["truncated"]


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("ground")
)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars, max_size=2)
KEYS = (
    "hex type flight alt_baro alt_geom gs track baro_rate geom_rate squawk emergency category lat lon seen seen_pos"
    " nac_p rc rssi mlat tisb r t desc dbFlags now"
)
keys = st.sampled_from(KEYS.split())


@given(st.dictionaries(keys, values), values)
def test_no_value_of_any_field_raises(record: dict[str, Any], now: Any) -> None:
    record.setdefault("hex", "4b1908")
    for result in decode(document(record, now=now), "aircraft") + decode(json.dumps(record).encode(), "jsonport"):
        assert isinstance(result, TelemetryEvent | Rejected)
        if isinstance(result, TelemetryEvent):
            json.dumps(dict(result.payload))
