"""The newest state of each entity, and which positions are stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.states import States, merged
from vtoc_bots.core.telemetry import TelemetryEvent

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float, **fields: object) -> TelemetryEvent:
    event = TelemetryEvent("abc123", "icao", "src", "adsb", event_time=BEGAN + timedelta(seconds=seconds))
    return event._replace(**fields)


def test_a_state_keeps_what_a_newer_event_does_not_say() -> None:
    states = States(thin_seconds=5)
    states.add(at(0, latitude=1.0, longitude=2.0, squawk="7700"))
    states.add(at(1, callsign="EXR1"))
    changed, positions = states.take()
    assert [(s.latitude, s.squawk, s.callsign, s.event_time) for s in changed] == [
        (1.0, "7700", "EXR1", BEGAN + timedelta(seconds=1))
    ]
    assert [position.callsign for position in positions] == [None], "what was stored is not changed later"


def test_a_late_event_fills_gaps_and_overwrites_nothing() -> None:
    states = States(thin_seconds=0)
    states.add(at(10, latitude=1.0, longitude=2.0))
    states.add(at(5, latitude=8.0, longitude=9.0, callsign="LATE"))
    (state,), positions = states.take()
    assert (state.latitude, state.callsign, state.event_time) == (1.0, "LATE", BEGAN + timedelta(seconds=10))
    assert len(positions) == 1


def test_positions_are_thinned_by_entity() -> None:
    states = States(thin_seconds=5)
    for second in range(11):
        states.add(at(second, latitude=1.0, longitude=2.0))
        states.add(at(second, latitude=1.0, longitude=2.0, entity_id="def456"))
    assert len(states.take()[1]) == 6


def test_an_event_without_a_time_takes_its_arrival_and_one_without_either_is_left_out() -> None:
    states = States(thin_seconds=0)
    states.add(at(0, event_time=None, received_at=BEGAN, latitude=1.0, longitude=2.0))
    states.add(at(0, event_time=None, entity_id="never"))
    (state,), (position,) = states.take()
    assert state.event_time == position.event_time == BEGAN


def test_what_could_not_be_written_comes_again_and_the_oldest_is_dropped_first() -> None:
    states = States(thin_seconds=0)
    for second in range(4):
        states.add(at(second, latitude=1.0, longitude=2.0))
    changed, positions = states.take()
    assert states.take() == ([], [])
    assert states.put_back(changed, positions, most=3) == 1
    again, kept = states.take()
    assert again == changed
    assert [position.event_time for position in kept] == [BEGAN + timedelta(seconds=s) for s in (1, 2, 3)]


def test_entities_that_went_quiet_are_forgotten() -> None:
    states = States(thin_seconds=0)
    states.add(at(0))
    states.add(at(100, entity_id="new"))
    states.forget(BEGAN + timedelta(seconds=50))
    assert len(states) == 1
    assert [state.entity_id for state in states.take()[0]] == ["new"]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.sampled_from([None, "A", "B"])), max_size=12))
def test_the_order_of_arrival_does_not_change_the_newest_position(reports: list[tuple[int, bool, str | None]]) -> None:
    events = [
        at(s, latitude=float(s) if has else None, longitude=0.0 if has else None, callsign=callsign)
        for s, has, callsign in reports
    ]
    states = States(thin_seconds=0)
    for event in events:
        states.add(event)
    newest = max((event for event in events if event.has_position), key=lambda e: e.event_time or BEGAN, default=None)
    for state in states.take()[0]:
        assert state.latitude == (newest.latitude if newest else None)


def test_merging_takes_a_position_whole() -> None:
    older = at(0, latitude=1.0, longitude=2.0, accuracy_m=10.0, position_kind="mlat")
    state = merged(older, at(1, latitude=3.0, longitude=4.0))
    assert (state.latitude, state.accuracy_m, state.position_kind) == (3.0, None, None)
