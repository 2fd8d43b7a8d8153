"""A composed map says what it must, where it must, and drawing it gives a sound PNG."""

from __future__ import annotations

import io
import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import PathPatch
from PIL import Image

from tests.map_kit import (
    NOW,
    PARIS,
    paris_picture,
    picture,
    readsb_picture,
    source,
    track,
    traffic,
    trail,
)
from vtoc_bots.plugins.pictures import labels
from vtoc_bots.plugins.pictures.extent import Box
from vtoc_bots.plugins.pictures.ground import overlap
from vtoc_bots.plugins.pictures.kinds import ADSB, FUSED, KINDS, MLAT, OTHER, TISB, kind_of
from vtoc_bots.plugins.pictures.layers import Words
from vtoc_bots.plugins.pictures.picture import CircleArea, MapPicture, StationMark
from vtoc_bots.plugins.pictures.render import figure_of, render_map
from vtoc_bots.plugins.pictures.scene import Scene, compose
from vtoc_bots.plugins.pictures.typeface import CAP_HEIGHT, UNKNOWN, Run, outlines, printable, shortened, text_width


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def text_of(scene: Scene) -> str:
    return "\n".join(scene.texts)


def run_box(run: Run) -> Box:
    return Box(run.x, run.y, run.x + text_width(run.text, run.size, run.bold), run.y + CAP_HEIGHT * run.size)


def assert_nothing_overlaps(scene: Scene) -> None:
    """Labels, symbols, ring names, towns and the scale keep off each other, and labels stay on the map."""
    named = np.array([label.placement.box for label in scene.labels]).reshape(-1, 4)
    symbols = np.array([mark.box for mark in scene.marks]).reshape(-1, 4)
    doubts = np.array(scene.doubts).reshape(-1, 4)
    rings = np.array([ring.box for ring in scene.rings if ring.box is not None]).reshape(-1, 4)
    towns = np.array([town.box for town in scene.towns]).reshape(-1, 4)
    panel = np.array([scene.panel])
    assert np.count_nonzero(overlap(named, named)) == len(named)
    for others in (symbols, doubts, rings, towns, panel):
        assert not overlap(named, others).any()
    assert not overlap(towns, np.vstack([symbols, doubts, rings, panel])).any()
    frame = scene.sheet.frame
    assert (named[:, :2] >= (frame.left, frame.bottom)).all()
    assert (named[:, 2:] <= (frame.right, frame.top)).all()


@settings(deadline=None, max_examples=5)
@given(st.integers(1, 160), st.floats(-85, 85), st.floats(-180, 179), st.floats(0.02, 8), st.integers(0, 9))
def test_nothing_covers_anything_wherever_traffic_is_and_however_dense(
    count: int, latitude: float, longitude: float, spread: float, seed: int
) -> None:
    station = StationMark("OPS", latitude, longitude)
    scene = compose(picture(*traffic(count, latitude, longitude, spread, seed), station=station))
    assert len(scene.marks) == count
    assert_nothing_overlaps(scene)


def test_the_recorded_arizona_traffic_is_drawn_whole() -> None:
    shown = readsb_picture("readsb_aircraft_1.json")
    scene = compose(shown)
    assert len(scene.marks) == 63
    assert sum(label.mark is not None for label in scene.labels) >= 60
    assert_nothing_overlaps(scene)
    assert "63 tracks" in text_of(scene)


def test_the_recorded_paris_traffic_is_drawn_with_trails_and_rings() -> None:
    scene = compose(paris_picture(1633611825))
    assert len(scene.marks) >= 25
    assert sum(len(mark.trail) > 1 for mark in scene.marks) >= 20
    assert {"20 NM", "40 NM", "60 NM", "LFPG"} <= set(scene.texts)
    labelled = sum(label.mark is not None for label in scene.labels)
    assert labelled >= len(scene.marks) - 2
    assert_nothing_overlaps(scene)


def test_labels_keep_off_trails_where_there_is_room() -> None:
    scene = compose(picture(*traffic(12, 51.0, 1.0, 1.2)))
    for label in scene.labels:
        left, bottom, right, top = label.placement.box
        for mark in scene.marks:
            inside = (mark.trail > (left, bottom)) & (mark.trail < (right, top))
            assert not inside.all(axis=1).any()


def test_a_png_has_the_size_asked_for_and_carries_its_words() -> None:
    shown = picture(*traffic(8, 51.0, 1.0, 0.5), title="Channel – éß", width_px=800, height_px=600)
    image = opened(render_map(shown))
    assert (image.format, image.size) == ("PNG", (800, 600))
    assert image.text["Title"] == "Channel – éß"  # type: ignore[attr-defined]  # only PNG images have it
    assert "8 tracks" in image.text["Description"]  # type: ignore[attr-defined]  # only PNG images have it
    assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20


def test_the_same_picture_is_drawn_in_the_same_bytes() -> None:
    tracks = traffic(40, 51.0, 1.0, 0.5)
    assert render_map(picture(*tracks)) == render_map(picture(*tracks))


def test_the_texts_are_drawn_not_only_composed() -> None:
    scene = compose(picture(track(exercise=True)))
    (axes,) = figure_of(scene).axes
    drawn = [artist.get_path().vertices.shape for artist in axes.get_children() if isinstance(artist, PathPatch)]
    banner = next(layer for layer in scene.layers if "EXERCISE" in str(getattr(layer, "runs", "")))
    path = outlines(banner.runs)  # type: ignore[union-attr]  # found by having runs
    assert path is not None
    assert path.vertices.shape in drawn


def test_an_exercise_is_bannered_at_top_and_bottom() -> None:
    scene = compose(picture(track(1), track(2, 51.2, 1.2, exercise=True)))
    assert sum("EXERCISE" in text for text in scene.texts) == 2
    assert len(scene.sheet.banners) == 2
    assert "EX TST002" in scene.texts
    assert "TST001" in scene.texts
    real = compose(picture(track(1)))
    assert not real.sheet.banners
    assert "EXERCISE" not in text_of(real)
    assert sum("EXERCISE" in text for text in compose(picture(exercise=True)).texts) == 2


def test_the_banner_is_seen_in_the_pixels() -> None:
    image = opened(render_map(picture(track(exercise=True)))).convert("RGB")
    for y in (3, image.height - 4):
        red, green, blue = image.getpixel((40, y))  # type: ignore[misc]  # three bands
        assert red > 200
        assert 120 < green < 200
        assert blue < 60


@pytest.mark.parametrize(
    ("squawk", "word"), [("7500", "interference"), ("7600", "radio failure"), ("7700", "emergency")]
)
def test_an_emergency_is_named_above_the_map_and_labelled_first(squawk: str, word: str) -> None:
    crowd = traffic(150, 51.1, 1.3, 0.05)
    scene = compose(picture(*crowd, track(999, 51.1, 1.3, squawk=squawk, label="GAF612")))
    assert scene.sheet.alert is not None
    assert any("GAF612" in text and squawk in text and word in text for text in scene.texts)
    assert f"{squawk} {word.upper()}" in text_of(scene).replace("UNLAWFUL ", "")
    assert scene.marks[-1].emergency
    assert any(label.mark is not None and label.mark.emergency for label in scene.labels)


def test_an_emergency_far_from_the_station_is_labelled_before_the_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST_TRIED", 10)
    spread = traffic(60, 51.1, 1.3, 0.6)
    scene = compose(
        picture(
            *spread,
            track(998, 49.0, 1.3, squawk="7600"),
            track(999, 53.4, 1.3, label="POINTED"),
            highlight=frozenset({"0003e7"}),
        )
    )
    assert {"7600 RADIO FAILURE", "POINTED"} <= set(scene.texts)


def test_an_implausible_report_is_marked_and_listed_but_never_drawn_as_a_track() -> None:
    doubted = track(2, 51.3, 1.4, label="PEA302", flags=("FL609 at 97 kt",), trail=trail(51.3, 1.4, 90, 200))
    scene = compose(picture(track(1), doubted))
    assert [mark.track.label for mark in scene.marks] == ["TST001"]
    assert len(scene.doubts) == 1
    assert "1 implausible report not drawn as a track: PEA302 (FL609 at 97 kt)" in scene.texts
    assert "PEA302" not in scene.texts
    assert "?" in scene.texts
    assert "As of 201951ZNOV26 · 1 track · source local-1090" in scene.texts


@pytest.mark.parametrize("latitude", [math.nan, math.inf, 123.0])
def test_a_position_that_is_none_is_an_implausible_report(latitude: float) -> None:
    scene = compose(picture(track(1), track(2, latitude, 1.0)))
    assert len(scene.marks) == 1
    assert not scene.doubts
    assert "1 implausible report not drawn as a track: TST002 (no such position)" in scene.texts


def test_sources_differ_in_shape_as_well_as_colour() -> None:
    assert len({kind.outline for kind in KINDS}) == len({kind.colour for kind in KINDS}) == len(KINDS)
    assert len({kind.letter for kind in KINDS}) == len(KINDS)
    assert kind_of(track(position_kind="adsb_icao_nt")) is ADSB
    assert kind_of(track(position_kind="adsr")) is ADSB
    assert kind_of(track(position_kind="mlat")) is MLAT
    assert kind_of(track(position_kind="tisb_trackfile")) is TISB
    assert kind_of(track(position_kind=None)) is OTHER
    assert kind_of(track(sources=(source(), source("hub", "mlat")))) is FUSED


def test_the_legend_explains_what_is_on_the_map_and_nothing_else() -> None:
    texts = set(compose(picture(track(1), track(2, 51.2, position_kind="mlat"))).texts)
    assert {"ADS-B 1", "MLAT 1", "one minute ahead"} <= texts
    assert not any("ground" in text or "TIS-B" in text or "hollow" in text or "implausible" in text for text in texts)
    odd = compose(
        picture(
            track(1, on_ground=True),
            track(2, 51.2, heading_deg=None),
            track(3, 51.4, at=NOW - timedelta(seconds=50)),
        )
    )
    assert {"on the ground", "heading unknown", "hollow: older than 30 s", "A"} <= set(odd.texts)
    assert "FL350 450kt 50s" in odd.texts


def test_an_aircraft_points_along_its_heading_and_leaves_its_trail_behind() -> None:
    scene = compose(picture(track(1, 51.0, 1.0, heading_deg=90.0, trail=trail(51.0, 1.0, 90.0, 230.0))))
    (mark,) = scene.marks
    assert mark.heading == pytest.approx(math.pi / 2, abs=0.1)
    assert mark.trail[0, 0] < mark.trail[-1, 0] - 10
    assert mark.trail[-1] == pytest.approx((mark.x, mark.y))
    assert mark.trail_ages[0] > 0.9
    assert mark.trail_ages[-1] < 0.02
    assert mark.vector is not None
    minute_px = 450 * 1852 / 60 / scene.view.metres_per_pixel
    assert math.hypot(*(mark.vector[1] - mark.vector[0])) == pytest.approx(minute_px, rel=0.01)


def test_trails_are_cut_to_the_time_asked_for() -> None:
    flown = track(1, trail=trail(51.0, 1.0, 90.0, 230.0))
    assert max(compose(picture(flown, trail_seconds=60)).marks[0].trail_ages) <= 1.0
    longer = compose(picture(flown, trail_seconds=240, area=CircleArea(51, 1, 60_000)))
    shorter = compose(picture(flown, trail_seconds=60, area=CircleArea(51, 1, 60_000)))
    assert longer.marks[0].trail[0, 0] < shorter.marks[0].trail[0, 0] - 20
    none = compose(picture(flown, trail_seconds=0))
    assert len(none.marks[0].trail) == 0
    assert "trails" not in text_of(none)
    assert "trails 4 min" in text_of(longer)


def test_no_tracks_make_a_picture_that_says_so() -> None:
    for empty in (picture(), picture(station=None)):
        scene = compose(empty)
        assert "No tracks" in scene.texts
        assert "no tracks" in text_of(scene)
        assert opened(render_map(empty)).size == (1280, 960)
    elsewhere = compose(picture(track(1, -40, 100), area=CircleArea(51, 1, 10_000)))
    assert "No tracks on this map" in elsewhere.texts
    assert "0 of 1 track on this map" in text_of(elsewhere)


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(90.0, 0.0), (-90.0, 0.0), (89.99, 179.99), (0.0, 180.0), (0.0, -180.0), (66.0, 540.0)]
)
def test_one_track_is_drawn_anywhere_on_earth(latitude: float, longitude: float) -> None:
    for station in (None, StationMark("OPS", latitude, longitude)):
        shown = picture(track(1, latitude, longitude), station=station)
        scene = compose(shown)
        assert len(scene.marks) == 1
        assert_nothing_overlaps(scene)
        assert opened(render_map(shown)).size == (1280, 960)


def test_a_crowd_says_how_many_are_unlabelled() -> None:
    shown = picture(*traffic(600, 51.0, 1.0, 0.3))
    scene = compose(shown)
    named = sum(label.mark is not None for label in scene.labels)
    assert 0 < named < 150
    assert f"+{600 - named} unlabelled" in text_of(scene)
    assert_nothing_overlaps(scene)


def test_five_thousand_tracks_are_drawn() -> None:
    scene = compose(picture(*traffic(5000, 50.0, 5.0, 4.0)))
    assert len(scene.marks) == 5000
    assert scene.labels
    assert figure_of(scene).axes


def test_a_highlighted_track_is_labelled_and_ringed() -> None:
    crowd = traffic(200, 51.0, 1.0, 0.1)
    scene = compose(picture(*crowd, highlight=frozenset({crowd[77].track_id})))
    assert scene.marks[-1].marked
    assert any(label.mark is not None and label.mark.marked for label in scene.labels)


def test_a_station_off_the_map_is_told_of() -> None:
    scene = compose(picture(*traffic(5, 35.0, -110.0, 0.5), station=PARIS))
    assert any(text.startswith("LFPG is outside this map; the nearest track is 4") for text in scene.texts)
    assert "LFPG" not in scene.texts


def test_title_time_sources_and_credits_are_on_the_picture() -> None:
    shown = picture(
        track(sources=(source("hub"), source("local-1090"))),
        made_at=NOW + timedelta(hours=3),
        attribution="data: somebody (MIT)",
    )
    scene = compose(shown)
    assert "As of 201951ZNOV26 · made 202251ZNOV26 · 1 track · sources hub, local-1090" in scene.texts
    assert "Natural Earth · GeoNames CC BY 4.0 · data: somebody (MIT)" in scene.texts
    assert {"Air picture", "N", "DOVER OPS"} <= set(scene.texts)
    assert sum(text.endswith((" NM", " km")) for text in scene.texts) >= 2


@settings(deadline=None, max_examples=5)
@given(st.text(max_size=40), st.text(max_size=60), st.text(max_size=20))
def test_any_words_can_be_drawn(label: str, title: str, callsign: str) -> None:
    shown = picture(track(label=label), title=title, station=StationMark(callsign, 51.0, 1.0), attribution=title)
    assert opened(render_map(shown)).size == (1280, 960)


@given(st.text())
def test_printable_text_is_one_line_of_known_characters(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert not set(shown) & set("\n\r\t\x00\u202e\u200b")


def test_characters_the_typeface_lacks_become_squares() -> None:
    assert printable("日本 $x^2$ \u202eA\u0301\n\tb") == f"{UNKNOWN}{UNKNOWN} $x^2$ Áb".replace("Áb", "Á b")


@given(st.text(max_size=30).map(printable), st.floats(5, 200))
def test_a_shortened_text_fits(text: str, room: float) -> None:
    cut = shortened(text, room, 12.0)
    assert text_width(cut, 12.0) <= max(room, 0)
    assert cut == text or cut.endswith("…") or cut == ""


@pytest.mark.parametrize(("width", "height"), [(480, 480), (640, 480), (2000, 700), (700, 1600)])
def test_every_size_has_room_for_its_words(width: int, height: int) -> None:
    shown = picture(
        *traffic(30, 51.0, 1.0, 0.6),
        track(998, 51.1, 1.1, exercise=True, squawk="7700"),
        track(999, 51.2, 1.2, flags=("moved 900 NM in 1 s", "over FL600")),
        station=StationMark("SOMEWHERE ELSE", -35.0, 140.0),
        title="A title that is far too long for a small picture " * 3,
        width_px=width,
        height_px=height,
    )
    scene = compose(shown)
    assert_nothing_overlaps(scene)
    runs = [run for layer in scene.layers if isinstance(layer, Words) and not layer.clipped for run in layer.runs]
    boxes = np.array([run_box(run) for run in runs])
    assert boxes[:, :2].min() >= -1
    assert boxes[:, 2].max() <= width + 1
    assert boxes[:, 3].max() <= height
    outside = boxes[~overlap(boxes, np.array([scene.sheet.frame]))[:, 0]]
    assert np.count_nonzero(overlap(outside, outside)) == len(outside)
    assert opened(render_map(shown)).size == (width, height)


def test_a_picture_without_zone_or_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        MapPicture("t", NOW.replace(tzinfo=None), ())
    with pytest.raises(ValueError, match="10000 px is no size"):
        picture(height_px=10_000)
