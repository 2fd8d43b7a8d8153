"""Values that people write: what is accepted, what it means, and that text and JSON forms give it back."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from vtoc_bots.core.access import Station
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.values import (
    ALTITUDE,
    AREA,
    BOOL,
    DISTANCE,
    DURATION,
    INT,
    NUMBER,
    POSITION,
    SPEED,
    STRING,
    TIME,
    TRACK,
    VALUE_TYPES,
    Area,
    Box,
    Circle,
    Distance,
    Duration,
    Position,
    choice_type,
    value_type,
)

STATION = Station(UUID(int=1), "toc-s1", "TOC-S1", "Test", "ops", latitude=49.0, longitude=2.5, radius_m=100_000.0)
NOWHERE = Station(UUID(int=2), "toc-s2", "TOC-S2", "Test", "ops")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        (" 3660d ", 316_224_000),
        ("90s", 90),
        ("2d", 172_800),
        ("1w", 604_800),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("10 minutes", 600),
        ("1 hr", 3600),
        ("PT10M", 600),
        ("P1DT2H", 93_600),
        ("P2W", 1_209_600),
        ("pt0.5s", 0.5),
        ("0s", 0),
    ],
)
def test_a_duration_is_understood(text: str, seconds: float) -> None:
    assert DURATION.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "10", "m", "5m1h", "1m1m", "-5m", "P", "PT", "P1DT", "P1Y", "P1M", "9999w", "1e3s", "10x", "PT1H1D"]
)
def test_what_is_no_duration_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match=r"90s, 10m|at most"):
        DURATION.parse(text)


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("40nm", 74_080),
        ("5km", 5000),
        ("300m", 300),
        ("2mi", 3218.688),
        ("1000ft", 304.8),
        ("0.5 NM", 926),
        (" 1 km ", 1000),
        ("+3km", 3000),
    ],
)
def test_a_distance_is_understood(text: str, metres: float) -> None:
    assert DISTANCE.parse(text) == pytest.approx(metres, abs=1e-9)


@pytest.mark.parametrize("text", ["", "40", "nm", "-1km", "40 knots", "nan m", "1e5m", "4,5km", "99999999999999km"])
def test_what_is_no_distance_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match="40nm, 5km or 300m"):
        DISTANCE.parse(text)


def test_a_bare_number_is_told_that_it_lacks_a_unit() -> None:
    with pytest.raises(ValueError, match="“40” has no unit"):
        DISTANCE.parse("40")


def test_a_bare_json_number_is_in_si_units() -> None:
    assert DISTANCE.read(40) == 40.0
    assert DURATION.read(90) == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("text", "metres"), [("FL350", 10_668), ("fl 050", 1524), ("12000ft", 3657.6), ("-100m", -100), (" FL010 ", 304.8)]
)
def test_an_altitude_is_understood(text: str, metres: float) -> None:
    assert ALTITUDE.parse(text) == pytest.approx(metres, abs=1e-9)


@pytest.mark.parametrize(("text", "mps"), [("250kt", 128.6111111), ("90 km/h", 25), ("30m/s", 30), ("60mph", 26.8224)])
def test_a_speed_is_understood(text: str, mps: float) -> None:
    assert SPEED.parse(text) == pytest.approx(mps)


@pytest.mark.parametrize("value", [True, None, [], math.nan, math.inf, "", "x"])
def test_no_quantity_takes_what_is_no_number(value: object) -> None:
    for kind in (DURATION, DISTANCE, SPEED, ALTITUDE):
        with pytest.raises(ValueError, match="write"):
            kind.read(value)


@pytest.mark.parametrize(
    ("text", "latitude", "longitude"),
    [
        ("49.01,2.55", 49.01, 2.55),
        (" 90, -180 ", 90, -180),
        ("-33.9, 151.2", -33.9, 151.2),
        ("49.01 2.55", 49.01, 2.55),
        ("N49.01 E2.55", 49.01, 2.55),
        ("49.01S 2.55W", -49.01, -2.55),
        ("49°00'36\"N 2°33'E", 49.01, 2.55),
        ("49°00′36″N, 2°33′00″W", 49.01, -2.55),
        ("490036N0023300E", 49.01, 2.55),
        ("4900N 00233W", 49.0, -2.55),
        ("JN18", 48.5, 3.0),
        ("jn18eu", 48.854166667, 2.375),
        ("JN18eu00", 48.835416667, 2.3375),
    ],
)
def test_a_position_is_understood(text: str, latitude: float, longitude: float) -> None:
    assert POSITION.parse(text) == pytest.approx((latitude, longitude), abs=1e-8)


@pytest.mark.parametrize(
    "text", ["", "91,0", "0,181", "49", "49,2,5", "49°60'N 2°E", "49.5°30'N 2°E", "E2 N49", "ZZ99", "nan,0", "1e1,2"]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no position; write"):
        POSITION.parse(text)


@pytest.mark.parametrize(
    "value", [(91, 0), (0, 181), (-91, 181), (True, 0), ("1", "2"), (1,), (1, 2, 3), (float("nan"), 0), 5, None]
)
def test_what_is_no_pair_of_degrees_is_no_position(value: object) -> None:
    with pytest.raises(ValueError, match="is no position; write"):
        POSITION.read(value)


def test_a_pair_of_degrees_is_a_position() -> None:
    assert POSITION.read([90, -180]) == Position(90.0, -180.0)


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("station", Area()),
        (" Station ", Area()),
        ("everywhere", Area(everywhere=True)),
        ("40nm", Area(radius_m=74_080.0)),
        ("49.0,2.5,40nm", Area(radius_m=74_080.0, centre=Position(49.0, 2.5))),
        ("49°N 2°30'E,5km", Area(radius_m=5000.0, centre=Position(49.0, 2.5))),
        ("JN18EU,5km", Area(radius_m=5000.0, centre=Position(48.854166667, 2.375))),
        ("-10,40,5,52", Area(box=Box(-10.0, 40.0, 5.0, 52.0))),
        ("bbox:-10, 40, 5, 52", Area(box=Box(-10.0, 40.0, 5.0, 52.0))),
        ("bbox 170,-20,-170,-10", Area(box=Box(170.0, -20.0, -170.0, -10.0))),
        ("Channel-West", Area(name="channel-west")),
    ],
)
def test_an_area_is_understood(text: str, area: Area) -> None:
    assert Area.parse(text) == area


@pytest.mark.parametrize(
    "text", ["40", "0nm", "49,2.5,40", "1,2,3,2", "1,2,3,4,5", "5,52,-10,40", "1,2,1,3", "bbox", "bbox:1,2", "40mn!"]
)
def test_what_is_no_area_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no area; write station"):
        Area.parse(text)


def test_a_distance_is_a_circle_round_the_station() -> None:
    assert Area.parse("40nm").resolve(STATION) == Circle(49.0, 2.5, 74_080.0)


def test_the_default_area_is_the_stations_own_circle() -> None:
    assert Area().resolve(STATION) == Circle(49.0, 2.5, 100_000.0)


def test_a_station_without_a_position_has_no_limit() -> None:
    assert Area().resolve(NOWHERE) is None
    assert Area.parse("40nm").resolve(NOWHERE) is None


def test_a_box_holds_at_a_station_without_a_position() -> None:
    assert Area.parse("-10,40,5,52").resolve(NOWHERE) == Box(-10.0, 40.0, 5.0, 52.0)


def test_a_saved_area_is_found_by_its_name() -> None:
    saved = {"channel": Area.parse("-10,40,5,52")}
    assert Area.parse("Channel").resolve(NOWHERE, saved) == Box(-10.0, 40.0, 5.0, 52.0)
    with pytest.raises(NotFound, match=r"No area is saved as chanel. Saved areas: channel\."):
        Area.parse("chanel").resolve(NOWHERE, saved)


def test_a_saved_area_that_names_itself_ends() -> None:
    with pytest.raises(NotFound):
        Area(name="loop").resolve(STATION, {"loop": Area(name="loop")})


def test_a_box_across_the_antimeridian_holds_both_its_sides() -> None:
    box = Box(170.0, -20.0, -170.0, -10.0)
    assert box.contains(-15, 175)
    assert box.contains(-20, 170)
    assert box.contains(-10, -170)
    assert box.contains(-15, -175)
    assert box.contains(-15, 180)
    assert not box.contains(-15, 0)
    assert not box.contains(-15, 169)
    assert not box.contains(0, 175)


def test_a_circle_holds_its_rim_and_crosses_the_antimeridian() -> None:
    circle = Circle(0.0, 179.9, 50_000.0)
    assert circle.contains(0.0, -179.9)
    assert not circle.contains(0.0, -179.0)
    assert Circle(0.0, 0.0, 0.0).contains(0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T14:30Z", datetime(2026, 11, 20, 14, 30, tzinfo=UTC)),
        ("2026-11-20 14:30", datetime(2026, 11, 20, 14, 30, tzinfo=UTC)),
        ("2026-11-20T14:30+01:00", datetime(2026, 11, 20, 13, 30, tzinfo=UTC)),
        ("201430ZNOV26", datetime(2026, 11, 20, 14, 30, tzinfo=UTC)),
        ("20 1430 A Nov 2026", datetime(2026, 11, 20, 13, 30, tzinfo=UTC)),
        ("201430YNOV26", datetime(2026, 11, 21, 2, 30, tzinfo=UTC)),
        ("201430MNOV26", datetime(2026, 11, 20, 2, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_understood(text: str, expected: datetime) -> None:
    assert TIME.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "14:30", "311430ZNOV26", "202530ZNOV26", "201430JNOV26", "201430ZXXX26", "0001-01-01T00:00+23:59"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; write"):
        TIME.parse(text)


@pytest.mark.parametrize("text", ["", "1.0", "1_000", "٣", "0x1", "1e3", "99999999999999999999"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no whole number"):
        INT.parse(text)


@pytest.mark.parametrize("value", ["nan", "inf", "1_0", "", ".", math.nan, True, None])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no number"):
        NUMBER.read(value)


@pytest.mark.parametrize(("text", "value"), [("Yes", True), ("off", False), ("1", True), ("0", False), ("TRUE", True)])
def test_yes_and_no_have_many_words(text: str, value: bool) -> None:
    assert BOOL.parse(text) is value


def test_a_whole_number_may_have_spaces_around_it_and_json_may_write_it_as_a_fraction() -> None:
    assert INT.parse(" -30 ") == -30
    assert INT.read(30.0) == 30
    for wrong in (30.5, True, None, math.inf):
        with pytest.raises(ValueError, match="no whole number"):
            INT.read(wrong)


def test_text_takes_no_number_because_yaml_reads_phone_numbers_as_such() -> None:
    with pytest.raises(ValueError, match="put it in quotes"):
        STRING.read(5)


class Colour(Enum):
    DARK_RED = "dark_red"
    BLUE = "blue"


def test_a_choice_ignores_case_and_kind_of_hyphen() -> None:
    kind = choice_type({member.value: member for member in Colour})
    assert kind.parse("Dark-Red") is Colour.DARK_RED
    assert kind.canonical(Colour.DARK_RED) == "dark_red"
    assert kind.read(Colour.BLUE) is Colour.BLUE
    assert kind.show(Colour.BLUE) == "blue"


def test_a_wrong_choice_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"“bleu” is not one of dark_red, blue; did you mean blue\?"):
        choice_type(["dark_red", "blue"]).parse("bleu")


def test_a_choice_may_stand_for_any_value_and_takes_only_that() -> None:
    kind = choice_type({"one": 1, "million": 1_000_000, "half": 0.5})
    assert kind.show(int("1000000")) == "million"
    assert kind.read(int("1000000")) == 1_000_000
    for other in (True, 1.0, 2, None):
        with pytest.raises(ValueError, match="is not one of one, million, half"):
            kind.read(other)


def test_a_choice_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        value_type("choice")


def test_an_unknown_type_is_told_all_types() -> None:
    with pytest.raises(ValueError, match=r"no type colour; there are string, int, number, bool, duration, .* choice"):
        value_type("colour")


def test_every_type_accepts_its_own_example_and_says_what_it_accepts() -> None:
    for name, kind in VALUE_TYPES.items():
        assert kind.name == name
        value = kind.parse(kind.example)
        assert kind.read(kind.canonical(value)) == value
        assert kind.accepts
        assert json.dumps(dict(kind.schema))


class _Inputs(BaseModel):
    window: Duration
    radius: Distance = 0.0
    area: Area = Area()
    spot: Position | None = None


def test_a_pydantic_model_takes_text_and_gives_canonical_json() -> None:
    made = _Inputs.model_validate({"window": "10m", "radius": "5km", "area": "40nm", "spot": "49,2.5"})
    assert made == _Inputs(
        window=timedelta(minutes=10), radius=5000.0, area=Area(radius_m=74_080.0), spot=Position(49, 2.5)
    )
    assert made.model_dump(mode="json") == {"window": 600, "radius": 5000, "area": "40nm", "spot": "49,2.5"}
    assert _Inputs.model_validate_json(made.model_dump_json()) == made
    assert _Inputs.model_json_schema()["properties"]["area"]["type"] == "string"


def test_a_pydantic_model_explains_a_wrong_value() -> None:
    with pytest.raises(ValidationError, match="“soon” is no duration; write a duration such as"):
        _Inputs.model_validate({"window": "soon"})


floats = st.floats(0, 1e9)
areas = st.one_of(
    st.builds(Area),
    st.just(Area(everywhere=True)),
    st.floats(0.001, 2e7).map(lambda radius: AREA.parse(DISTANCE.show(DISTANCE.read(radius)))),
    st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.floats(1, 1e6)).map(
        lambda t: Area(radius_m=DISTANCE.read(t[2]), centre=POSITION.read((t[0], t[1])))
    ),
    st.tuples(st.integers(-180, 179), st.integers(-90, 89)).map(
        lambda t: Area(box=Box(float(t[0]), float(t[1]), t[0] + 0.5, t[1] + 0.123456789))
    ),
    st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
    .filter(lambda name: name not in {"station", "here", "everywhere", "all"} and not name.startswith("bbox"))
    .map(lambda name: Area(name=name)),
)


@given(
    st.one_of(
        st.tuples(st.just(DURATION), st.timedeltas(timedelta(0), timedelta(days=3660))),
        st.tuples(st.sampled_from([DISTANCE, SPEED, ALTITUDE]), floats),
        st.tuples(st.just(POSITION), st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
        st.tuples(st.just(AREA), areas),
        st.tuples(st.just(TIME), st.datetimes(timezones=st.just(UTC))),
        st.tuples(st.just(INT), st.integers(-(10**17), 10**17)),
        st.tuples(st.just(NUMBER), st.floats(allow_nan=False, allow_infinity=False)),
        st.tuples(st.just(BOOL), st.booleans()),
        st.tuples(st.just(STRING), st.text()),
    )
)
def test_text_and_json_forms_give_the_value_back(pair: tuple) -> None:  # type: ignore[type-arg]  # any kind, any value
    kind, given_value = pair
    value = kind.read(given_value)
    assert kind.parse(kind.show(value)) == value
    assert kind.read(json.loads(json.dumps(kind.canonical(value)))) == value
    assert kind.canonical(kind.read(kind.canonical(value))) == kind.canonical(value)


@given(st.text(max_size=200), st.sampled_from(sorted(VALUE_TYPES)))
def test_no_text_breaks_a_parser(text: str, name: str) -> None:
    kind = VALUE_TYPES[name]
    try:
        value = kind.parse(text)
    except ValueError:
        return
    assert kind.read(kind.canonical(value)) == value


def test_equal_times_in_different_zones_have_one_canonical_form() -> None:
    paris = timezone(timedelta(hours=1))
    here, there = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=paris)
    assert TIME.canonical(TIME.read(there)) == TIME.canonical(TIME.read(here)) == "2026-01-01T12:00:00Z"


def test_a_track_is_one_word() -> None:
    assert TRACK.parse(" A1B2C3 ") == "A1B2C3"
    with pytest.raises(ValueError, match="is no track"):
        TRACK.parse("two words")
