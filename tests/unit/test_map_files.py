"""GeoJSON and KML files of a map hold what the picture shows, as their standards want it."""

from __future__ import annotations

import itertools
import json
import math
import xml.etree.ElementTree as ET
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.map_kit import NOW, picture, readsb_picture, source, track, traffic, trail
from vtoc_bots import TrackPoint
from vtoc_bots.plugins.pictures.facts import parted
from vtoc_bots.plugins.pictures.geojson import geojson_of
from vtoc_bots.plugins.pictures.kml import kml_of
from vtoc_bots.plugins.pictures.picture import MapPicture, StationMark
from vtoc_bots.plugins.pictures.scene import compose

KML = "{http://www.opengis.net/kml/2.2}"
GEOMETRIES = {"Point": 0, "LineString": 1, "MultiLineString": 2}


def features_of(shown: MapPicture) -> list[dict[str, Any]]:
    """Parse a GeoJSON file back and check it against RFC 7946."""
    collection = json.loads(geojson_of(shown))
    assert collection["type"] == "FeatureCollection"
    for feature in collection["features"]:
        assert feature["type"] == "Feature"
        assert isinstance(feature["properties"], dict)
        geometry = feature["geometry"]
        positions = [geometry["coordinates"]]
        for _ in range(GEOMETRIES[geometry["type"]]):
            positions = [position for part in positions for position in part]
        for longitude, latitude, *_height in positions:
            assert -180 <= longitude <= 180
            assert -90 <= latitude <= 90
    identities = [feature["id"] for feature in collection["features"]]
    assert len(set(identities)) == len(identities)
    return list(collection["features"])


def by_id(shown: MapPicture) -> dict[str, dict[str, Any]]:
    return {feature["id"]: feature for feature in features_of(shown)}


def placemarks_of(shown: MapPicture, folder: str) -> list[ET.Element]:
    """Parse a KML file back; return a folder's placemarks."""
    root = ET.fromstring(kml_of(shown))
    assert root.tag == f"{KML}kml"
    styles = {f"#{style.get('id')}" for style in root.iter(f"{KML}Style")}
    assert {url.text for url in root.iter(f"{KML}styleUrl")} <= styles
    for one in root.iter(f"{KML}Folder"):
        if one.findtext(f"{KML}name") == folder:
            return one.findall(f"{KML}Placemark")
    return []


def test_every_track_is_a_point_with_its_facts() -> None:
    shown = picture(track(1, 51.123456789, 1.5, squawk="7700"))
    feature = by_id(shown)["track:000001"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [1.5, 51.123457]}
    facts = feature["properties"]
    assert facts["title"] == "TST001"
    assert facts["description"] == "squawk 7700: emergency, FL350 450kt, ADS-B, last seen 201950ZNOV26"
    assert facts["altitude_datum"] == "baro"
    assert facts["sources"] == ["local-1090 (same ICAO address)"]
    assert facts["emergency"] == "emergency"
    (placemark,) = placemarks_of(shown, "Tracks")
    assert placemark.findtext(f"{KML}name") == "TST001"
    assert placemark.findtext(f"{KML}styleUrl") == "#emergency"
    assert placemark.findtext(f"{KML}Point/{KML}coordinates") == "1.5,51.123457,10668.0"


def test_a_height_is_a_coordinate_only_above_the_ellipsoid() -> None:
    feature = by_id(picture(track(1, altitude_m=1234.56, altitude_datum="geom")))["track:000001"]
    assert feature["geometry"]["coordinates"][2] == 1234.6


def test_trails_are_lines_that_end_at_their_track() -> None:
    shown = picture(track(1, 51.0, 1.0, trail=trail(51.0, 1.0, 90.0, 200.0)), trail_seconds=60)
    line = by_id(shown)["trail:000001"]["geometry"]
    assert line["type"] == "LineString"
    assert line["coordinates"][-1] == [1.0, 51.0]
    assert len(line["coordinates"]) == 8
    (placemark,) = placemarks_of(shown, "Trails")
    coordinates = placemark.findtext(f"{KML}LineString/{KML}coordinates") or ""
    assert len(coordinates.split()) == 8
    assert not placemarks_of(picture(track(1)), "Trails")


def test_lines_are_cut_at_the_antimeridian() -> None:
    shown = picture(track(1, 0.0, -179.99, trail=trail(0.0, -179.99, 90.0, 200.0)), station=None)
    geometry = by_id(shown)["trail:000001"]["geometry"]
    assert geometry["type"] == "MultiLineString"
    west, east = geometry["coordinates"]
    assert west[-1][0] == 180.0
    assert east[0][0] == -180.0
    (placemark,) = placemarks_of(shown, "Trails")
    assert len(placemark.findall(f"{KML}MultiGeometry/{KML}LineString")) == 2


@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=2, max_size=8))
def test_no_cut_line_jumps_round_the_world(line: list[tuple[float, float]]) -> None:
    for part in parted(line):
        assert len(part) > 1
        assert all(abs(b[0] - a[0]) <= 180 for a, b in itertools.pairwise(part))


def test_implausible_reports_stand_apart() -> None:
    shown = picture(track(1), track(2, flags=("FL609 at 97 kt",)), track(3, math.nan))
    feature = by_id(shown)["track:000002"]
    assert feature["properties"]["title"] == "? TST002"
    assert feature["properties"]["implausible"] == ["FL609 at 97 kt"]
    assert "track:000003" not in by_id(shown)
    assert len(placemarks_of(shown, "Tracks")) == 1
    (doubted,) = placemarks_of(shown, "Implausible reports")
    assert doubted.findtext(f"{KML}styleUrl") == "#doubt"


def test_an_exercise_is_marked_on_the_file_and_on_everything_in_it() -> None:
    shown = picture(track(1, exercise=True, trail=trail(51.0, 1.0, 90.0, 200.0)), title="War game")
    collection = json.loads(geojson_of(shown))
    assert collection["exercise"] is True
    assert by_id(shown)["track:000001"]["properties"]["title"] == "EXERCISE TST001"
    root = ET.fromstring(kml_of(shown))
    assert root.findtext(f"{KML}Document/{KML}name") == "EXERCISE War game"
    assert placemarks_of(shown, "Trails")[0].findtext(f"{KML}name") == "EXERCISE TST001 trail"


def test_station_and_rings_are_in_the_files() -> None:
    shown = picture(ring_radii_nm=(20, 40))
    features = by_id(shown)
    assert {"station", "ring:20 NM", "ring:40 NM"} == set(features)
    assert features["ring:20 NM"]["properties"]["title"] == "DOVER OPS 20 NM"
    assert len(placemarks_of(shown, "Station")) == 3
    assert not features_of(picture(station=None))


def test_a_file_says_when_and_from_what() -> None:
    collection = json.loads(geojson_of(picture(track(), attribution="somebody")))
    assert collection["as_of"] == NOW.isoformat()
    assert collection["attribution"] == "somebody"
    root = ET.fromstring(kml_of(picture(track(), attribution="somebody")))
    assert root.findtext(f"{KML}Document/{KML}description") == (
        "As of 201951ZNOV26 · 1 track · source local-1090\nsomebody"
    )


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_any_words_make_files_that_can_be_read(label: str, title: str, callsign: str) -> None:
    shown = picture(
        track(label=label, squawk="1200", sources=(source(title),)),
        track(2, flags=(label,)),
        title=title,
        station=StationMark(callsign, 51.0, 1.0),
        attribution=label,
    )
    assert len(features_of(shown)) == 3
    assert len(placemarks_of(shown, "Tracks")) == 1


def test_numbers_that_are_none_do_not_break_the_files() -> None:
    nowhere = TrackPoint(NOW, math.nan, 1.0, None, "a")
    shown = picture(track(altitude_m=math.nan, speed_mps=math.inf, heading_deg=None, trail=(nowhere, nowhere)))
    assert len(compose(shown).marks) == 1
    assert by_id(shown)["track:000001"]["properties"]["altitude_m"] is None
    assert len(placemarks_of(shown, "Tracks")) == 1


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 60), st.floats(-89, 89), st.floats(-180, 179), st.integers(0, 5))
def test_traffic_anywhere_makes_valid_files(count: int, latitude: float, longitude: float, seed: int) -> None:
    station = StationMark("OPS", latitude, longitude)
    shown = picture(*traffic(count, latitude, longitude, 2.0, seed), station=station, ring_radii_nm=(100, 900))
    assert len([feature for feature in features_of(shown) if feature["id"].startswith("track:")]) == count
    assert len(placemarks_of(shown, "Tracks")) == count


def test_the_recorded_traffic_is_in_the_files() -> None:
    shown = readsb_picture("readsb_aircraft_1.json")
    assert len(features_of(shown)) == 63
    assert len(placemarks_of(shown, "Tracks")) == 63
