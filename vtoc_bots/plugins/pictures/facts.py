"""What files for other map programs say of a track: facts, trail and rings, in degrees and plain words."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

from vtoc_bots import Track
from vtoc_bots.plugins.pictures.captions import dtg, emergency_of, name_of, state_text
from vtoc_bots.plugins.pictures.kinds import kind_of
from vtoc_bots.plugins.pictures.picture import MapPicture, is_plausible
from vtoc_bots.plugins.pictures.projection import METRES_PER_NM, circle, wrapped

NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Place = tuple[float, float]
"""Longitude and latitude in degrees: the order of GeoJSON and KML."""


def clean(text: str) -> str:
    """Return the text without what XML 1.0 (and UTF-8) can't hold."""
    return NOT_IN_XML.sub("", text)


def place(latitude: float, longitude: float) -> Place:
    """Return a position with six decimals (0.1 m), its longitude brought into ±180."""
    east = longitude if -180.0 <= longitude <= 180.0 else float(wrapped(longitude))
    return round(east, 6), round(latitude, 6)


def facts_of(track: Track, picture: MapPicture) -> dict[str, Any]:
    """Return what is known of a track; units in the names as everywhere, times in ISO 8601 UTC."""
    return {
        "id": clean(track.track_id),
        "icao": track.icao,
        "callsign": clean(track.label),
        "kind": kind_of(track).title,
        "at": track.at.isoformat(),
        "altitude_m": track.altitude_m,
        "altitude_datum": track.altitude_datum,
        "speed_mps": track.speed_mps,
        "heading_deg": track.heading_deg,
        "vertical_rate_mps": track.vertical_rate_mps,
        "on_ground": track.on_ground,
        "accuracy_m": track.accuracy_m,
        "squawk": track.squawk,
        "emergency": emergency_of(track),
        "category": track.category,
        "sources": [clean(f"{part.source} ({part.reason})") for part in track.sources],
        "implausible": [clean(flag) for flag in track.flags],
        "exercise": track.exercise or picture.exercise,
    }


def title_of(track: Track, picture: MapPicture) -> str:
    """Return a track's name, with what must not be overlooked before it."""
    doubt = "" if is_plausible(track) else "? "
    exercise = "EXERCISE " if track.exercise or picture.exercise else ""
    return clean(f"{doubt}{exercise}{name_of(track, picture).removeprefix('EX ')}")


def summary_of(track: Track, picture: MapPicture) -> str:
    """Return a track in one line."""
    emergency = emergency_of(track)
    parts = [
        f"squawk {track.squawk}: {emergency}" if emergency else "",
        state_text(track, picture),
        kind_of(track).title,
        f"last seen {dtg(track.at)}",
        f"implausible: {'; '.join(track.flags)}" if track.flags else "",
    ]
    return clean(", ".join(part for part in parts if part))


def recent_trail(track: Track, picture: MapPicture) -> list[Place]:
    """Return the part of a track's trail the picture shows, oldest first, ending at the track."""
    now = picture.at.timestamp()
    points = [
        place(point.latitude, point.longitude)
        for point in track.trail
        if now - point.at.timestamp() <= picture.trail_seconds
    ]
    here = place(track.latitude, track.longitude)
    if points and points[-1] != here:
        points.append(here)
    return points if len(points) > 1 else []


def rings_of(picture: MapPicture) -> list[tuple[str, list[Place]]]:
    """Return the range rings that were asked for, each with its name."""
    station = picture.station
    if station is None:
        return []
    rings = []
    for radius in picture.ring_radii_nm or ():
        latitudes, longitudes = circle(station.latitude, station.longitude, radius * METRES_PER_NM, 73)
        points = zip(latitudes.tolist(), longitudes.tolist(), strict=True)
        rings.append((f"{radius:g} NM", [place(*point) for point in points]))
    return rings


def parted(line: Sequence[Place]) -> list[list[Place]]:
    """Return the line cut where it crosses the antimeridian (RFC 7946, 3.1.9)."""
    parts = [[line[0]]]
    for (east, north), (next_east, next_north) in itertools.pairwise(line):
        if abs(next_east - east) > 180.0:
            edge = math.copysign(180.0, east)
            run = next_east + 2 * edge - east
            at = north if run == 0 else north + (next_north - north) * (edge - east) / run
            parts[-1].append((edge, round(at, 6)))
            parts.append([(-edge, round(at, 6))])
        parts[-1].append((next_east, next_north))
    return [part for part in parts if len(part) > 1]
