"""What a map picture is made of: the tracks, the station, the area and the words around them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from vtoc_bots import Track, TrackPoint

SMALLEST_SIDE_PX = 480
LARGEST_SIDE_PX = 4096


@dataclass(frozen=True, slots=True)
class StationMark:
    """A station as a map shows it. WGS84 degrees."""

    callsign: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class CircleArea:
    """The area within `radius_m` metres of a WGS84 position."""

    latitude: float
    longitude: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class BoundsArea:
    """The area between two parallels and two meridians, WGS84 degrees; `west` > `east` spans the antimeridian."""

    south: float
    west: float
    north: float
    east: float


Area = CircleArea | BoundsArea


@dataclass(frozen=True)
class MapPicture:
    """One operational map. Raises ValueError when its size or times can't be drawn."""

    title: str
    at: datetime
    """The time the tracks are shown for ("as of"), aware."""
    tracks: tuple[Track, ...]
    station: StationMark | None = None
    area: Area | None = None
    """What to show; None fits the tracks and the station."""
    ring_radii_nm: tuple[float, ...] | None = None
    """Range rings round the station; None chooses them, () draws none."""
    trail_seconds: float = 240.0
    """How much of each trail to draw; 0 draws none."""
    made_at: datetime | None = None
    """When the picture was made, where that is not the time it shows (offline sources), aware."""
    highlight: frozenset[str] = frozenset()
    """Ids of the tracks to point out."""
    exercise: bool = False
    """Marks the picture EXERCISE even when none of its tracks is."""
    attribution: str = ""
    """Whose telemetry it is, where its licence wants that said."""
    width_px: int = 1280
    height_px: int = 960

    def __post_init__(self) -> None:
        for side in (self.width_px, self.height_px):
            if not SMALLEST_SIDE_PX <= side <= LARGEST_SIDE_PX:
                sizes = f"{SMALLEST_SIDE_PX} to {LARGEST_SIDE_PX}"
                raise ValueError(f"map: {side} px is no size for a picture; take {sizes}.")
        for moment in (self.at, self.made_at):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("map: a time without a zone can't be shown; pass an aware datetime.")

    @cached_property
    def is_exercise(self) -> bool:
        """Whether the picture must carry the EXERCISE banner."""
        return self.exercise or any(track.exercise for track in self.tracks)

    @cached_property
    def is_mixed(self) -> bool:
        """Whether exercise and real tracks stand side by side, so that each must say which it is."""
        return len({track.exercise for track in self.tracks}) > 1

    @cached_property
    def shown(self) -> tuple[Track, ...]:
        """The tracks to draw as real: plausible and with a position that can be one."""
        return tuple(sound(track) for track in self.tracks if is_plausible(track))

    @cached_property
    def implausible(self) -> tuple[Track, ...]:
        """The flagged reports, and those whose position can't be one."""
        return tuple(sound(track) for track in self.tracks if not is_plausible(track))


def is_plausible(track: Track) -> bool:
    """Return whether the track is drawn as real."""
    return not track.flags and is_place(track)


def is_place(at: Track | TrackPoint) -> bool:
    """Return whether latitude and longitude name a place on earth."""
    return abs(at.latitude) <= 90.0 and math.isfinite(at.longitude)


def sound(track: Track) -> Track:
    """Return the track without numbers that are none and trail points that are nowhere."""
    numbers = (track.altitude_m, track.speed_mps, track.heading_deg, track.vertical_rate_mps, track.accuracy_m)
    # A sum is finite only where every part is; this runs over every trail point of the picture.
    whole = math.isfinite(sum([point.latitude + point.longitude for point in track.trail]))
    whole = whole and max([abs(point.latitude) for point in track.trail], default=0.0) <= 90.0
    if whole and all(value is None or math.isfinite(value) for value in numbers):
        return track
    altitude, speed, heading, rate, accuracy = (
        value if value is not None and math.isfinite(value) else None for value in numbers
    )
    return track._replace(
        altitude_m=altitude,
        speed_mps=speed,
        heading_deg=heading,
        vertical_rate_mps=rate,
        accuracy_m=accuracy,
        trail=tuple(point for point in track.trail if is_place(point)),
    )
