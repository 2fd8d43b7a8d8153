"""What a fused track is."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class TrackSource(NamedTuple):
    """One source's part in a track."""

    source: str
    source_type: str
    entity_namespace: str
    entity_id: str
    age_seconds: float
    """Seconds between this source's last position and the picture's time."""
    position_kind: str | None
    reason: str
    """Why it is in this track, in words.

    E.g. ``same ICAO address`` or ``merged at once, hits since: 5, 120 m apart (χ² 1.8)``.
    """


class TrackPoint(NamedTuple):
    """A reported position on a track's trail."""

    at: datetime
    latitude: float
    longitude: float
    altitude_m: float | None
    source: str


class Track(NamedTuple):
    """The fused picture of one entity at one time. SI units, degrees true, aware UTC datetimes."""

    track_id: str
    """Stable while the track lives: the ICAO address where known, else the first source's own identity."""
    icao: str | None
    label: str
    """What a person calls it: callsign, else registration, else the identity."""
    at: datetime
    """The newest position's event time."""
    latitude: float
    longitude: float
    altitude_m: float | None
    altitude_datum: str | None
    speed_mps: float | None
    heading_deg: float | None
    vertical_rate_mps: float | None
    on_ground: bool | None
    accuracy_m: float | None
    squawk: str | None
    category: str | None
    position_kind: str | None
    """Of the newest position: ``adsb_icao``, ``mlat``, … ."""
    sources: tuple[TrackSource, ...]
    trail: tuple[TrackPoint, ...]
    """Oldest first."""
    flags: tuple[str, ...]
    """What is implausible about it, in words; a flagged report is shown apart and never fused."""
    exercise: bool
