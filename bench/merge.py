"""The track merge: its quality by the recipe of `bench.merge_quality`, and reports a CPU-second."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean

from bench.merge_quality import OTHER_STARTS, STARTS, Score, Truth, made, observed, overlaid, recorded, recording, score
from vtoc_bots import TelemetryEvent, TrackMerger

SEEDS = (1, 2, 3, 4, 5)
PRECISION_BAR, RECALL_BAR, SWITCHES_BAR, REPORTS_BAR = 0.998, 0.955, 2, 20_000
MADE_SECONDS, MADE_AIRCRAFT = 1_200, 24
TRACKS, PICTURE_BAR_SECONDS, PICTURES = 5_000, 1.0, 3


async def run() -> list[str]:
    """Markdown rows: what, figure (and the worst seed's), bar, ratio."""
    path = recording()
    truth = made(MADE_SECONDS, MADE_AIRCRAFT) if path is None else recorded(path)
    traffic = "made traffic, as the recording is absent" if path is None else "recorded Paris traffic"
    usual = _scores(truth, STARTS, 200.0)
    rows = _quality_rows(f"merge, {traffic}, 4 x 300 s, seeds 1-5", usual)
    rows.append(
        f"| merge, identity switches, most of a seed | {max(s.switches for s in usual)} | {SWITCHES_BAR} at most | "
        f"{max(s.switches for s in usual) / SWITCHES_BAR:.2f} |"
    )
    rows += _quality_rows("merge, source C with sigma 400 m", _scores(truth, STARTS, 400.0))
    other = [one for starts in OTHER_STARTS for one in _scores(truth, starts, 200.0)]
    rows += _quality_rows(f"merge, {len(OTHER_STARTS)} other sets of windows", other)
    mixed = sum(one.mixed for one in usual + other)
    rows.append(f"| merge, tracks with two ICAO addresses | {mixed} | 0 | {1.0 if mixed == 0 else 0.0:.2f} |")
    rate = sum(s.reports for s in usual) / sum(s.cpu_seconds for s in usual)
    rows.append(
        f"| merge, reports a CPU-second, with a picture each 5 s | {rate:,.0f} | {REPORTS_BAR:,} | "
        f"{rate / REPORTS_BAR:.2f} |"
    )
    rows.append(_picture_row())
    return rows


def _scores(truth: Truth, starts: Sequence[int], sigma_c_m: float) -> list[Score]:
    laid = overlaid(truth, starts)
    return [score(observed(laid, seed, sigma_c_m)) for seed in SEEDS]


def _quality_rows(what: str, scores: Sequence[Score]) -> list[str]:
    rows = []
    for name, bar, figures in (
        ("precision", PRECISION_BAR, [one.precision for one in scores]),
        ("recall", RECALL_BAR, [one.recall for one in scores]),
    ):
        mean = fmean(figures)
        rows.append(f"| {what}: {name} (worst seed) | {mean:.4f} ({min(figures):.4f}) | {bar} | {mean / bar:.4f} |")
    return rows


def _picture_row() -> str:
    """CPU of `tracks()` with many aircraft that each reported a second ago."""
    chance, merger, at = random.Random(1), TrackMerger(), datetime(2024, 6, 1, tzinfo=UTC)
    fleet = [(chance.uniform(40, 55), chance.uniform(-5, 20), chance.uniform(0, 360)) for _ in range(TRACKS)]
    spent = []
    for second in range(PICTURES):
        now = at + timedelta(seconds=second)
        for number, (latitude, longitude, heading) in enumerate(fleet):
            north = 200.0 * second * math.cos(math.radians(heading)) / 111_195.0
            merger.add(
                TelemetryEvent(
                    f"{number:06x}", "icao", "a", "adsb", now, now, latitude + north, longitude, accuracy_m=50.0
                )
            )
        began = time.process_time()
        merger.tracks(now)
        spent.append(time.process_time() - began)
    cost = fmean(spent)
    return (
        f"| merge, CPU of a picture of {TRACKS:,} tracks | {cost * 1e3:.0f} ms | {PICTURE_BAR_SECONDS * 1e3:.0f} ms | "
        f"{cost / PICTURE_BAR_SECONDS:.2f} |"
    )
