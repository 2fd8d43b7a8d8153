"""What no real entity does is flagged, counted and shown apart, and never fused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.track_kit import CENTRE, FEET, by_id, merged_with, numbered, report
from vtoc_bots import TrackMerger
from vtoc_bots.core.telemetry import distance_m, knots
from vtoc_bots.core.tracks.plausibility import implausible_state


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"altitude_m": 60_900 * FEET, "speed_mps": knots(97)}, "too high for its speed"),
        ({"altitude_m": 60_900 * FEET, "speed_mps": knots(97), "category": "B2"}, None),
        ({"altitude_m": 60_900 * FEET, "speed_mps": knots(400)}, None),
        ({"altitude_m": 60_900 * FEET}, None),
        ({"altitude_m": 45_000 * FEET, "speed_mps": knots(97)}, None),
        ({"altitude_m": 126_000 * FEET, "speed_mps": knots(400)}, "altitude out of range"),
        ({"altitude_m": -3_000 * FEET}, "altitude out of range"),
        ({"altitude_m": -1_400 * FEET, "speed_mps": knots(120)}, None),
        ({"speed_mps": knots(1_500)}, "too fast"),
        ({"speed_mps": knots(600)}, None),
        ({"speed_mps": knots(300), "on_ground": True}, "too fast on the ground"),
        ({"speed_mps": knots(140), "on_ground": True}, None),
        ({"vertical_rate_mps": 200.0}, "impossible vertical rate"),
        ({"vertical_rate_mps": -40.0}, None),
        ({"latitude": 0.0, "longitude": 0.0}, "position is exactly 0, 0"),
    ],
)
def test_a_state_is_judged_by_what_it_says(said: dict[str, Any], why: str | None) -> None:
    assert implausible_state(report("roof", "3c6444", 0)._replace(**said), None) == why


def test_what_an_entity_said_it_is_counts_for_reports_that_do_not_repeat_it() -> None:
    balloon = report("roof", "3c6444", 0, altitude_m=60_900 * FEET, speed_mps=knots(30))
    assert implausible_state(balloon, "B2") is None
    assert implausible_state(balloon, "A3") is not None


def test_an_implausible_report_is_a_flagged_track_of_its_own() -> None:
    merger = TrackMerger()
    merger.add(report("roof", "aaaaaa", 0, altitude_m=60_900 * FEET, speed_mps=knots(97), callsign="ODD1"))
    (track,) = merger.tracks()
    assert (track.track_id, track.icao, track.label) == ("roof/icao:aaaaaa implausible", "aaaaaa", "ODD1")
    assert track.flags == ("too high for its speed",)
    assert track.sources[0].reason == "implausible, so not fused"
    assert merger.counts() == {"implausible: too high for its speed": 1}


def test_an_implausible_report_leaves_the_good_track_alone_and_is_forgotten_after_a_good_one() -> None:
    merger = TrackMerger()
    merger.add(report("roof", "aaaaaa", 0, altitude_m=9_000.0))
    merger.add(report("hill", "aaaaaa", 1, 10.0, altitude_m=9_000.0))
    merger.add(report("roof", "aaaaaa", 2, altitude_m=60_900 * FEET, speed_mps=knots(97)))
    tracks = by_id(merger)
    assert list(tracks) == ["aaaaaa", "roof/icao:aaaaaa implausible"]
    assert tracks["aaaaaa"].altitude_m == 9_000.0
    merger.add(report("roof", "aaaaaa", 3, 20.0, altitude_m=9_000.0))
    assert list(by_id(merger)) == ["aaaaaa"]


def test_a_flagged_report_is_never_associated() -> None:
    merger = TrackMerger()
    for second in range(5):
        merger.add(report("roof", "aaaaaa", second))
        merger.add(numbered("1", second, speed_mps=knots(97), altitude_m=60_900 * FEET))
    assert merged_with(merger, "1") is None
    assert list(by_id(merger)) == ["aaaaaa", "c/track:1 implausible"]


def test_a_flagged_track_shows_no_longer_than_any_other() -> None:
    merger = TrackMerger()
    merger.add(report("roof", "aaaaaa", 0, speed_mps=2_000.0))
    assert len(by_id(merger, 60)) == 1
    assert by_id(merger, 61) == {}


def jumped(times: int) -> TrackMerger:
    """An aircraft that reports from 400 km away so many times, a second apart."""
    merger = TrackMerger()
    for second in range(10):
        merger.add(report("roof", "aaaaaa", second, 100.0 * second))
    for second in range(10, 10 + times):
        merger.add(report("roof", "aaaaaa", second, 400_000.0 + 100.0 * second))
    return merger


def test_an_impossible_jump_is_flagged_and_not_fused() -> None:
    merger = jumped(1)
    tracks = by_id(merger)
    assert tracks["roof/icao:aaaaaa implausible"].flags == ("impossible jump",)
    assert distance_m(tracks["aaaaaa"].latitude, tracks["aaaaaa"].longitude, *CENTRE) < 2_000.0
    merger.add(report("roof", "aaaaaa", 12, 1_200.0))
    assert list(by_id(merger)) == ["aaaaaa"]


def test_three_reports_that_agree_with_each_other_are_believed() -> None:
    assert len(jumped(2).tracks()) == 2
    merger = jumped(3)
    (track,) = merger.tracks()
    assert track.flags == ()
    assert distance_m(track.latitude, track.longitude, *CENTRE) > 300_000.0
    assert merger.counts()["implausible: impossible jump"] == 2


def test_jumps_that_disagree_are_not_believed_however_many() -> None:
    merger = jumped(0)
    for second in range(10, 30):
        merger.add(report("roof", "aaaaaa", second, 100_000.0 * second))
    assert distance_m(by_id(merger)["aaaaaa"].latitude, by_id(merger)["aaaaaa"].longitude, *CENTRE) < 2_000.0


def test_a_ship_does_not_move_like_an_aircraft() -> None:
    merger = TrackMerger()
    for entity in ("211234560", "111211501"):
        merger.add(report("ais", entity, 0, namespace="mmsi"))
        merger.add(report("ais", entity, 10, 1_500.0, namespace="mmsi"))
    assert merger.counts() == {"added": 3, "implausible: impossible jump": 1}


def test_a_vehicle_on_the_ground_is_fine() -> None:
    merger = TrackMerger()
    merger.add(report("roof", "3c6444", 0, on_ground=True, speed_mps=8.0, category="C2"))
    assert [track.flags for track in merger.tracks()] == [()]
