"""Reconnecting, staleness, clock checks and counts: the pure rules of live sources."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adsb_kit import NOON
from vtoc_bots import Backoff, DecodeCounts, Rejected, TelemetryEvent, Thresholds, check_times, staleness
from vtoc_bots.core.feeds.http import retry_after_seconds


def event(seconds_old: float | None) -> TelemetryEvent:
    at = None if seconds_old is None else NOON - timedelta(seconds=seconds_old)
    return TelemetryEvent("4b1908", "icao", "tower", "adsb", at)


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_delays_double_from_5_to_120_seconds() -> None:
    backoff = Backoff(uniform=middle)
    assert [backoff.failed(0) for _ in range(7)] == [5, 10, 20, 40, 80, 120, 120]


def test_delays_are_spread_by_a_fifth_and_never_above_the_last() -> None:
    low, high = Backoff(uniform=min), Backoff(uniform=max)
    assert [low.failed(0) for _ in range(6)] == [4, 8, 16, 32, 64, 96]
    assert [high.failed(0) for _ in range(6)] == [6, 12, 24, 48, 96, 120]


def test_five_minutes_of_health_start_the_delays_over() -> None:
    backoff = Backoff(uniform=middle)
    assert [backoff.failed(0), backoff.failed(0)] == [5, 10]
    backoff.connected(100)
    backoff.connected(350)
    assert backoff.failed(399) == 20
    backoff.connected(400)
    assert backoff.failed(700) == 5


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_a_delay_is_never_shorter_than_4_or_longer_than_120_seconds(times: list[float]) -> None:
    backoff = Backoff()
    assert all(4 <= backoff.failed(at) <= 120 for at in times)


@pytest.mark.parametrize(
    ("age", "state"), [(0, "fresh"), (29.9, "fresh"), (30, "late"), (119, "late"), (120, "silent")]
)
def test_a_source_ages_from_fresh_to_silent(age: float, state: str) -> None:
    assert staleness(NOON - timedelta(seconds=age), NOON) == state


def test_thresholds_can_be_set_and_a_source_first_waits() -> None:
    assert staleness(NOON - timedelta(seconds=50), NOON, Thresholds(60, 300)) == "fresh"
    assert staleness(None, NOON) == "waiting"


@pytest.mark.parametrize(
    ("ages", "kept", "clock", "stale"),
    [
        ([0, 5, 60], 3, 0, 0),
        ([0, 90], 1, 0, 1),
        ([90, 100], 0, 2, 0),
        ([-61, 0], 1, 1, 0),
        ([-61, 90], 0, 1, 1),
        ([None, 100], 1, 1, 0),
        ([None], 1, 0, 0),
        ([], 0, 0, 0),
    ],
)
def test_wrong_clocks_and_old_news_are_told_apart(ages: list[float | None], kept: int, clock: int, stale: int) -> None:
    checked = check_times([event(age) for age in ages], NOON)
    assert (len(checked.kept), checked.clock, checked.stale) == (kept, clock, stale)


def test_every_record_is_counted_once() -> None:
    counts = DecodeCounts()
    events = counts.take([event(0), Rejected("parity"), event(1), Rejected("parity", "x"), Rejected("truncated")])
    assert len(events) == 2
    counts.reject("clock")
    assert counts.as_dict() == {"read": 5, "decoded": 1, "rejected": {"parity": 2, "truncated": 1, "clock": 1}}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-Rate-Limit-Retry-After-Seconds": "47", "Retry-After": "5"}, 47.0),
        ({"Retry-After": "5"}, 5.0),
        ({"Retry-After": "Sat, 01 Jun 2024 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sat, 01 Jun 2024 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "9" * 400}, 86_400.0),
        ({}, None),
    ],
)
def test_what_a_server_asks_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOON) == seconds


@given(st.text(max_size=30))
def test_no_retry_after_raises(text: str) -> None:
    seconds = retry_after_seconds({"Retry-After": text}, datetime.max.replace(tzinfo=NOON.tzinfo))
    assert seconds is None or 0 <= seconds <= 86_400
