"""Compact positions, parity and message fields, against their encoders and against rs1090."""

from __future__ import annotations

import math
from typing import Any

import pytest
import rs1090
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.adsb_kit import squitter
from vtoc_bots import distance_m, feet, knots
from vtoc_bots.plugins.connectors.adsb.cpr import (
    airborne_position,
    local_position,
    longitude_zones,
    surface_position,
)
from vtoc_bots.plugins.connectors.adsb.extended import airborne_of, altitude_feet, surface_of, velocity_of
from vtoc_bots.plugins.connectors.adsb.parity import overlay_of, parity_of
from vtoc_bots.plugins.connectors.exercise.encode_mode_s import compact_position, parity

latitudes = st.floats(-86.5, 86.5)
longitudes = st.floats(-180, 180, exclude_max=True)
odds = st.booleans()
bits = st.integers(0, (1 << 51) - 1)
halves = st.integers(0, (1 << 17) - 1)


@given(latitudes, longitudes, odds)
def test_a_pair_of_airborne_halves_gives_the_position_they_encode(latitude: float, longitude: float, odd: bool) -> None:
    even_half = compact_position(latitude, longitude, odd=False, surface=False)
    odd_half = compact_position(latitude, longitude, odd=True, surface=False)
    found = airborne_position(even_half, odd_half, odd)
    assume(found is not None)
    assert found is not None
    assert distance_m(*found, latitude, longitude) < 6


@given(latitudes, longitudes, odds, st.floats(-5, 5), st.floats(-5, 5))
def test_a_pair_of_surface_halves_gives_the_position_near_the_receiver(
    latitude: float, longitude: float, odd: bool, north: float, east: float
) -> None:
    halves = [compact_position(latitude, longitude, odd=half, surface=True) for half in (False, True)]
    found = surface_position(halves[0], halves[1], odd, (max(-89.0, min(89.0, latitude + north)), longitude + east))
    assume(found is not None)
    assert found is not None
    assert distance_m(*found, latitude, longitude) < 2


@given(latitudes, longitudes, odds, odds, st.floats(0, 360), st.floats(0, 1))
def test_one_half_is_enough_near_a_known_position(
    latitude: float, longitude: float, odd: bool, surface: bool, bearing: float, part: float
) -> None:
    reach = (40 if surface else 170) / 60 * part
    near = (
        latitude + reach * math.cos(math.radians(bearing)),
        longitude + reach * math.sin(math.radians(bearing)) * math.cos(math.radians(min(89.0, abs(latitude) + reach))),
    )
    found = local_position(compact_position(latitude, longitude, odd, surface), odd, surface, near)
    assert found is not None
    assert distance_m(*found, latitude, longitude) < (2 if surface else 6)


def test_halves_of_two_longitude_zones_give_no_position() -> None:
    # At 10.47° the number of zones changes from 59 to 58.
    halves = compact_position(10.46, 20.0, odd=False, surface=False), compact_position(10.48, 20.0, True, surface=False)
    assert airborne_position(*halves, True) is None


@pytest.mark.parametrize(
    ("latitude", "zones"), [(0, 59), (10.4, 59), (10.5, 58), (-52.2, 36), (86.9, 2), (87.1, 1), (90, 1)]
)
def test_longitude_zones_are_those_of_the_published_table(latitude: float, zones: int) -> None:
    assert longitude_zones(latitude) == zones


@given(st.binary(min_size=4, max_size=11))
def test_parity_is_that_of_long_division(data: bytes) -> None:
    assert parity_of(data) == parity(data)
    assert overlay_of(data + parity(data).to_bytes(3, "big")) == 0


def said(message: int) -> dict[str, Any] | None:
    result: Any = rs1090.decode(squitter("4b1908", message).hex())
    return dict(result) if result is not None else None


def close(ours: float | None, theirs: Any) -> bool:
    return (ours is None and theirs is None) or (ours is not None and ours == pytest.approx(theirs, abs=1e-3))


@given(st.sampled_from([*range(9, 19), 20, 21, 22]), odds, halves, halves)
def test_airborne_positions_are_read_as_rs1090_reads_them(type_code: int, odd: bool, north: int, east: int) -> None:
    message = type_code << 51 | 0xC38 << 36 | odd << 34 | north << 17 | east
    ours, theirs = airborne_of(message), said(message)
    assert theirs is not None
    assert (ours.half, ours.odd) == ((theirs["lat_cpr"], theirs["lon_cpr"]), theirs["parity"] == "odd")
    assert (ours.datum == "geom") == (theirs["source"] == "GNSS")
    assert ours.altitude_m == pytest.approx(feet(theirs["altitude"]))


def test_every_altitude_code_is_read_as_rs1090_reads_it() -> None:
    for code in range(4096):
        ours, theirs = altitude_feet(code), said(11 << 51 | code << 36)
        if theirs is None:
            # It refuses frames with altitudes above 50,000 ft in steps of 100 ft.
            assert ours is not None
            assert ours > 50_000
        elif ours is not None and ours < 0 and not code & 0x10:
            assert theirs["altitude"] is None  # nor does it take negative ones in those steps
        else:
            assert ours == theirs["altitude"]


@given(st.sampled_from(range(5, 9)), bits)
def test_surface_positions_are_read_as_rs1090_reads_them(type_code: int, rest: int) -> None:
    ours, theirs = surface_of(type_code << 51 | rest), said(type_code << 51 | rest)
    assert theirs is not None
    assert (ours.half, ours.odd) == ((theirs["lat_cpr"], theirs["lon_cpr"]), theirs["parity"] == "odd")
    assert close(ours.speed_mps and ours.speed_mps / knots(1), theirs["groundspeed"])
    assert close(ours.track_deg, theirs["track"])


@given(st.sampled_from([1, 3, 4]), st.integers(0, (1 << 48) - 1))
def test_velocities_are_read_as_rs1090_reads_them(subtype: int, rest: int) -> None:
    # A component of zero means unknown; rs1090 takes it for one knot the other way.
    assume(subtype > 1 or (rest >> 32 & 0x3FF and rest >> 21 & 0x3FF))
    message = 19 << 51 | subtype << 48 | rest
    ours, theirs = velocity_of(message), said(message)
    assert ours is not None
    assert theirs is not None
    assert close(ours.speed_mps and ours.speed_mps / knots(1), theirs.get("groundspeed"))
    assert close(ours.track_deg, theirs.get("track")) or ours.speed_mps == 0
    assert close(ours.vertical_rate_mps and ours.vertical_rate_mps * 60 / feet(1), theirs.get("vertical_rate"))
    for name, theirs_name in (("tas_kt", "TAS"), ("ias_kt", "IAS"), ("heading_deg", "heading")):
        assert close(ours.payload.get(name), theirs.get(theirs_name))
    assert close(ours.payload.get("geom_minus_baro_ft") or None, theirs.get("geo_minus_baro"))


def test_supersonic_speeds_count_in_fours() -> None:
    slow, fast = (velocity_of(19 << 51 | subtype << 48 | 101 << 32 | 201 << 21) for subtype in (1, 2))
    assert slow is not None
    assert fast is not None
    assert slow.speed_mps == pytest.approx(knots(math.hypot(100, 200)))
    assert fast.speed_mps == pytest.approx(knots(math.hypot(400, 800)))


@pytest.mark.parametrize(
    ("code", "altitude"), [(0, None), (0xC38, 38_000), (0x010, -1000), (0xFFF, 50_175), (0x2, None)]
)
def test_altitude_codes_in_steps_of_25_feet_are_read(code: int, altitude: int | None) -> None:
    assert altitude_feet(code) == altitude


def test_altitude_codes_in_steps_of_100_feet_cover_every_hundred_once() -> None:
    altitudes = [altitude for code in range(4096) if not code & 0x10 and (altitude := altitude_feet(code)) is not None]
    assert sorted(altitudes) == list(range(-1200, 126_800, 100))
