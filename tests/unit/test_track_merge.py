"""One entity, one track: what several sources say of it, how long it shows, and what is not used."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.track_kit import CENTRE, FEET, NOON, at, by_id, merged_with, numbered, place, report
from vtoc_bots import MergeSettings, TelemetryEvent, TrackMerger
from vtoc_bots.core.telemetry import distance_m


def merged(*events: TelemetryEvent) -> TrackMerger:
    merger = TrackMerger()
    for event in events:
        merger.add(event)
    return merger


def test_one_icao_address_seen_by_two_sources_is_one_track() -> None:
    merger = merged(report("roof", "3c6444", 0), report("hill", "3c6444", 1, 10.0))
    (track,) = merger.tracks()
    assert (track.track_id, track.icao) == ("3c6444", "3c6444")
    assert [(part.source, part.age_seconds, part.reason) for part in track.sources] == [
        ("roof", 1.0, "same ICAO address"),
        ("hill", 0.0, "same ICAO address"),
    ]
    assert track.at == at(1)


def test_the_same_id_of_another_global_namespace_is_one_entity() -> None:
    merger = merged(
        report("north", "211234560", 0, namespace="mmsi"), report("south", "211234560", 1, 20.0, namespace="mmsi")
    )
    (track,) = merger.tracks()
    assert (track.track_id, track.icao, len(track.sources)) == ("mmsi:211234560", None, 2)
    assert track.sources[0].reason == "same mmsi"


@pytest.mark.parametrize("namespace", ["nonicao", "track", "never heard of"])
def test_the_same_track_number_of_two_sources_is_two_entities(namespace: str) -> None:
    merger = merged(
        report("roof", "17", 0, namespace=namespace), report("hill", "17", 0, 30_000.0, namespace=namespace)
    )
    assert list(by_id(merger)) == [f"hill/{namespace}:17", f"roof/{namespace}:17"]


def test_a_single_report_is_shown_just_as_it_was_reported() -> None:
    event = report("roof", "3c6444", 0, altitude_m=9_000.0, altitude_datum="baro", speed_mps=200.0, heading_deg=90.0)
    (track,) = merged(
        event._replace(vertical_rate_mps=2.0, on_ground=False, category="A3", position_kind="mlat")
    ).tracks()
    assert distance_m(track.latitude, track.longitude, *CENTRE) < 0.01
    assert (track.altitude_m, track.altitude_datum, track.speed_mps, track.heading_deg) == (
        9_000.0,
        "baro",
        200.0,
        90.0,
    )
    assert (track.vertical_rate_mps, track.on_ground, track.category, track.position_kind) == (2.0, False, "A3", "mlat")
    assert track.accuracy_m == pytest.approx(event.accuracy_m)
    assert track.sources[0].reason == "its own report"


def test_a_report_without_a_position_updates_what_is_known_of_the_entity() -> None:
    merger = merged(report("roof", "3c6444", 0))
    merger.add(report("roof", "3c6444", 1)._replace(latitude=None, longitude=None, callsign="DLH1", squawk="7700"))
    merger.add(report("roof", "3c6444", 2)._replace(latitude=None, longitude=None, speed_mps=99.0, heading_deg=10.0))
    (track,) = merger.tracks()
    assert (track.label, track.squawk, track.speed_mps, track.heading_deg) == ("DLH1", "7700", 99.0, 10.0)
    assert track.at == at(0)
    assert merger.counts() == {"added": 1, "attributes_only": 2}


def test_words_that_arrive_before_the_first_position_are_kept() -> None:
    merger = merged(report("roof", "3c6444", 0, callsign="DLH1")._replace(latitude=None, longitude=None))
    assert merger.tracks() == []
    merger.add(report("roof", "3c6444", 5))
    assert [track.label for track in merger.tracks()] == ["DLH1"]


def test_a_track_is_called_by_its_callsign_then_its_registration_then_its_identity() -> None:
    merger = merged(
        report("roof", "aaaaaa", 0, callsign="DLH1", payload={"r": "D-AIAA"}),
        report("roof", "bbbbbb", 0, payload={"r": "D-AIBB"}),
        report("roof", "cccccc", 0),
    )
    assert [track.label for track in merger.tracks()] == ["DLH1", "D-AIBB", "cccccc"]


def test_a_track_shows_until_sixty_seconds_after_its_last_position() -> None:
    merger = merged(report("roof", "3c6444", 0))
    assert len(merger.tracks(at(60))) == 1
    assert merger.tracks(at(60.5)) == []


def test_how_long_a_track_shows_is_set_by_its_kind() -> None:
    settings = MergeSettings(show_seconds=10.0, show_seconds_by_namespace={"mmsi": 100.0})
    merger = TrackMerger(settings)
    merger.add(report("roof", "3c6444", 0))
    merger.add(report("mast", "211234560", 0, 5_000.0, namespace="mmsi"))
    assert list(by_id(merger, 11)) == ["mmsi:211234560"]


def test_the_picture_is_in_order_and_by_default_of_the_newest_report() -> None:
    merger = merged(report("roof", "bbbbbb", 0, 9e4), report("roof", "aaaaaa", 70), report("roof", "cccccc", 65, -9e4))
    assert [track.track_id for track in merger.tracks()] == ["aaaaaa", "cccccc"]
    assert merger.newest() == at(70)
    assert merger.tracks() == merger.tracks(at(70))


def test_an_empty_merger_shows_nothing() -> None:
    assert TrackMerger().tracks() == []
    assert TrackMerger().newest() is None


def test_a_picture_of_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        TrackMerger().tracks(datetime(2024, 6, 1))  # noqa: DTZ001 - the naive time is the point


def test_a_report_up_to_eight_seconds_behind_its_own_track_is_used_and_an_older_one_dropped() -> None:
    merger = TrackMerger()
    for second in range(0, 40, 2):
        merger.add(report("roof", "3c6444", second, 200.0 * second))
    before = merger.tracks()[0]
    merger.add(report("roof", "3c6444", 31, 200.0 * 31 + 60.0))
    after = merger.tracks()[0]
    moved = distance_m(before.latitude, before.longitude, after.latitude, after.longitude)
    assert after.at == before.at
    assert 0.5 < moved < 60.0
    merger.add(report("roof", "3c6444", 29, 0.0))
    assert merger.tracks()[0] == after
    assert merger.counts() == {"added": 21, "late_dropped": 1}


def test_the_first_report_of_a_source_track_is_never_late() -> None:
    merger = merged(report("roof", "3c6444", 30), report("hill", "3c6444", 0))
    (track,) = merger.tracks()
    assert [(part.source, part.age_seconds) for part in track.sources] == [("roof", 0.0), ("hill", 30.0)]


def test_the_order_of_arrival_within_the_allowed_lateness_changes_little() -> None:
    chance = random.Random(3)
    events = [report("roof", f"{n:06x}", t, 150.0 * t, 9_000.0 * n) for t in range(60) for n in range(4)]
    shuffled = sorted(events, key=lambda event: (event.event_time or NOON).timestamp() + chance.uniform(0.0, 7.0))
    for straight, mixed in zip(merged(*events).tracks(), merged(*shuffled).tracks(), strict=True):
        assert straight.track_id == mixed.track_id
        assert distance_m(straight.latitude, straight.longitude, mixed.latitude, mixed.longitude) < 30.0


def test_a_position_that_is_repeated_does_not_count_twice() -> None:
    merger = merged(report("roof", "3c6444", 0), report("roof", "3c6444", 0.1, callsign="DLH1"))
    assert merger.counts() == {"added": 1, "repeated": 1}
    assert merger.tracks()[0].label == "DLH1"


def test_the_better_source_weighs_more_in_the_fused_position() -> None:
    merger = merged(report("roof", "3c6444", 0, 0.0, sigma_m=10.0), report("hill", "3c6444", 0, 100.0, sigma_m=100.0))
    (track,) = merger.tracks()
    assert distance_m(track.latitude, track.longitude, *CENTRE) < 5.0
    assert track.accuracy_m is not None
    assert track.accuracy_m >= 10.0, "covariance intersection claims no more than the best source knows"


def test_speed_and_heading_come_from_the_positions_where_nobody_reports_them() -> None:
    merger = merged(*(report("roof", "3c6444", t, 100.0 * t) for t in range(30)))
    (track,) = merger.tracks()
    assert track.speed_mps == pytest.approx(100.0, abs=2.0)
    assert track.heading_deg == pytest.approx(90.0, abs=2.0)


def test_a_trail_is_thinned_and_bounded() -> None:
    settings = MergeSettings(trail_seconds=60.0, trail_step_seconds=5.0)
    merger = TrackMerger(settings)
    for second in range(200):
        merger.add(report("roof", "3c6444", second, 10.0 * second, altitude_m=3_000.0))
    trail = merger.tracks()[0].trail
    assert [int((point.at - NOON).total_seconds()) for point in trail] == list(range(135, 200, 5))
    assert (trail[0].source, trail[0].altitude_m) == ("roof", 3_000.0)
    assert (trail[0].latitude, trail[0].longitude) == pytest.approx(place(1_350.0, 0.0))


def test_an_exercise_report_marks_the_whole_track() -> None:
    merger = merged(report("roof", "3c6444", 0), report("drill", "3c6444", 0, exercise=True))
    assert [track.exercise for track in merger.tracks()] == [True]


def test_what_is_long_silent_is_forgotten() -> None:
    merger = TrackMerger()
    for second in range(0, 600, 5):
        merger.add(report("roof", f"{second:06x}", second, 20_000.0 * second / 5))
    assert len(merger._registry.entries) < 40
    assert len(merger._registry.identities) == len(merger._registry.entries)


def test_one_source_replayed_after_another_is_not_forgotten_at_once() -> None:
    events = [report(source, "3c6444", t, 100.0 * t) for source in ("roof", "hill") for t in range(0, 600, 5)]
    (track,) = merged(*events).tracks()
    assert [part.source for part in track.sources] == ["roof", "hill"]


def test_a_source_that_runs_behind_is_forgotten_by_its_own_clock() -> None:
    merger = TrackMerger()
    for second in range(0, 600, 5):
        merger.add(report("roof", "aaaaaa", 3_000 + second, 100.0 * second))
        merger.add(report("hill", "bbbbbb", second, 100.0 * second))
        assert ("hill", "icao", "bbbbbb") in merger._registry.entries


def test_reports_that_cannot_be_placed_in_time_are_counted() -> None:
    merger = merged(
        report("roof", "3c6444", 0)._replace(event_time=None, received_at=None),
        report("roof", "3c6444", 0)._replace(event_time=datetime(2024, 6, 1, 12)),  # noqa: DTZ001 - naive on purpose
        report("roof", "3c6444", 0)._replace(event_time=None),
    )
    assert merger.counts() == {"added": 1, "bad_value": 1, "no_time": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"latitude": math.nan},
        {"latitude": 91.0},
        {"longitude": -180.5},
        {"longitude": math.inf},
        {"altitude_m": math.nan},
        {"speed_mps": math.inf},
        {"accuracy_m": math.nan},
        {"latitude": "49"},
        {"heading_deg": "north"},
    ],
)
def test_a_bad_value_is_counted_and_never_raises(wrong: dict[str, object]) -> None:
    merger = merged(report("roof", "3c6444", 0)._replace(**wrong))  # type: ignore[arg-type] # wrong on purpose
    assert merger.counts() == {"bad_value": 1}
    assert merger.tracks() == []


numbers = st.none() | st.floats(allow_nan=True, allow_infinity=True)
events = st.builds(
    TelemetryEvent,
    entity_id=st.sampled_from(["3c6444", "3c6445", "17", ""]),
    entity_namespace=st.sampled_from(["icao", "track", "mmsi", "callsign", "nonicao"]),
    source=st.sampled_from(["roof", "hill"]),
    source_type=st.just("adsb"),
    event_time=st.none() | st.integers(0, 30).map(lambda s: NOON + timedelta(seconds=s)),
    received_at=st.none() | st.just(datetime(2024, 6, 1, tzinfo=UTC)),
    latitude=st.sampled_from([89.9999, 90.0, 0.0, 49.0, 49.0001]) | numbers,
    longitude=st.sampled_from([179.9999, -180.0, 2.5, 2.5001]) | numbers,
    altitude_m=numbers,
    altitude_datum=st.sampled_from([None, "baro", "geom"]),
    speed_mps=numbers,
    heading_deg=numbers,
    vertical_rate_mps=numbers,
    on_ground=st.none() | st.booleans(),
    accuracy_m=numbers,
    callsign=st.sampled_from([None, "DLH1"]),
    position_kind=st.sampled_from([None, "mlat", "what"]),
    squawk=st.none(),
    category=st.none(),
    stale_at=st.none(),
    exercise=st.booleans(),
    payload=st.just({}),
)


@given(st.lists(events, max_size=25))
def test_no_report_raises_and_no_track_has_two_icao_addresses(reports: list[TelemetryEvent]) -> None:
    merger = TrackMerger()
    for event in reports:
        merger.add(event)
    for track in merger.tracks(at(31)):
        assert -90.0 <= track.latitude <= 90.0
        assert -180.0 <= track.longitude <= 180.0
        assert len({part.entity_id for part in track.sources if part.entity_namespace == "icao"}) <= 1


def test_two_icao_addresses_at_one_place_stay_two_tracks() -> None:
    events = [
        report(source, address, t, 100.0 * t)
        for t in range(40)
        for source, address in (("roof", "aaaaaa"), ("hill", "bbbbbb"))
    ]
    merger = merged(*events, *(numbered("1", t, 100.0 * t) for t in range(0, 40, 5)))
    assert {track.icao for track in merger.tracks()} >= {"aaaaaa", "bbbbbb"}
    assert merged_with(merger, "1") == "c/track:1", "neither can be told, so neither is taken"


def test_two_aircraft_with_one_address_far_apart_are_not_averaged() -> None:
    merger = TrackMerger()
    for t in range(10):
        merger.add(report("roof", "3c6444", t, 100.0 * t))
        merger.add(report("hill", "3c6444", t, 300_000.0 + 100.0 * t, sigma_m=50.0))
    tracks = by_id(merger)
    assert list(tracks) == ["3c6444", "hill/icao:3c6444 contradicting"]
    assert [part.source for part in tracks["3c6444"].sources] == ["roof"]
    assert tracks["hill/icao:3c6444 contradicting"].flags == ("another source reports the same identity far from here",)


def test_altitudes_of_the_newest_who_has_one_are_shown() -> None:
    merger = merged(
        report("roof", "3c6444", 0, altitude_m=1_000 * FEET, altitude_datum="baro"),
        report("hill", "3c6444", 5, altitude_m=2_000 * FEET, altitude_datum="geom"),
        report("roof", "3c6444", 6),
    )
    (track,) = merger.tracks()
    assert (track.altitude_m, track.altitude_datum) == (2_000 * FEET, "geom")
