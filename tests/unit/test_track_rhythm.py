"""A source's rhythm, and what it says about which ended number a new one continues."""

from __future__ import annotations

import random

from tests.track_kit import merged_with, numbered, reason_of, report
from vtoc_bots import TrackMerger
from vtoc_bots.core.tracks.rhythm import Rhythm

HIGH = {"altitude_m": 9_000.0, "altitude_datum": "baro"}
SCANS = range(0, 151, 5)


def test_the_interval_is_learned_though_reports_are_dropped() -> None:
    chance, rhythm = random.Random(1), Rhythm()
    for _ in range(400):
        rhythm.learn(4.8 if chance.random() > 0.2 else 9.6)
    assert abs(rhythm.interval - 4.8) < 0.05
    assert rhythm.regular()
    assert rhythm.in_step(14.4)
    assert not rhythm.in_step(7.0)


def test_a_source_that_reports_at_any_time_is_never_out_of_step() -> None:
    chance, rhythm = random.Random(1), Rhythm()
    for _ in range(400):
        rhythm.learn(chance.uniform(0.5, 20.0))
    assert not rhythm.regular()
    assert all(rhythm.in_step(tenths / 10) for tenths in range(1, 300))


def test_a_long_silence_and_a_repeat_teach_nothing() -> None:
    rhythm = Rhythm()
    for _ in range(200):
        rhythm.learn(5.0)
    before = rhythm.interval
    rhythm.learn(0.0)
    rhythm.learn(600.0)
    assert rhythm.interval == before


def scanned(new_at: float, newcomer_east: float = 50_000.0) -> TrackMerger:
    """Two standing aircraft 300 m apart that a radar scans each 5 s; the first gets the number ``3`` at `new_at`.

    Another, ``cccccc``, has begun to report two seconds earlier.
    """
    merger = TrackMerger()
    for second in range(int(new_at) + 1):
        merger.add(report("roof", "aaaaaa", second, 0.0, **HIGH))
        merger.add(report("roof", "bbbbbb", second, 300.0, **HIGH))
        if second >= new_at - 2:
            merger.add(report("roof", "cccccc", second, newcomer_east, **HIGH))
        for far in range(8) if second in SCANS else ():
            merger.add(numbered(f"far{far}", second, 0.0, 20_000.0 + 9_000.0 * far))
        if second in SCANS:
            merger.add(numbered("1", second, -100.0, **HIGH))
        if second - 1 in SCANS:
            merger.add(numbered("2", second, 400.0, **HIGH))
    assert (merged_with(merger, "1"), merged_with(merger, "2")) == ("aaaaaa", "bbbbbb")
    merger.add(numbered("3", new_at, 150.0, **HIGH))
    return merger


def test_a_new_number_in_step_with_one_that_fails_to_come_continues_it_from_its_first_report() -> None:
    merger = scanned(155)
    assert merged_with(merger, "3") == "aaaaaa"
    assert reason_of(merger, "3").startswith("continues c/track:1, ")


def test_a_new_number_out_of_step_continues_nothing() -> None:
    merger = scanned(157.5)
    assert merged_with(merger, "3") == "c/track:3"
    assert "continued" not in merger.counts()


def test_a_number_that_begins_together_with_an_aircraft_there_continues_nothing_yet() -> None:
    merger = scanned(155, newcomer_east=200.0)
    assert merged_with(merger, "3") == "c/track:3"
    assert "continued" not in merger.counts()


def test_two_new_numbers_in_one_round_that_may_continue_one_both_wait() -> None:
    merger = scanned(155)
    merger.add(numbered("4", 155, 140.0, **HIGH))
    assert [merged_with(merger, number) for number in ("3", "4")] == ["c/track:3", "c/track:4"]
    assert "continued" not in merger.counts()


def test_a_number_that_reports_again_takes_back_what_its_successor_took_over() -> None:
    merger = scanned(155)
    assert merged_with(merger, "3") == "aaaaaa"
    for second in range(156, 161):
        merger.add(report("roof", "aaaaaa", second, 0.0, **HIGH))
    merger.add(numbered("1", 160, -100.0, **HIGH))
    assert merged_with(merger, "1") == "aaaaaa"
    assert merged_with(merger, "3") != "aaaaaa"
