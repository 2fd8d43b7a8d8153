"""The picture as GeoJSON (RFC 7946), with the colours map programs such as CalTopo and SARTopo understand."""

from __future__ import annotations

import json
from typing import Any

from vtoc_bots import Track
from vtoc_bots.plugins.pictures.captions import emergency_of
from vtoc_bots.plugins.pictures.facts import (
    Place,
    clean,
    facts_of,
    parted,
    place,
    recent_trail,
    rings_of,
    summary_of,
    title_of,
)
from vtoc_bots.plugins.pictures.kinds import kind_of
from vtoc_bots.plugins.pictures.picture import MapPicture, is_place
from vtoc_bots.plugins.pictures.traffic import DANGER, DOUBT

Feature = dict[str, Any]


def geojson_of(picture: MapPicture) -> bytes:
    """Return a FeatureCollection in UTF-8: tracks, implausible reports, trails, station and the rings asked for.

    The third coordinate is given only where it is a height above the ellipsoid, as the RFC wants it. The collection
    carries the picture's title, time and whether it is an exercise.
    """
    features = [*station_features(picture)]
    for track in picture.shown:
        features += trail_features(track, picture)
    features += [track_feature(track, picture, DANGER if emergency_of(track) else "") for track in picture.shown]
    features += [track_feature(report, picture, DOUBT) for report in picture.implausible if is_place(report)]
    collection = {
        "type": "FeatureCollection",
        "title": clean(picture.title),
        "as_of": picture.at.isoformat(),
        "exercise": picture.is_exercise,
        "attribution": clean(picture.attribution),
        "features": features,
    }
    return json.dumps(collection, ensure_ascii=False, allow_nan=False).encode()


def feature(identity: str, geometry: dict[str, Any], properties: dict[str, Any]) -> Feature:
    """Return a GeoJSON feature."""
    return {"type": "Feature", "id": identity, "geometry": geometry, "properties": properties}


def line_geometry(line: list[Place]) -> dict[str, Any]:
    """Return a line that never crosses the antimeridian."""
    parts = parted(line)
    if len(parts) == 1:
        return {"type": "LineString", "coordinates": parts[0]}
    return {"type": "MultiLineString", "coordinates": parts}


def track_feature(track: Track, picture: MapPicture, colour: str) -> Feature:
    """Return a track, or an implausible report, as a point; `colour` stands for its kind's."""
    here: tuple[float, ...] = place(track.latitude, track.longitude)
    if track.altitude_datum == "geom" and track.altitude_m is not None:
        here = (*here, round(track.altitude_m, 1))
    properties = {
        "title": title_of(track, picture),
        "description": summary_of(track, picture),
        "class": "Marker",
        "marker-color": colour or kind_of(track).colour,
        "marker-rotation": track.heading_deg,
        **facts_of(track, picture),
    }
    return feature(f"track:{clean(track.track_id)}", {"type": "Point", "coordinates": here}, properties)


def trail_features(track: Track, picture: MapPicture) -> list[Feature]:
    """Return a track's trail as a line, or nothing."""
    line = recent_trail(track, picture)
    if not line:
        return []
    properties = {
        "title": f"{title_of(track, picture)} trail",
        "class": "Shape",
        "stroke": DANGER if emergency_of(track) else kind_of(track).colour,
        "stroke-width": 2,
        "stroke-opacity": 0.6,
        "exercise": track.exercise or picture.exercise,
    }
    return [feature(f"trail:{clean(track.track_id)}", line_geometry(line), properties)]


def station_features(picture: MapPicture) -> list[Feature]:
    """Return the station and its range rings."""
    station = picture.station
    if station is None:
        return []
    name = clean(station.callsign)
    here = {"type": "Point", "coordinates": place(station.latitude, station.longitude)}
    features = [feature("station", here, {"title": name, "class": "Marker", "marker-color": "#14212b"})]
    for text, line in rings_of(picture):
        properties = {"title": f"{name} {text}", "class": "Shape", "stroke": "#5c6f7b", "stroke-width": 1}
        features.append(feature(f"ring:{text}", line_geometry(line), properties))
    return features
