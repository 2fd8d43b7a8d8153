"""What a map says in words: times, heights, squawks, places and its alternative text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.map_kit import DOVER, FOOT, NOW, picture, source, track, traffic
from vtoc_bots.plugins.pictures.alternative import alt_text
from vtoc_bots.plugins.pictures.captions import (
    altitude_text,
    dtg,
    duration_text,
    label_lines,
    name_of,
    place_text,
    source_text,
    state_text,
)


def test_a_date_time_group_is_zulu_whatever_the_zone() -> None:
    assert dtg(NOW) == "201951ZNOV26"
    summer = timezone(timedelta(hours=2))
    assert dtg(datetime(2026, 7, 1, 1, 5, tzinfo=summer)) == "302305ZJUN26"
    assert dtg(datetime(2009, 1, 2, 3, 4, tzinfo=UTC)) == "020304ZJAN09"


@pytest.mark.parametrize(
    ("feet", "datum", "expected"),
    [
        (35_000, "baro", "FL350"),
        (3_049, "baro", "FL030"),
        (2_999, "baro", "3000ft"),
        (800, "baro", "800ft"),
        (-100, "baro", "-100ft"),
        (12_340, "geom", "12300ft"),
        (41_000, None, "FL410"),
    ],
)
def test_heights_are_flight_levels_only_by_pressure_and_not_near_the_ground(
    feet: float, datum: str | None, expected: str
) -> None:
    assert altitude_text(track(altitude_m=feet * FOOT, altitude_datum=datum)) == expected


def test_what_is_unknown_is_left_out() -> None:
    shown = picture()
    assert state_text(track(), shown) == "FL350 450kt"
    assert state_text(track(altitude_m=None), shown) == "450kt"
    assert state_text(track(speed_mps=None), shown) == "FL350"
    assert state_text(track(altitude_m=None, speed_mps=None), shown) == ""
    assert state_text(track(on_ground=True, speed_mps=0.0), shown) == "GND 0kt"
    assert label_lines(track(altitude_m=None, speed_mps=None), shown) == ("TST001",)


def test_climbs_descents_and_age_are_shown() -> None:
    shown = picture()
    assert state_text(track(vertical_rate_mps=8.0), shown) == "FL350↑ 450kt"
    assert state_text(track(vertical_rate_mps=-8.0), shown) == "FL350↓ 450kt"
    assert state_text(track(vertical_rate_mps=0.5), shown) == "FL350 450kt"
    assert state_text(track(at=NOW - timedelta(seconds=45)), shown) == "FL350 450kt 45s"
    assert state_text(track(at=NOW + timedelta(seconds=45)), shown) == "FL350 450kt"


def test_a_name_is_short_and_never_empty() -> None:
    shown = picture(track(1))
    assert name_of(track(label="  "), shown) == "000001"
    assert name_of(track(label="A VERY LONG CALLSIGN"), shown) == "A VERY LONG…"


def test_exercise_tracks_are_told_from_real_ones_where_both_are_shown() -> None:
    played, real = track(1, exercise=True), track(2)
    assert name_of(played, picture(played, real)) == "EX TST001"
    assert name_of(real, picture(played, real)) == "TST002"
    assert name_of(played, picture(played)) == "TST001"


def test_sources_are_named_the_busiest_first() -> None:
    tracks = [track(n, sources=(source("b"), source("a")) if n else (source("b"),)) for n in range(3)]
    assert source_text(picture(*tracks)) == "sources b, a"
    many = [track(n, sources=(source(f"s{n}"),)) for n in range(6)]
    assert source_text(picture(*many)) == "sources s0, s1, s2, s3 and 2 more"
    assert source_text(picture()) == ""


def test_durations_and_places_are_said_as_people_say_them() -> None:
    assert [duration_text(s) for s in (45, 240, 90, 5400, 7200)] == ["45 s", "4 min", "90 s", "90 min", "2 h"]
    assert place_text(12 * 1852, 44.0, "TWR") == "12 NM NE of TWR"
    assert place_text(100, 200.0, "TWR") == "at TWR"
    assert place_text(30 * 1852, 350.0, "TWR") == "30 NM N of TWR"


def test_the_alternative_text_says_what_the_map_shows() -> None:
    shown = picture(
        track(1, 51.3, 1.3),
        track(2, 51.13, 2.3, position_kind="mlat", squawk="7700"),
        track(3, 60.0, 9.0, flags=("moved 500 NM in 1 s",)),
        title="Channel",
    )
    assert alt_text(shown) == (
        "Map “Channel” as of 201951ZNOV26: 2 tracks (1 ADS-B, 1 MLAT). TST002 squawks 7700 (emergency). "
        "Nearest to DOVER OPS: TST001 FL350 450kt 10 NM N of DOVER OPS; TST002 FL350 450kt 38 NM E of DOVER OPS. "
        "Source local-1090. "
        "1 implausible report not drawn as a track: TST003 (moved 500 NM in 1 s)."
    )


def test_the_alternative_text_of_an_exercise_begins_with_it() -> None:
    assert alt_text(picture(track(exercise=True))).startswith("EXERCISE. Map")
    assert alt_text(picture(station=None)) == "Map “Air picture” as of 201951ZNOV26: no tracks."


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 120), st.integers(0, 5))
def test_the_alternative_text_stays_short(count: int, seed: int) -> None:
    assert len(alt_text(picture(*traffic(count, 51.0, 1.0, 0.5, seed), station=DOVER))) < 900
