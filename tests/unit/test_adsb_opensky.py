"""OpenSky's state vectors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adsb_kit import NOON, decode, events_in, reasons_in, recording
from vtoc_bots import Rejected, TelemetryEvent

ROW: list[Any] = [
    "4b1908", "SWR40   ", "Switzerland", 1717243190, 1717243195, 8.5, 47.4, 1000.0, False, 100.0, 271.0, -3.5,
    None, 1050.0, "7000", True, 2, 8,
]  # fmt: skip


def answer(*rows: Any) -> bytes:
    return json.dumps({"time": 1717243200, "states": list(rows)}).encode()


def changed(**columns: Any) -> list[Any]:
    row = list(ROW)
    for column, value in columns.items():
        row[int(column.removeprefix("c"))] = value
    return row


def test_a_real_answer_is_decoded() -> None:
    events = events_in(decode(recording("opensky_states_python-opensky.json").read_bytes(), "opensky"))
    assert [event.entity_id for event in events] == ["ab1644", "e8027e", "e8027d", "a2cbe1"]
    assert events[0].event_time == datetime.fromtimestamp(1683488743, UTC)
    assert (events[1].altitude_m, events[1].on_ground, events[1].category) == (None, True, None)
    assert (events[0].altitude_m, events[0].altitude_datum, events[0].category) == (2217.42, "baro", "A3")


def test_every_column_finds_its_field() -> None:
    (event,) = decode(answer(ROW), "opensky")
    assert event == TelemetryEvent(
        "4b1908", "icao", "tower", "adsb", datetime.fromtimestamp(1717243190, UTC), NOON, 47.4, 8.5, 1000.0, "baro",
        100.0, 271.0, -3.5, False, "SWR40", 200.0, "mlat", "7000", "A7", None, False,
        {"origin_country": "Switzerland", "geo_altitude": 1050.0, "spi": True},
    )  # fmt: skip


def test_without_a_position_the_last_contact_is_the_time() -> None:
    (event,) = decode(answer(changed(c5=None, c6=None, c3=None)), "opensky")
    assert event.event_time == datetime.fromtimestamp(1717243195, UTC)
    assert (event.has_position, event.position_kind, event.accuracy_m) == (False, None, None)


def test_the_geometric_altitude_serves_where_there_is_no_other() -> None:
    (event,) = decode(answer(changed(c7=None)), "opensky")
    assert (event.altitude_m, event.altitude_datum) == (1050.0, "geom")


def test_an_empty_sky_is_no_error() -> None:
    assert decode(b'{"time":1717243200,"states":null}', "opensky") == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [(["4b1908"], "malformed"), ({}, "malformed"), (changed(c0=None), "identity"), (changed(c6=-90.1), "position")],
)
def test_a_wrong_row_is_counted_and_the_others_decoded(row: Any, reason: str) -> None:
    results = decode(answer(row, ROW), "opensky")
    assert reasons_in(results) == [reason]
    assert len(events_in(results)) == 1


@pytest.mark.parametrize("data", [b"", b"{}", b'{"states":5}', b'{"time":1,"states":[['])
def test_an_answer_that_is_none_is_one_rejection(data: bytes) -> None:
    assert len(reasons_in(decode(data, "opensky"))) == 1


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())


@given(st.lists(values, max_size=20))
def test_no_value_of_any_column_raises(row: list[Any]) -> None:
    for given_row in (row, ["4b1908", *row]):
        for result in decode(answer(given_row), "opensky"):
            assert isinstance(result, TelemetryEvent | Rejected)
