"""The words of a picture: times, altitudes, speeds, squawks, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from vtoc_bots import Track
from vtoc_bots.plugins.pictures.kinds import KINDS, SourceKind, kind_of
from vtoc_bots.plugins.pictures.picture import MapPicture
from vtoc_bots.plugins.pictures.projection import METRES_PER_NM

METRES_PER_FOOT: Final = 0.3048
MPS_PER_KNOT: Final = METRES_PER_NM / 3600.0
MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
EMERGENCIES: Final = {"7500": "unlawful interference", "7600": "radio failure", "7700": "emergency"}
POINTS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
LOWEST_FLIGHT_LEVEL_FT: Final = 3000.0
"""Below it a pressure altitude is given in feet: FL-01 is no flight level."""
LEVEL_FLIGHT_MPS: Final = 1.5
"""About 300 ft/min: slower climbs are drawn as level."""
AGED_SECONDS: Final = 30.0
"""A position older than this is drawn hollow and its age is written."""
LONGEST_NAME: Final = 12


def dtg(moment: datetime) -> str:
    """Return the date-time group in zone Zulu, e.g. ``201951ZNOV26``."""
    at = moment.astimezone(UTC)
    return f"{at.day:02}{at.hour:02}{at.minute:02}Z{MONTHS[at.month - 1]}{at.year % 100:02}"


def emergency_of(track: Track) -> str | None:
    """Return what the track's squawk declares, or None."""
    return EMERGENCIES.get(track.squawk or "")


def age_seconds(track: Track, picture: MapPicture) -> float:
    """Return how old the track's position is in the picture."""
    return max(0.0, (picture.at - track.at).total_seconds())


def name_of(track: Track, picture: MapPicture) -> str:
    """Return what the map calls a track: marked EX where exercise and real tracks stand side by side."""
    label = " ".join(track.label.split()) or track.track_id
    if len(label) > LONGEST_NAME:
        label = label[: LONGEST_NAME - 1] + "…"
    return f"EX {label}" if track.exercise and picture.is_mixed else label


def altitude_text(track: Track) -> str:
    """Return ``FL350``, ``1200ft``, ``GND`` or nothing when it is unknown."""
    if track.on_ground:
        return "GND"
    if track.altitude_m is None:
        return ""
    feet = track.altitude_m / METRES_PER_FOOT
    if track.altitude_datum != "geom" and feet >= LOWEST_FLIGHT_LEVEL_FT:
        return f"FL{round(feet / 100):03}"
    return f"{round(feet / 100) * 100}ft"


def trend_text(track: Track) -> str:
    """Return an arrow for a climb or a descent."""
    rate = track.vertical_rate_mps
    if track.on_ground or rate is None or abs(rate) < LEVEL_FLIGHT_MPS:
        return ""
    return "↑" if rate > 0 else "↓"


def state_text(track: Track, picture: MapPicture) -> str:
    """Return altitude, trend, speed and, where it is old, the age, e.g. ``FL088↓ 302kt 45s``."""
    altitude = altitude_text(track)
    speed = "" if track.speed_mps is None else f"{round(track.speed_mps / MPS_PER_KNOT)}kt"
    age = age_seconds(track, picture)
    old = f"{round(age)}s" if age >= AGED_SECONDS else ""
    return " ".join(part for part in ((altitude + trend_text(track)) if altitude else "", speed, old) if part)


def label_lines(track: Track, picture: MapPicture) -> tuple[str, ...]:
    """Return the lines of a track's label: name, state and, when it declares one, its emergency."""
    emergency = emergency_of(track)
    lines = (name_of(track, picture), f"{track.squawk} {emergency.upper()}" if emergency else "")
    return tuple(line for line in (*lines, state_text(track, picture)) if line)


def kind_counts(tracks: Iterable[Track]) -> list[tuple[SourceKind, int]]:
    """Return the kinds that occur, in their fixed order, with how many tracks each has."""
    counts = Counter(kind_of(track) for track in tracks)
    return [(kind, counts[kind]) for kind in KINDS if counts[kind]]


def counted(count: int, noun: str) -> str:
    """Return the number with its noun, e.g. ``1 track`` or ``3 tracks``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration_text(seconds: float) -> str:
    """Return seconds as people say them: ``45 s``, ``4 min``, ``2 h``."""
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 7200 else f"{seconds / 3600:g} h"


def source_names(picture: MapPicture) -> list[str]:
    """Return the sources the shown tracks come from, the busiest first."""
    counts = Counter(part.source for track in picture.shown for part in track.sources)
    return sorted(counts, key=lambda source: (-counts[source], source))


def source_text(picture: MapPicture, most: int = 4) -> str:
    """Return the sources in words, e.g. ``source local-1090`` or ``sources a, b, c, d and 2 more``."""
    names = source_names(picture)
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"source{'s' if len(names) > 1 else ''} {', '.join(names[:most])}{more}"


def summary_text(picture: MapPicture, inside: int, trails: bool) -> str:
    """Return the line under the title: as of when, how many tracks, how long the trails are, from which sources."""
    total = len(picture.shown)
    count = counted(total, "track") if inside == total else f"{inside} of {counted(total, 'track')} on this map"
    made = picture.made_at
    parts = [
        f"As of {dtg(picture.at)}",
        f"made {dtg(made)}" if made is not None and dtg(made) != dtg(picture.at) else "",
        count if total else "no tracks",
        f"trails {duration_text(picture.trail_seconds)}" if trails else "",
        source_text(picture),
    ]
    return " · ".join(part for part in parts if part)


def place_text(distance_m: float, bearing_deg: float, callsign: str) -> str:
    """Return a place as distance and direction from the station, e.g. ``12 NM NE of TWR``."""
    miles = distance_m / METRES_PER_NM
    if miles < 0.5:
        return f"at {callsign}"
    return f"{miles:.0f} NM {POINTS[round(bearing_deg / 45) % 8]} of {callsign}"


def implausible_text(picture: MapPicture, most: int = 2) -> str:
    """Return which reports are not drawn as tracks, and why."""
    reports = picture.implausible
    if not reports:
        return ""
    named = [
        f"{name_of(report, picture)} ({'; '.join(report.flags) or 'no such position'})" for report in reports[:most]
    ]
    more = f" and {len(reports) - most} more" if len(reports) > most else ""
    kind = "a track" if len(reports) == 1 else "tracks"
    return f"{counted(len(reports), 'implausible report')} not drawn as {kind}: {', '.join(named)}{more}"
