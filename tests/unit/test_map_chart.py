"""Projections, extents and the packaged chart hold everywhere on earth."""

from __future__ import annotations

import json
import math
from pathlib import Path as FilePath

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.path import Path

from tests.map_kit import DOVER, NOW, picture, track, traffic
from vtoc_bots.plugins.pictures.backdrop import filled, meridian_text, parallel_text, step_for
from vtoc_bots.plugins.pictures.chart import borders, bounds_of, land, outline, towns, towns_in
from vtoc_bots.plugins.pictures.convert_land import closed, convert, decode_arcs, joined, split_steps, unwrapped
from vtoc_bots.plugins.pictures.extent import Box, View, view_of
from vtoc_bots.plugins.pictures.picture import BoundsArea, CircleArea, MapPicture, StationMark
from vtoc_bots.plugins.pictures.projection import EARTH_RADIUS_M, Azimuthal, PlateCarree, Projection, away, circle
from vtoc_bots.plugins.pictures.ranges import north_at, ring_radii, round_below

FRAME = Box(60.0, 60.0, 1270.0, 900.0)

latitudes = st.floats(-89.9, 89.9)
longitudes = st.floats(-180.0, 179.999)


def is_land(latitude: float, longitude: float, projection: Projection | None = None, half_m: float = 300_000) -> bool:
    """Whether the chart drawn round a place (or in a given projection) has land there."""
    view = View(projection or Azimuthal(latitude, longitude), 2 * half_m / FRAME.height, FRAME)
    bounds = bounds_of(view)
    shape = filled(outline(land(), view, bounds), view, bounds)
    x, y = view.pixels([latitude], [longitude])[0]
    winding = 0
    for polygon in shape.to_polygons(closed_only=False):
        winding += int(Path(polygon).contains_point((x, y)))
    return winding % 2 == 1


def in_rings(latitude: float, longitude: float) -> bool:
    """Whether a place is on land by counting the rings' edges east of it, without any projection."""
    lines = land()
    begins = np.zeros(len(lines.latitudes), dtype=bool)
    begins[lines.starts] = True
    low, high = lines.latitudes[:-1], lines.latitudes[1:]
    edges = np.flatnonzero(((low > latitude) != (high > latitude)) & ~begins[1:])
    part = (latitude - low[edges]) / (high[edges] - low[edges])
    at = lines.longitudes[edges] + part * (lines.longitudes[edges + 1] - lines.longitudes[edges])
    return sum(int(np.count_nonzero(at + turn > longitude)) for turn in (-360.0, 0.0, 360.0)) % 2 == 1


@settings(deadline=None, max_examples=12)
@given(st.floats(-84, 84), longitudes, st.floats(-2, 2), st.floats(-2, 2))
def test_every_map_tells_land_from_sea(latitude: float, longitude: float, north: float, east: float) -> None:
    round_about = [(latitude + n, longitude + e) for n in (-0.1, 0.0, 0.1) for e in (-0.1, 0.0, 0.1)]
    truths = {in_rings(*place) for place in round_about}
    assume(len(truths) == 1)
    assert is_land(latitude, longitude, Azimuthal(latitude + north, longitude + east), 500_000) in truths
    assert is_land(latitude, longitude, PlateCarree(0.0, longitude + 20 * east), 9_000_000) in truths


@given(latitudes, longitudes, latitudes, longitudes)
def test_an_azimuthal_map_leads_there_and_back(north: float, east: float, latitude: float, longitude: float) -> None:
    projection = Azimuthal(north, east)
    x, y = projection.forward([latitude], [longitude])
    if math.hypot(x[0], y[0]) > 0.98 * math.pi * EARTH_RADIUS_M:
        return
    back = projection.inverse(x, y)
    distance, _ = away(latitude, longitude, *back)
    assert distance[0] < 1.0


@given(latitudes, longitudes, st.floats(-89.9, 89.9), st.floats(-179.9, 179.9))
def test_a_cylindrical_map_leads_there_and_back(north: float, east: float, latitude: float, delta: float) -> None:
    projection = PlateCarree(north, east)
    back = projection.inverse(*projection.forward([latitude], [east + delta]))
    distance, _ = away(latitude, east + delta, *back)
    assert distance[0] < 1.0


def test_distance_and_bearing_are_those_of_the_great_circle() -> None:
    distance, bearing = away(49.0097, 2.5479, [51.4706], [-0.4619])
    assert distance[0] == pytest.approx(348_000, rel=0.01)
    assert bearing[0] == pytest.approx(323.1, abs=0.2)


@given(latitudes, longitudes, st.floats(1_000, 2_000_000))
def test_every_point_of_a_ring_has_its_radius(latitude: float, longitude: float, radius_m: float) -> None:
    distances, _ = away(latitude, longitude, *circle(latitude, longitude, radius_m, 37))
    assert distances == pytest.approx(radius_m, rel=1e-6, abs=0.5)


@given(st.lists(st.tuples(latitudes, longitudes), min_size=1, max_size=12))
def test_the_extent_holds_every_track_wherever_they_are(places: list[tuple[float, float]]) -> None:
    shown = picture(*(track(n, *place) for n, place in enumerate(places)), station=None)
    view = view_of(shown, FRAME)
    pixels = view.pixels(*np.array(places).T)
    inside = View(view.projection, view.metres_per_pixel, FRAME.grown(0.5))
    assert inside.holds(pixels).all()


def test_tracks_across_the_antimeridian_are_shown_side_by_side() -> None:
    view = view_of(picture(track(1, -17.0, 179.5), track(2, -17.5, -179.5), station=None), FRAME)
    assert isinstance(view.projection, Azimuthal)
    assert abs(view.projection.longitude) > 179
    west, east = view.pixels([-17.0, -17.5], [179.5, -179.5])
    assert west[0] < east[0]


def test_tracks_round_the_world_get_a_world_map() -> None:
    tracks = [track(n, 10.0, east) for n, east in enumerate(range(-180, 180, 30))]
    view = view_of(picture(*tracks, station=None), FRAME)
    assert isinstance(view.projection, PlateCarree)
    assert view.metres_per_pixel * FRAME.width <= 2 * math.pi * EARTH_RADIUS_M * 1.001


def test_a_pacific_map_is_cut_where_nobody_is() -> None:
    tracks = [track(n, 10.0, east) for n, east in enumerate((110, 140, 170, -160, -130, -100))]
    view = view_of(picture(*tracks, station=None), FRAME)
    assert isinstance(view.projection, PlateCarree)
    assert abs(abs(view.projection.longitude) - 180) < 15


def test_a_single_track_is_shown_with_its_surroundings() -> None:
    view = view_of(picture(track(), station=None), FRAME)
    assert 15 * 1852 <= view.metres_per_pixel * FRAME.height / 2 <= 30 * 1852


def test_a_station_near_its_tracks_is_on_the_map_and_a_far_one_is_not() -> None:
    near = view_of(picture(*traffic(10, 51.0, 3.0, 0.5)), FRAME)
    assert near.holds(near.pixels([DOVER.latitude], [DOVER.longitude]))[0]
    far = view_of(picture(*traffic(10, 35.0, -110.0, 0.5)), FRAME)
    assert not far.holds(far.pixels([DOVER.latitude], [DOVER.longitude]))[0]


def test_a_given_area_is_shown_exactly() -> None:
    view = view_of(picture(track(), area=CircleArea(51.0, 1.0, 50_000)), FRAME)
    assert view.metres_per_pixel * FRAME.height == pytest.approx(100_000, rel=0.001)
    spanning = view_of(picture(track(), area=BoundsArea(-20, 175, -10, -175)), FRAME)
    assert abs(spanning.projection.longitude) == pytest.approx(180, abs=0.1)
    assert spanning.holds(spanning.pixels([-19.9, -10.1], [175.1, -175.1])).all()


def test_implausible_reports_do_not_stretch_the_map() -> None:
    plain = view_of(picture(track(1, 51.0, 1.0)), FRAME)
    doubted = view_of(picture(track(1, 51.0, 1.0), track(2, -40.0, 170.0, flags=("moved 9,000 NM",))), FRAME)
    assert doubted == plain


def test_no_tracks_show_the_station_or_else_the_world() -> None:
    at_home = view_of(picture(), FRAME)
    assert at_home.projection.latitude == pytest.approx(DOVER.latitude)
    assert isinstance(view_of(picture(station=None), FRAME).projection, PlateCarree)


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (48.85, 2.35, True),  # Paris
        (46.0, -30.0, False),  # mid Atlantic
        (35.0, -110.0, True),  # Arizona, no coast in sight
        (-17.8, 178.0, True),  # Viti Levu, Fiji
        (66.5, 179.99, True),  # Chukotka, east of which it goes on across the antimeridian
        (66.5, -179.99, True),
        (89.9, 0.0, False),  # North pole: sea
        (-89.9, 0.0, True),  # South pole: land
        (-89.9, 120.0, True),
        (-75.0, -175.0, False),  # Ross sea
        (42.0, 50.5, False),  # Caspian sea, a hole in the land
        (0.0, 0.0, False),
    ],
)
def test_land_is_land_and_sea_is_sea(latitude: float, longitude: float, expected: bool) -> None:
    assert is_land(latitude, longitude) is expected


@pytest.mark.parametrize(("latitude", "longitude", "expected"), [(35.0, 105.0, True), (35.0, 150.0, False)])
def test_land_round_the_antipode_does_not_flood_a_wide_map(latitude: float, longitude: float, expected: bool) -> None:
    # The antipode of the centre lies in China; the map reaches so far that China is in sight.
    assert is_land(latitude, longitude, Azimuthal(-33.0, -75.0), 19_500_000) is expected
    assert is_land(-33.0, -70.0, Azimuthal(-33.0, -75.0), 6_000_000)
    assert not is_land(-33.0, -100.0, Azimuthal(-33.0, -75.0), 6_000_000)


def test_the_chart_is_thinned_out_of_sight() -> None:
    view = View(Azimuthal(50.0, 5.0), 500.0, FRAME)
    bounds = bounds_of(view)
    assert len(outline(land(), view, bounds).pixels) < len(land().latitudes) / 20
    assert len(outline(borders(), view, bounds).pixels) < len(borders().latitudes) / 5


def test_towns_are_in_their_places_biggest_first() -> None:
    names, pixels = towns_in(View(Azimuthal(48.85, 2.35), 100.0, FRAME), FRAME)
    assert names[0] == "Paris"
    assert pixels[0] == pytest.approx((FRAME.left + FRAME.width / 2, FRAME.bottom + FRAME.height / 2), abs=20)
    assert len(towns().names) == len(towns().latitudes) > 10_000


def test_north_is_up_but_for_the_far_side_of_a_pole() -> None:
    view = View(Azimuthal(89.0, 0.0), 2000.0, FRAME)
    below, above = view.pixels([87.0, 87.0], [0.0, 180.0])
    assert north_at(view, below) == pytest.approx(0.0, abs=0.01)
    assert abs(north_at(view, above)) == pytest.approx(math.pi, abs=0.01)


def test_graticule_degrees_are_written_as_people_write_them() -> None:
    assert parallel_text(49.5, 1 / 2) == "49°30′N"
    assert parallel_text(-0.0, 5) == "0°"
    assert parallel_text(-35.0, 5) == "35°S"
    assert meridian_text(-2.0, 1) == "2°W"
    assert meridian_text(-180.0, 10) == "180°"
    assert meridian_text(2 + 20 / 3600, 1 / 720) == "2°00′20″E"
    assert step_for(6.0) == 1
    assert step_for(2.6) == 1 / 2


def test_range_rings_are_round_numbers_or_those_asked_for() -> None:
    shown = picture(*traffic(20, 51.0, 1.0, 0.5))
    radii = ring_radii(shown, view_of(shown, FRAME))
    assert 1 <= len(radii) <= 4
    assert all(radius % 10 == 0 for radius in radii)
    asked = picture(track(), ring_radii_nm=(3, 7.5, -1, 99_999))
    assert ring_radii(asked, view_of(asked, FRAME)) == (3, 7.5)
    assert ring_radii(picture(track(), station=None), view_of(shown, FRAME)) == ()


@given(st.floats(1e-3, 1e7))
def test_a_scale_is_a_round_length_not_longer_than_its_room(room: float) -> None:
    length = round_below(room)
    assert room / 2.5001 <= length <= room * 1.0001
    assert f"{length:e}"[0] in "125"


def test_a_picture_says_what_size_and_time_it_can_have() -> None:
    with pytest.raises(ValueError, match="20 px is no size"):
        picture(width_px=20)
    with pytest.raises(ValueError, match="without a zone"):
        MapPicture("t", NOW.replace(tzinfo=None), ())
    assert picture(station=StationMark("A", 0, 0)).shown == ()


def test_arcs_are_decoded_joined_and_made_fit_for_small_steps() -> None:
    arcs = decode_arcs({"arcs": [[[0, 0], [5, 1]], [[5, 1], [5, 5]]]})
    assert joined(arcs, [0, 1]).tolist() == [[0, 0], [5, 1], [10, 6]]
    assert joined(arcs, [~1, ~0]).tolist() == [[10, 6], [5, 1], [0, 0]]
    assert unwrapped(np.array([[99_000, 0], [500, 0]]), 100_000).tolist() == [[99_000, 0], [100_500, 0]]
    assert unwrapped(np.array([[300, 0], [97_000, 0]]), 100_000).tolist() == [[100_300, 0], [97_000, 0]]
    ring = closed(np.array([[0, 9], [50_000, 8], [100_000, 9]]), 100_000, -7)
    assert ring.tolist()[-3:] == [[100_000, -7], [0, -7], [0, 9]]
    split = split_steps(np.array([[0, 0], [100_000, 0]]))
    assert np.abs(np.diff(split, axis=0)).max() < 32_768
    assert split[-1].tolist() == [100_000, 0]


def test_a_chart_is_converted_from_its_sources(tmp_path: FilePath) -> None:
    transform = {"scale": [0.0036, 0.0017], "translate": [-180.0, -85.0]}
    square = [[50_300, 50_300], [300, 0], [0, 300], [-300, 0], [0, -300]]
    null_island = [[50_000, 50_000], [1, 0], [0, 1], [-1, -1]]
    polygons = [{"type": "Polygon", "arcs": [[0]]}, {"type": "MultiPolygon", "arcs": [[[1]]]}]
    land_file = {"transform": transform, "arcs": [square, null_island], "objects": {}}
    land_file["objects"] = {"land": {"type": "GeometryCollection", "geometries": polygons}}
    shared = {"type": "Polygon", "arcs": [[0, 1]]}, {"type": "Polygon", "arcs": [[~0, 2]]}
    countries = {"transform": transform, "arcs": [[[0, 0], [9, 9]], [[9, 9], [-9, -9]], [[0, 0], [9, 9]]]}
    countries["objects"] = {"countries": {"geometries": list(shared)}}
    cities = {
        "1": {"geonameid": 1, "name": "Big", "latitude": 1.5, "longitude": 1.5, "population": 90_000},
        "2": {"geonameid": 2, "name": "Only", "latitude": 7.5, "longitude": 7.5, "population": 900},
        "3": {"geonameid": 3, "name": "Small", "latitude": 7.6, "longitude": 7.6, "population": 800},
    }
    paths = []
    for name, content in (("land", land_file), ("countries", countries), ("cities", cities)):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(content))
    convert(*paths, tmp_path)
    with np.load(tmp_path / "land.npz") as chart:
        assert chart["land_lengths"].tolist() == [5]
        assert chart["land_starts"].tolist() == [[50_300, 50_300]]
        assert chart["border_lengths"].tolist() == [2]
    with np.load(tmp_path / "towns.npz") as named:
        assert named["town_names"].tobytes() == b"Big\nOnly"
        assert named["town_latitudes"].tolist() == [1500, 7500]
