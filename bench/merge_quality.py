"""The merge's quality scorer: real or made traffic, seen by three sources, merged, and compared with the truth."""

from __future__ import annotations

import csv
import gzip
import math
import os
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from vtoc_bots import MergeSettings, TelemetryEvent, Track, TrackMerger

METRES_PER_DEGREE = 111_195.0
METRES_PER_FOOT = 0.3048
MPS_PER_KNOT = 1852.0 / 3600.0
SIGMAS_IN_95_PERCENT = math.sqrt(-2.0 * math.log(0.05))
BEGAN = datetime(2021, 10, 7, 13, tzinfo=UTC)
STARTS = (0, 300, 600, 900)
OTHER_STARTS = ((50, 350, 650, 900), (150, 420, 690, 890), (25, 310, 555, 830), (100, 300, 500, 700))
WINDOW_SECONDS = 300
SCORE_SECONDS = 5
SIGMA_A_M = SIGMA_B_M = 20.0
SIGMA_C_M = 200.0
B_EVERY_SECONDS, B_LATEST_SECONDS = 10, 6.0
C_EVERY_SECONDS, C_DROPPED, C_RENUMBERED = 5, 0.1, 0.01
FIRST_ADDRESS = 0x380000


class Sample(NamedTuple):
    """Where an aircraft truly was. Seconds since the beginning, degrees, feet, knots, feet a minute."""

    t: int
    latitude: float
    longitude: float
    altitude_ft: float | None
    speed_kt: float | None
    heading_deg: float | None
    climb_fpm: float | None
    on_ground: bool
    callsign: str


Truth = Mapping[str, Sequence[Sample]]
"""Samples of each aircraft, each second, by ICAO address."""


class Scenario(NamedTuple):
    """What the sources report, in the order it arrives, and which aircraft each C number is."""

    deliveries: list[tuple[float, TelemetryEvent]]
    owners: dict[str, str]


class Score(NamedTuple):
    """How well one seed was merged."""

    precision: float
    recall: float
    switches: int
    mixed: int
    """Tracks with two ICAO addresses, of all pictures."""
    reports: int
    cpu_seconds: float


def recording() -> Path | None:
    """The recorded one-second tracks, or None where the test data is absent."""
    root = Path(__file__).resolve().parent.parent / os.environ.get("VTOC_TEST_DATA", "../shared")
    path = root / "data" / "fusion" / "paris_adsb_1s_20211007_1300.csv.gz"
    return path if path.exists() else None


def recorded(path: Path) -> dict[str, list[Sample]]:
    """Real one-second ADS-B tracks from a CSV file."""

    def number(text: str) -> float | None:
        return float(text) if text else None

    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    first = min(int(row["timestamp"]) for row in rows)
    truth: dict[str, list[Sample]] = {}
    for row in rows:
        sample = Sample(
            (int(row["timestamp"]) - first) // 1000,
            float(row["latitude"]),
            float(row["longitude"]),
            number(row["altitude"]),
            number(row["groundspeed"]),
            number(row["track"]),
            number(row["vertical_rate"]),
            row["onground"] == "True",
            row["callsign"],
        )
        truth.setdefault(row["icao24"], []).append(sample)
    return truth


def made(seconds: int, aircraft: int, seed: int = 7) -> dict[str, list[Sample]]:
    """Made traffic round an airport: overflights, turning arrivals and departures, and some taxiing."""
    chance = random.Random(seed)
    return {f"{number + 1:06x}": _flown(number, seconds, chance) for number in range(aircraft)}


def _flown(number: int, seconds: int, chance: random.Random) -> list[Sample]:
    on_ground = number % 8 == 0
    x, y = chance.uniform(-60_000, 60_000), chance.uniform(-60_000, 60_000)
    if on_ground:
        x, y = x / 20, y / 20
    heading, speed_kt = chance.uniform(0, 360), chance.uniform(5, 20) if on_ground else chance.uniform(140, 460)
    altitude, climb, turn = chance.uniform(2_000, 38_000), 0.0, 0.0
    samples = []
    for t in range(seconds):
        if t % 40 == number % 40:
            turn = chance.choice((0.0, 0.0, 0.0, -3.0, 3.0, 1.5))
            climb = chance.choice((0.0, 0.0, -1_500.0, 1_800.0)) if 2_000 < altitude < 39_000 else 0.0
        heading = (heading + turn) % 360.0
        altitude += climb / 60.0
        x += speed_kt * MPS_PER_KNOT * math.sin(math.radians(heading))
        y += speed_kt * MPS_PER_KNOT * math.cos(math.radians(heading))
        latitude = 49.0 + y / METRES_PER_DEGREE
        longitude = 2.5 + x / METRES_PER_DEGREE / math.cos(math.radians(latitude))
        height = None if on_ground else 25.0 * round(altitude / 25.0)
        samples.append(Sample(t, latitude, longitude, height, speed_kt, heading, climb, on_ground, f"MADE{number:03d}"))
    return samples


def overlaid(truth: Truth, starts: Sequence[int], seconds: int = WINDOW_SECONDS) -> dict[str, list[Sample]]:
    """Windows of the traffic laid over each other; every aircraft of every window gets an address of its own."""
    laid: dict[str, list[Sample]] = {}
    for start in starts:
        for samples in truth.values():
            window = [s._replace(t=s.t - start) for s in samples if start <= s.t < start + seconds]
            if window:
                laid[f"{FIRST_ADDRESS + len(laid):06x}"] = window
    return laid


def observed(truth: Truth, seed: int, sigma_c_m: float = SIGMA_C_M) -> Scenario:
    """What sources A (address, each second), B (address, each 10 s, up to 6 s late) and C (own numbers) report."""
    chance = random.Random(seed)
    scenario = Scenario([], {})
    for address, samples in truth.items():
        phase_b, phase_c = chance.randrange(B_EVERY_SECONDS), chance.randrange(C_EVERY_SECONDS)
        number = _next_number(scenario, address)
        for sample in samples:
            scenario.deliveries.append((sample.t, _named(address, "a", sample, SIGMA_A_M, 0.0, chance)))
            if sample.t % B_EVERY_SECONDS == phase_b:
                late = chance.uniform(0.0, B_LATEST_SECONDS)
                event = _named(address, "b", sample, SIGMA_B_M, late, chance)
                scenario.deliveries.append((sample.t + late, event))
            if sample.t % C_EVERY_SECONDS == phase_c:
                if chance.random() < C_RENUMBERED:
                    number = _next_number(scenario, address)
                if chance.random() >= C_DROPPED:
                    scenario.deliveries.append((sample.t, _numbered(number, sample, sigma_c_m, chance)))
    scenario.deliveries.sort(key=lambda delivery: delivery[0])
    return scenario


def _next_number(scenario: Scenario, address: str) -> str:
    number = str(len(scenario.owners) + 1)
    scenario.owners[number] = address
    return number


def _blurred(sample: Sample, sigma_m: float, chance: random.Random) -> tuple[float, float]:
    scale = METRES_PER_DEGREE * math.cos(math.radians(sample.latitude))
    north, east = chance.gauss(0.0, sigma_m), chance.gauss(0.0, sigma_m)
    return sample.latitude + north / METRES_PER_DEGREE, sample.longitude + east / scale


def _named(
    address: str, source: str, sample: Sample, sigma_m: float, late: float, chance: random.Random
) -> TelemetryEvent:
    latitude, longitude = _blurred(sample, sigma_m, chance)
    at = BEGAN + timedelta(seconds=sample.t)
    height = sample.altitude_ft
    return TelemetryEvent(
        entity_id=address,
        entity_namespace="icao",
        source=source,
        source_type="adsb",
        event_time=at,
        received_at=at + timedelta(seconds=late),
        latitude=latitude,
        longitude=longitude,
        altitude_m=None if height is None else height * METRES_PER_FOOT,
        altitude_datum=None if height is None else "baro",
        speed_mps=None if sample.speed_kt is None else sample.speed_kt * MPS_PER_KNOT,
        heading_deg=sample.heading_deg,
        vertical_rate_mps=None if sample.climb_fpm is None else sample.climb_fpm * METRES_PER_FOOT / 60.0,
        on_ground=sample.on_ground,
        callsign=sample.callsign,
        accuracy_m=sigma_m * SIGMAS_IN_95_PERCENT,
        position_kind="adsb_icao",
    )


def _numbered(number: str, sample: Sample, sigma_m: float, chance: random.Random) -> TelemetryEvent:
    latitude, longitude = _blurred(sample, sigma_m, chance)
    at = BEGAN + timedelta(seconds=sample.t)
    height = sample.altitude_ft
    return TelemetryEvent(
        entity_id=number,
        entity_namespace="track",
        source="c",
        source_type="radar",
        event_time=at,
        received_at=at,
        latitude=latitude,
        longitude=longitude,
        altitude_m=None if height is None else round(height / 100.0) * 100.0 * METRES_PER_FOOT,
        altitude_datum=None if height is None else "baro",
        accuracy_m=sigma_m * SIGMAS_IN_95_PERCENT,
        position_kind="other",
    )


class Scorer:
    """Counts, picture by picture, which C numbers are merged with which address."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        self._owners = owners
        self._last: dict[str, str] = {}
        self.merges = self.right = self.reports = self.found = self.switches = self.mixed = 0

    def take(self, tracks: Iterable[Track], reported: Iterable[str]) -> None:
        """Score one picture. `reported` are the C numbers of the reports since the last one."""
        merged: dict[str, str] = {}
        for track in tracks:
            addresses = {part.entity_id for part in track.sources if part.entity_namespace == "icao"}
            self.mixed += len(addresses) > 1
            if track.icao is not None:
                merged |= {part.entity_id: track.icao for part in track.sources if part.source == "c"}
        for number, address in merged.items():
            self.merges += 1
            self.right += self._owners[number] == address
            self.switches += self._last.get(number, address) != address
            self._last[number] = address
        for number in reported:
            self.reports += 1
            self.found += merged.get(number) == self._owners[number]


def score(scenario: Scenario, settings: MergeSettings | None = None) -> Score:
    """Merge a scenario in the order it arrives, with a picture each `SCORE_SECONDS`; CPU is of the merger alone."""
    merger, scorer = TrackMerger(settings), Scorer(scenario.owners)
    cpu, done = 0.0, 0
    deliveries = scenario.deliveries
    while done < len(deliveries):
        until = (int(deliveries[done][0]) // SCORE_SECONDS + 1) * SCORE_SECONDS
        batch = []
        while done < len(deliveries) and deliveries[done][0] < until:
            batch.append(deliveries[done][1])
            done += 1
        began = time.process_time()
        for event in batch:
            merger.add(event)
        tracks = merger.tracks(BEGAN + timedelta(seconds=until))
        cpu += time.process_time() - began
        scorer.take(tracks, [event.entity_id for event in batch if event.source == "c"])
    return Score(
        scorer.right / max(1, scorer.merges),
        scorer.found / max(1, scorer.reports),
        scorer.switches,
        scorer.mixed,
        len(deliveries),
        cpu,
    )
