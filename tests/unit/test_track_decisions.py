"""What operators decide by hand holds until they undo it."""

from __future__ import annotations

import pytest

from tests.track_kit import by_id, merged_with, numbered, reason_of, report
from vtoc_bots import TrackMerger, UsageError


def seen(merger: TrackMerger, seconds: range, apart_m: float) -> None:
    """Two addresses far from each other, and a number so far east of the first."""
    for second in seconds:
        merger.add(report("roof", "aaaaaa", second))
        merger.add(report("roof", "bbbbbb", second, 0.0, 50_000.0))
        if second % 5 == 4:
            merger.add(numbered("1", second, apart_m))


def test_what_is_joined_by_hand_is_one_track_wherever_it_is() -> None:
    merger = TrackMerger()
    seen(merger, range(5), 20_000.0)
    assert merged_with(merger, "1") == "c/track:1"
    merger.join("aaaaaa", "c/track:1")
    assert merged_with(merger, "1") == "aaaaaa"
    assert reason_of(merger, "1") == "joined by hand"
    seen(merger, range(5, 100), 20_000.0)
    assert merged_with(merger, "1") == "aaaaaa"


def test_a_join_undone_is_parted_again() -> None:
    merger = TrackMerger()
    seen(merger, range(5), 20_000.0)
    merger.join("c/track:1", "aaaaaa")
    assert merger.undo("aaaaaa", "c/track:1")
    assert merged_with(merger, "1") == "c/track:1"
    assert not merger.undo("aaaaaa", "c/track:1")


def test_what_is_split_by_hand_is_never_merged_until_that_is_undone() -> None:
    merger = TrackMerger()
    seen(merger, range(5), 20.0)
    assert merged_with(merger, "1") == "aaaaaa"
    merger.split("aaaaaa", "c/track:1")
    assert merged_with(merger, "1") == "c/track:1"
    seen(merger, range(5, 100), 20.0)
    assert merged_with(merger, "1") == "c/track:1"
    assert merger.undo("c/track:1", "aaaaaa")
    seen(merger, range(100, 105), 20.0)
    assert merged_with(merger, "1") == "aaaaaa"


def test_a_decision_made_before_the_tracks_are_there_holds_when_they_come() -> None:
    joined, split = TrackMerger(), TrackMerger()
    joined.join("icao:aaaaaa", "c/track:1")
    split.split("aaaaaa", "c/track:1")
    seen(joined, range(5), 20_000.0)
    seen(split, range(5), 20.0)
    assert merged_with(joined, "1") == "aaaaaa"
    assert merged_with(split, "1") == "c/track:1"


def test_a_join_takes_the_place_of_a_split_and_the_other_way_round() -> None:
    merger = TrackMerger()
    seen(merger, range(5), 20.0)
    merger.split("aaaaaa", "c/track:1")
    merger.join("aaaaaa", "c/track:1")
    assert merged_with(merger, "1") == "aaaaaa"
    merger.split("aaaaaa", "c/track:1")
    assert merged_with(merger, "1") == "c/track:1"


def test_a_decision_outlives_a_track_that_comes_back() -> None:
    merger = TrackMerger()
    seen(merger, range(5), 20_000.0)
    merger.join("aaaaaa", "c/track:1")
    for second in range(5, 300):
        merger.add(report("roof", "aaaaaa", second))
        if second % 5 == 0:
            merger.add(numbered("2", second, 90_000.0))
    assert "c/track:1" not in merger._registry.identities
    seen(merger, range(300, 305), 20_000.0)
    assert merged_with(merger, "1") == "aaaaaa"


def test_two_icao_addresses_are_not_joined_even_by_hand_nor_through_a_third() -> None:
    merger = TrackMerger()
    with pytest.raises(UsageError, match="aaaaaa and bbbbbb are different ICAO addresses"):
        merger.join("aaaaaa", "bbbbbb")
    merger.join("aaaaaa", "c/track:1")
    with pytest.raises(UsageError, match="never merged"):
        merger.join("c/track:1", "bbbbbb")
    seen(merger, range(5), 20.0)
    assert [len(track.sources) for track in merger.tracks()] == [2, 1]


def test_a_track_is_neither_joined_with_nor_split_from_itself() -> None:
    merger = TrackMerger()
    for decide in (merger.join, merger.split):
        with pytest.raises(UsageError, match="Name two tracks"):
            decide("aaaaaa", "icao:aaaaaa")


def test_joins_in_a_row_make_one_track_and_a_split_across_them_is_refused() -> None:
    merger = TrackMerger()
    merger.join("c/track:1", "d/track:1")
    merger.join("d/track:1", "aaaaaa")
    merger.add(numbered("1", 0, 9_000.0))
    merger.add(report("d", "1", 0, -9_000.0, namespace="track", sigma_m=200.0))
    assert len(merger.tracks()) == 1
    merger.add(report("roof", "aaaaaa", 1))
    (track,) = merger.tracks()
    assert (track.icao, len(track.sources)) == ("aaaaaa", 3)
    for second in range(2, 400, 5):
        merger.add(numbered("1", second, 9_000.0))
        merger.add(report("d", "1", second, -9_000.0, namespace="track", sigma_m=200.0))
    (track,) = merger.tracks()
    assert (track.icao, len(track.sources)) == (None, 2), "what was joined through the address is still joined"
    with pytest.raises(UsageError, match="joined through another track"):
        merger.split("aaaaaa", "c/track:1")
    assert merger.undo("d/track:1", "aaaaaa")
    assert merged_with(merger, "1", "c") == merged_with(merger, "1", "d") == "c/track:1"


def test_two_sources_that_claim_one_address_can_be_split_and_brought_together() -> None:
    merger = TrackMerger()
    for second in range(5):
        merger.add(report("roof", "3c6444", second))
        merger.add(report("hill", "3c6444", second, 500.0))
    assert list(by_id(merger)) == ["3c6444"]
    merger.split("roof/icao:3c6444", "hill/icao:3c6444")
    assert list(by_id(merger)) == ["3c6444", "hill/icao:3c6444"]
    assert {track.icao for track in merger.tracks()} == {"3c6444"}
    merger.add(report("hill", "3c6444", 6, 500.0))
    assert len(merger.tracks()) == 2
    assert merger.undo("roof/icao:3c6444", "hill/icao:3c6444")
    assert list(by_id(merger)) == ["3c6444"]


def test_what_was_joined_by_hand_goes_where_its_host_goes() -> None:
    merger = TrackMerger()
    merger.join("c/track:1", "d/track:1")
    for second in range(5):
        merger.add(report("roof", "aaaaaa", second))
    merger.add(report("d", "1", 4, 90_000.0, namespace="track", sigma_m=200.0))
    merger.add(numbered("1", 4, 20.0))
    tracks = by_id(merger)
    assert {part.source for part in tracks["d/track:1"].sources} == {"c", "d"}
    for second in range(5, 80, 5):
        merger.add(report("roof", "aaaaaa", second))
        merger.add(report("d", "1", second, 20.0, namespace="track", sigma_m=200.0))
    assert merged_with(merger, "1", "d") == "aaaaaa"
    merger.add(numbered("1", 79, 20.0))
    assert merged_with(merger, "1", "c") == "aaaaaa"


def test_names_may_hold_slashes_and_colons() -> None:
    merger = TrackMerger()
    merger.split("aprs/callsign:dl1abc/p", "c/track:a:1")
    assert merger.undo("callsign:dl1abc/p", "c/track:a:1")
