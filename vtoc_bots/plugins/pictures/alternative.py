"""The picture in words, for those who can't see it."""

from __future__ import annotations

from vtoc_bots import Track
from vtoc_bots.plugins.pictures.captions import (
    counted,
    dtg,
    emergency_of,
    implausible_text,
    kind_counts,
    name_of,
    place_text,
    source_text,
    state_text,
)
from vtoc_bots.plugins.pictures.picture import MapPicture
from vtoc_bots.plugins.pictures.projection import away

MOST_NAMED = 5


def alt_text(picture: MapPicture) -> str:
    """Return what the map shows, in a few sentences: exercise, emergencies and the nearest tracks first."""
    shown = picture.shown
    kinds = ", ".join(f"{count} {kind.title}" for kind, count in kind_counts(shown))
    count = f"{counted(len(shown), 'track')} ({kinds})" if shown else "no tracks"
    sentences = [
        "EXERCISE" if picture.is_exercise else "",
        f"Map “{picture.title}” as of {dtg(picture.at)}: {count}",
        emergencies_sentence(picture),
        nearest_sentence(picture),
        source_text(picture).capitalize() if shown else "",
        implausible_text(picture),
    ]
    return ". ".join(sentence for sentence in sentences if sentence) + "."


def emergencies_sentence(picture: MapPicture) -> str:
    """Return who declares which emergency."""
    declared = [track for track in picture.shown if emergency_of(track)]
    named = [
        f"{name_of(track, picture)} squawks {track.squawk} ({emergency_of(track)})" for track in declared[:MOST_NAMED]
    ]
    more = f" and {len(declared) - MOST_NAMED} more" if len(declared) > MOST_NAMED else ""
    return ", ".join(named) + more


def nearest_sentence(picture: MapPicture) -> str:
    """Return the tracks nearest to the station with height, speed and place."""
    station, shown = picture.station, picture.shown
    if station is None or not shown:
        return ""
    distances, bearings = away(
        station.latitude, station.longitude, [track.latitude for track in shown], [track.longitude for track in shown]
    )
    order = sorted(range(len(shown)), key=lambda index: (distances[index], shown[index].track_id))[:MOST_NAMED]
    named = [described(shown[i], float(distances[i]), float(bearings[i]), picture) for i in order]
    return f"Nearest to {station.callsign}: " + "; ".join(named)


def described(track: Track, distance_m: float, bearing_deg: float, picture: MapPicture) -> str:
    """Return one track in words, e.g. ``AFR104 FL163 404kt 12 NM S of TWR``."""
    station = picture.station
    where = place_text(distance_m, bearing_deg, station.callsign) if station else ""
    return " ".join(part for part in (name_of(track, picture), state_text(track, picture), where) if part)
