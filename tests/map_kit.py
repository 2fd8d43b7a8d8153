"""Tracks and pictures for the tests of maps, made up or from recordings."""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vtoc_bots import Track, TrackPoint, TrackSource
from vtoc_bots.plugins.pictures.picture import MapPicture, StationMark

NOW = datetime(2026, 11, 20, 19, 51, tzinfo=UTC)
DOVER = StationMark("DOVER OPS", 51.13, 1.3)
PARIS = StationMark("LFPG", 49.0097, 2.5479)
FOOT, KNOT = 0.3048, 1852.0 / 3600.0
KINDS = ("adsb_icao", "mlat", "tisb_other", "other", "adsb_icao")


def recording(name: str) -> Path:
    """Return a recording's path; skip the test where recordings are absent."""
    root = Path(__file__).resolve().parents[1]
    path = root / os.environ.get("VTOC_TEST_DATA", "../shared") / "data" / name
    if not path.exists():
        pytest.skip(f"no recordings here: {path} is missing (set VTOC_TEST_DATA)")
    return path


def source(slug: str = "local-1090", kind: str | None = "adsb_icao") -> TrackSource:
    """Return one source's part in a track."""
    return TrackSource(slug, "adsb", "icao", "abcdef", 1.0, kind, "same ICAO address")


def track(number: int = 1, latitude: float = 51.0, longitude: float = 1.0, **changes: Any) -> Track:
    """Return a level, eastbound ADS-B track without a trail; `changes` replaces its fields."""
    made = Track(
        track_id=f"{number:06x}",
        icao=f"{number:06x}",
        label=f"TST{number:03d}",
        at=NOW - timedelta(seconds=2),
        latitude=latitude,
        longitude=longitude,
        altitude_m=35_000 * FOOT,
        altitude_datum="baro",
        speed_mps=450 * KNOT,
        heading_deg=90.0,
        vertical_rate_mps=0.0,
        on_ground=False,
        accuracy_m=30.0,
        squawk="1000",
        category="A3",
        position_kind="adsb_icao",
        sources=(source(),),
        trail=(),
        flags=(),
        exercise=False,
    )
    return made._replace(**changes)


def trail(latitude: float, longitude: float, heading_deg: float, speed_mps: float) -> tuple[TrackPoint, ...]:
    """Return four minutes of straight flight that end at a position."""
    points = []
    for seconds in range(240, -1, -8):
        degrees = speed_mps * seconds / 111_195
        back = latitude - degrees * math.cos(math.radians(heading_deg))
        aside = degrees * math.sin(math.radians(heading_deg)) / max(0.01, math.cos(math.radians(latitude)))
        points.append(
            TrackPoint(NOW - timedelta(seconds=seconds), back, (longitude - aside + 180) % 360 - 180, None, "a")
        )
    return tuple(points)


def traffic(count: int, latitude: float, longitude: float, spread_deg: float, seed: int = 1) -> tuple[Track, ...]:
    """Return tracks of every kind scattered round a place, with trails."""
    chance = random.Random(seed)
    tracks = []
    for number in range(count):
        north = max(-89.9, min(89.9, latitude + chance.gauss(0, spread_deg)))
        east = longitude + chance.gauss(0, spread_deg) / max(0.05, math.cos(math.radians(north)))
        east = (east + 180) % 360 - 180
        heading, speed = chance.uniform(0, 360), chance.uniform(50, 260)
        kind = KINDS[number % len(KINDS)]
        sources = (source(kind=kind), source("hub", kind)) if number % 7 == 3 else (source(kind=kind),)
        tracks.append(
            track(
                number,
                north,
                east,
                heading_deg=heading,
                speed_mps=speed,
                altitude_m=chance.uniform(100, 12_000),
                vertical_rate_mps=chance.choice([0.0, 6.0, -6.0]),
                position_kind=kind,
                sources=sources,
                trail=trail(north, east, heading, speed),
            )
        )
    return tuple(tracks)


def picture(*tracks: Track, **changes: Any) -> MapPicture:
    """Return a picture of tracks round Dover."""
    fields: dict[str, Any] = {"title": "Air picture", "at": NOW, "tracks": tracks, "station": DOVER} | changes
    return MapPicture(**fields)


def readsb_picture(name: str) -> MapPicture:
    """Return the picture of a recorded aircraft.json: those of its aircraft that have a position."""
    snapshot = json.loads(recording(f"adsb/{name}").read_text())
    tracks = tuple(readsb_track(aircraft, snapshot["now"]) for aircraft in snapshot["aircraft"] if "lat" in aircraft)
    return MapPicture("Air tracks", datetime.fromtimestamp(snapshot["now"], UTC), tracks)


def readsb_track(aircraft: dict[str, Any], now: float) -> Track:
    """Return one aircraft of an aircraft.json as a track."""
    altitude = aircraft.get("alt_baro")
    ground = altitude == "ground"
    rate = aircraft.get("baro_rate")
    return track(
        track_id=aircraft["hex"],
        icao=aircraft["hex"],
        label=aircraft.get("flight", "").strip() or aircraft.get("r") or aircraft["hex"],
        at=datetime.fromtimestamp(now - aircraft.get("seen_pos", 0), UTC),
        latitude=aircraft["lat"],
        longitude=aircraft["lon"],
        altitude_m=None if ground or altitude is None else altitude * FOOT,
        speed_mps=aircraft["gs"] * KNOT if "gs" in aircraft else None,
        heading_deg=aircraft.get("track"),
        vertical_rate_mps=None if rate is None else rate * FOOT / 60,
        on_ground=ground,
        squawk=aircraft.get("squawk"),
        position_kind=aircraft.get("type"),
        sources=(source("receiver", aircraft.get("type")),),
    )


def paris_picture(at_seconds: float, trail_seconds: float = 240.0) -> MapPicture:
    """Return the picture of the recorded Paris traffic at a time, with trails and rings round Charles de Gaulle."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(recording("fusion/paris_adsb_1s_20211007_1300.csv.gz"), "rt") as lines:
        for row in csv.DictReader(lines):
            seconds = int(row["timestamp"]) / 1000
            if row["latitude"] and at_seconds - trail_seconds <= seconds <= at_seconds:
                rows[row["icao24"]].append(row)
    tracks = [
        paris_track(icao, sorted(reports, key=lambda row: int(row["timestamp"]))) for icao, reports in rows.items()
    ]
    at = datetime.fromtimestamp(at_seconds, UTC)
    live = tuple(one for one in sorted(tracks) if (at - one.at).total_seconds() <= 60)
    return MapPicture("Airtrack merge — Paris TMA", at, live, PARIS, ring_radii_nm=(20, 40, 60))


def paris_track(icao: str, rows: list[dict[str, str]]) -> Track:
    """Return the track of one aircraft's rows, oldest first; an altitude no airliner reaches is flagged."""
    points = tuple(
        TrackPoint(
            datetime.fromtimestamp(int(row["timestamp"]) / 1000, UTC),
            float(row["latitude"]),
            float(row["longitude"]),
            None,
            "local-1090",
        )
        for row in rows
    )
    last = rows[-1]
    altitude, speed = number(last["altitude"]), number(last["groundspeed"])
    rate = number(last["vertical_rate"])
    return track(
        track_id=icao,
        icao=icao,
        label=last["callsign"] or icao,
        at=points[-1].at,
        latitude=points[-1].latitude,
        longitude=points[-1].longitude,
        altitude_m=None if altitude is None else altitude * FOOT,
        speed_mps=None if speed is None else speed * KNOT,
        heading_deg=number(last["track"]),
        vertical_rate_mps=None if rate is None else rate * FOOT / 60,
        on_ground=last["onground"] == "True",
        squawk=last["squawk"],
        trail=points,
        flags=("over FL600",) if altitude is not None and altitude > 60_000 else (),
    )


def number(text: str) -> float | None:
    """Return a CSV field as a number, None where it is empty."""
    return float(text) if text else None
