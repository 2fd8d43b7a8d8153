"""The bars of merge quality, on a small piece of made traffic and, where they are, on real tracks."""

from __future__ import annotations

import pytest

from bench.merge_quality import Score, Scorer, made, observed, overlaid, recorded, recording, score
from tests.track_kit import NOON, report
from vtoc_bots import TrackMerger


def assert_bars_hold(result: Score) -> None:
    assert result.precision >= 0.998
    assert result.recall >= 0.955
    assert result.switches <= 2
    assert result.mixed == 0


def test_made_traffic_is_merged_as_well_as_the_bars_ask() -> None:
    laid = overlaid(made(240, 16), (0, 120), 120)
    assert_bars_hold(score(observed(laid, seed=1)))


def test_made_traffic_seen_half_as_well_is_merged_as_well() -> None:
    laid = overlaid(made(240, 16), (0, 120), 120)
    assert_bars_hold(score(observed(laid, seed=1, sigma_c_m=400.0)))


def test_real_tracks_are_merged_as_well_as_the_bars_ask() -> None:
    path = recording()
    if path is None:
        pytest.skip("no recordings here: set VTOC_TEST_DATA to the folder that holds data/fusion")
    laid = overlaid(recorded(path), (0, 300))
    assert_bars_hold(score(observed(laid, seed=1)))


def test_the_scorer_counts_wrong_merges_misses_and_switches() -> None:
    scorer = Scorer({"1": "aaaaaa", "2": "bbbbbb"})
    for address in ("aaaaaa", "bbbbbb"):
        merger = TrackMerger()
        merger.add(report("roof", address, 0))
        merger.join(address, "c/track:1")
        merger.add(report("c", "1", 0, namespace="track"))
        scorer.take(merger.tracks(NOON), ["1", "2"])
    assert (scorer.merges, scorer.right, scorer.reports, scorer.found, scorer.switches) == (2, 1, 4, 1, 1)
