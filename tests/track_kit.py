"""What the tests of the track merge share: reports placed in metres round one point, and short questions."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from vtoc_bots import TelemetryEvent, Track, TrackMerger

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
CENTRE = (49.0, 2.5)
METRES_PER_DEGREE = 111_195.0
SIGMAS_IN_95_PERCENT = math.sqrt(-2.0 * math.log(0.05))
FEET = 0.3048


def at(seconds: float) -> datetime:
    """A time so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def place(east_m: float, north_m: float, centre: tuple[float, float] = CENTRE) -> tuple[float, float]:
    """Latitude and longitude of a point so many metres from the centre, on a flat earth."""
    latitude = centre[0] + north_m / METRES_PER_DEGREE
    return latitude, centre[1] + east_m / METRES_PER_DEGREE / math.cos(math.radians(centre[0]))


def report(
    source: str,
    entity_id: str,
    seconds: float,
    east_m: float = 0.0,
    north_m: float = 0.0,
    *,
    namespace: str = "icao",
    sigma_m: float = 20.0,
    centre: tuple[float, float] = CENTRE,
    **more: Any,
) -> TelemetryEvent:
    """A report with a position in metres from the centre."""
    latitude, longitude = place(east_m, north_m, centre)
    return TelemetryEvent(
        entity_id=entity_id,
        entity_namespace=namespace,
        source=source,
        source_type="adsb",
        event_time=at(seconds),
        received_at=at(seconds),
        latitude=latitude,
        longitude=longitude,
        accuracy_m=sigma_m * SIGMAS_IN_95_PERCENT,
        **more,
    )


def numbered(entity_id: str, seconds: float, east_m: float = 0.0, north_m: float = 0.0, **more: Any) -> TelemetryEvent:
    """A report of source ``c``, which knows no identities and is 200 m vague."""
    return report("c", entity_id, seconds, east_m, north_m, **({"namespace": "track", "sigma_m": 200.0} | more))


def by_id(merger: TrackMerger, seconds: float | None = None) -> dict[str, Track]:
    """The picture by track id."""
    return {track.track_id: track for track in merger.tracks(None if seconds is None else at(seconds))}


def merged_with(merger: TrackMerger, entity_id: str, source: str = "c", seconds: float | None = None) -> str | None:
    """The id of the track that a source's entity is in, or None."""
    for track in merger.tracks(None if seconds is None else at(seconds)):
        if not track.flags and any(p.source == source and p.entity_id == entity_id for p in track.sources):
            return track.track_id
    return None


def reason_of(merger: TrackMerger, entity_id: str, source: str = "c") -> str:
    """Why a source's entity is in its track."""
    parts = [p for t in merger.tracks() for p in t.sources if p.source == source and p.entity_id == entity_id]
    return parts[0].reason
