"""A source's new number that continues one that has ended, and what it takes over from it."""

from __future__ import annotations

from tests.track_kit import merged_with, numbered, reason_of, report
from vtoc_bots import TrackMerger

HIGH = {"altitude_m": 9_000.0, "altitude_datum": "baro"}


def told_apart() -> TrackMerger:
    """Two standing aircraft 300 m apart, and the number ``1``, which 35 s of reports showed to be the first."""
    merger = TrackMerger()
    watch(merger, range(36))
    for second in range(0, 36, 5):
        merger.add(numbered("1", second, -100.0, **HIGH))
    assert merged_with(merger, "1") == "aaaaaa"
    return merger


def watch(merger: TrackMerger, seconds: range) -> None:
    """Let source ``roof`` see both aircraft each second."""
    for second in seconds:
        merger.add(report("roof", "aaaaaa", second, 0.0, **HIGH))
        merger.add(report("roof", "bbbbbb", second, 300.0, **HIGH))


def told_again(merger: TrackMerger, number: str, *seconds: int, east: float = 150.0) -> None:
    """Reports of a number that lie as near to the one aircraft as to the other."""
    for second in seconds:
        watch(merger, range(second - 4, second + 1))
        merger.add(numbered(number, second, east, **HIGH))


def test_a_new_number_where_another_ended_takes_over_its_merge() -> None:
    merger = told_apart()
    told_again(merger, "2", 40)
    assert merged_with(merger, "2") == "c/track:2"
    told_again(merger, "2", 45)
    assert merged_with(merger, "2") == "aaaaaa"
    assert reason_of(merger, "2").startswith("continues c/track:1, ")
    assert merger.counts()["continued"] == 1


def test_a_number_that_reports_again_had_not_ended_and_gives_nothing_away() -> None:
    merger = told_apart()
    told_again(merger, "2", 40, 45)
    merger.add(numbered("1", 45.5, -100.0, **HIGH))
    assert merged_with(merger, "1") == "aaaaaa"
    assert merged_with(merger, "2") != "aaaaaa"


def test_a_new_number_beside_one_that_goes_on_continues_nothing() -> None:
    merger = told_apart()
    for second in (40, 45, 50, 55):
        told_again(merger, "2", second)
        merger.add(numbered("1", second, -100.0, **HIGH))
    assert merged_with(merger, "1") == "aaaaaa"
    assert "continued" not in merger.counts()


def test_a_new_number_far_from_where_another_ended_does_not_continue_it() -> None:
    merger = told_apart()
    told_again(merger, "2", 40, 45, 50, east=3_000.0)
    assert "continued" not in merger.counts()


def test_of_two_numbers_that_ended_together_neither_is_known_to_be_continued() -> None:
    merger = told_apart()
    merger.add(numbered("0", 34, 120.0, **HIGH))
    merger.add(numbered("0", 35, 130.0, **HIGH))
    told_again(merger, "2", 40, 45)
    assert "continued" not in merger.counts()


def test_another_source_never_continues_a_number() -> None:
    merger = told_apart()
    for second in (40, 45):
        watch(merger, range(second - 4, second + 1))
        merger.add(numbered("1", second, 150.0, **HIGH)._replace(source="d"))
    assert "continued" not in merger.counts()


def test_a_number_that_two_new_ones_may_continue_is_continued_by_neither() -> None:
    merger = told_apart()
    merger.add(numbered("3", 39, 150.0, **HIGH))
    told_again(merger, "2", 40, 45, 50)
    assert "continued" not in merger.counts()


def test_what_is_taken_over_of_an_ended_number_is_bounded() -> None:
    merger = told_apart()
    told_again(merger, "2", 40, 45)
    for second in range(50, 85, 5):
        told_again(merger, "2", second, east=450.0)
    assert merged_with(merger, "2") == "bbbbbb"


def test_a_number_that_reports_again_does_not_undo_a_join_by_hand() -> None:
    merger = told_apart()
    told_again(merger, "2", 40, 45)
    merger.join("bbbbbb", "c/track:2")
    merger.add(numbered("1", 45.5, -100.0, **HIGH))
    assert merged_with(merger, "2") == "bbbbbb"
    assert reason_of(merger, "2") == "joined by hand"
