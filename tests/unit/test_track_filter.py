"""The filter, the intersection of filters, the learning of noise and the spatial hash, against plain arithmetic."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.telemetry import distance_m
from vtoc_bots.core.tracks.fusion import fused
from vtoc_bots.core.tracks.grid import SpatialHash, cell_of
from vtoc_bots.core.tracks.kalman import METRES_PER_DEGREE, ConstantVelocityFilter
from vtoc_bots.core.tracks.noise import SIGMAS_IN_95_PERCENT, SourceNoise
from vtoc_bots.core.tracks.settings import MergeSettings

Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def north_of(metres: float) -> float:
    """A latitude so many metres north of the equator."""
    return metres / METRES_PER_DEGREE


class Textbook:
    """The same filter along one axis in matrices."""

    def __init__(self, variance: float, velocity_variance: float, noise: float) -> None:
        self.x: Matrix = np.zeros(2)
        self.covariance: Matrix = np.diag([variance, velocity_variance])
        self.noise = noise

    def step(self, dt: float, z: float, row: list[float], variance: float) -> None:
        h = np.array([row])
        move = np.array([[1.0, dt], [0.0, 1.0]])
        q = self.noise * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        self.x = move @ self.x
        self.covariance = move @ self.covariance @ move.T + q
        s = h @ self.covariance @ h.T + variance
        gain = self.covariance @ h.T / s
        self.x = self.x + (gain * (z - h @ self.x)).ravel()
        self.covariance = self.covariance - gain @ h @ self.covariance


def test_the_filter_is_the_textbook_one() -> None:
    chance = random.Random(1)
    ours, book = ConstantVelocityFilter(0.0, 0.0, 0.0, 400.0, 900.0, 4.0), Textbook(400.0, 900.0, 4.0)
    t = 0.0
    for _ in range(30):
        dt, z, speed = chance.uniform(0.5, 8.0), chance.gauss(0.0, 300.0), chance.gauss(0.0, 20.0)
        t += dt
        ours.update(t, north_of(z), 0.0, 250.0)
        ours.update_velocity(0.0, speed, 25.0)
        book.step(dt, z, [1.0, 0.0], 250.0)
        book.step(0.0, speed, [0.0, 1.0], 25.0)
        assert (ours.y, ours.vy) == pytest.approx(tuple(book.x), abs=1e-6)
        expected = (book.covariance[0, 0], book.covariance[0, 1], book.covariance[1, 1])
        assert (ours.p, ours.c, ours.w) == pytest.approx(expected)


def test_a_late_position_is_compared_with_the_state_taken_back_to_its_time() -> None:
    ours, book = ConstantVelocityFilter(0.0, 0.0, 0.0, 400.0, 900.0, 4.0), Textbook(400.0, 900.0, 4.0)
    for t, z in ((5.0, 520.0), (10.0, 980.0)):
        ours.update(t, north_of(z), 0.0, 250.0)
        book.step(5.0, z, [1.0, 0.0], 250.0)
    ours.update(7.0, north_of(700.0), 0.0, 250.0)
    book.step(0.0, 700.0, [1.0, -3.0], 250.0 + 4.0 * 27.0 / 3.0)
    assert (ours.t, ours.y, ours.vy) == pytest.approx((10.0, *book.x))
    assert (ours.p, ours.c, ours.w) == pytest.approx(
        (book.covariance[0, 0], book.covariance[0, 1], book.covariance[1, 1])
    )


def test_a_long_flight_keeps_its_scale_and_place_over_the_date_line() -> None:
    state = ConstantVelocityFilter(0.0, 60.0, 179.0, 400.0, 22_500.0, 4.0)
    for second in range(1, 1_000):
        longitude = 179.0 + second * 0.004
        state.update(float(second), 60.0, longitude if longitude <= 180.0 else longitude - 360.0, 400.0)
    latitude, longitude = state.from_plane(state.x, state.y)
    assert distance_m(latitude, longitude, 60.0, -177.004) < 60.0
    assert math.hypot(state.vx, state.vy) == pytest.approx(
        0.004 * METRES_PER_DEGREE * math.cos(math.radians(60)), rel=0.02
    )


def state(north_m: float, east_m: float, variance: float, t: float = 0.0, vy: float = 0.0) -> ConstantVelocityFilter:
    made = ConstantVelocityFilter(t, north_of(north_m), east_m / METRES_PER_DEGREE, variance, 100.0, 4.0)
    made.vy = vy
    return made


def test_the_intersection_of_filters_is_the_textbook_one() -> None:
    filters = [state(0.0, 0.0, 400.0), state(120.0, 50.0, 1_600.0, vy=3.0), state(-60.0, 10.0, 900.0)]
    for one in filters:
        one.c = 30.0
    weights = np.array([1 / 400, 1 / 1_600, 1 / 900])
    weights = weights / weights.sum()
    information, vector = np.zeros((2, 2)), np.zeros(2)
    for weight, one, north in zip(weights, filters, (0.0, 120.0, -60.0), strict=True):
        inverse = np.linalg.inv(np.array([[one.p, one.c], [one.c, one.w]]))
        information += weight * inverse
        vector += weight * inverse @ np.array([north, one.vy])
    covariance = np.linalg.inv(information)
    north, speed = covariance @ vector
    together = fused(filters, 0.0)
    assert together.latitude * METRES_PER_DEGREE == pytest.approx(north, abs=1e-3)
    assert together.vy == pytest.approx(speed, abs=1e-6)
    assert (together.variance, together.velocity_variance) == pytest.approx((covariance[0, 0], covariance[1, 1]))
    assert together.left_out == ()


def test_filters_kilometres_from_the_leading_one_are_left_out() -> None:
    filters = [state(0.0, 0.0, 400.0), state(50_000.0, 0.0, 100.0), state(10.0, 0.0, 900.0)]
    assert fused(filters, 0.0).left_out == (1,)
    assert fused(filters, 0.0, leaders=2).left_out == (0, 2)


def test_there_is_no_state_of_no_filter() -> None:
    with pytest.raises(ValueError, match="no filter"):
        fused([], 0.0)


def test_an_old_state_weighs_little() -> None:
    together = fused([state(0.0, 0.0, 400.0, t=-50.0), state(500.0, 0.0, 400.0)], 0.0)
    assert together.latitude * METRES_PER_DEGREE == pytest.approx(500.0, abs=20.0)


def test_the_noise_of_a_position_is_what_its_record_says_else_its_kinds() -> None:
    noise = SourceNoise(MergeSettings())
    assert noise.sigma_m(100.0 * SIGMAS_IN_95_PERCENT, "mlat") == pytest.approx(100.0)
    assert noise.sigma_m(None, "mlat") == 150.0
    assert noise.sigma_m(0.0, "never heard of") == 150.0
    assert noise.sigma_m(1e300, "adsb_icao") == 100_000.0
    assert noise.sigma_m(0.1, "adsb_icao") == 5.0, "no position is better than its clock"


@pytest.mark.parametrize("true_scale", [0.5, 1.0, 3.0])
def test_the_noise_of_a_source_that_does_not_say_is_learned(true_scale: float) -> None:
    chance, noise = random.Random(4), SourceNoise(MergeSettings())
    for _ in range(3_000):
        ratio = (true_scale * 150.0 / noise.sigma_m(None, "mlat")) ** 2
        noise.learn(ratio * (chance.gauss(0, 1) ** 2 + chance.gauss(0, 1) ** 2))
    assert noise.sigma_m(None, "mlat") == pytest.approx(true_scale * 150.0, rel=0.2)


latitudes, longitudes = st.floats(-90.0, 90.0), st.floats(-180.0, 180.0)


@given(latitudes, longitudes, st.floats(0.0, 360.0), st.floats(0.0, 1.0), st.floats(10.0, 30_000.0))
def test_everything_within_a_distance_is_found_once_anywhere_on_the_globe(
    latitude: float, longitude: float, bearing: float, share: float, radius: float
) -> None:
    arc = 0.999 * share * radius / 6_371_008.8
    here, turn = math.radians(latitude), math.radians(bearing)
    there = math.asin(
        max(-1.0, min(1.0, math.sin(here) * math.cos(arc) + math.cos(here) * math.sin(arc) * math.cos(turn)))
    )
    east = math.atan2(math.sin(turn) * math.sin(arc) * math.cos(here), math.cos(arc) - math.sin(here) * math.sin(there))
    other = (math.degrees(there), (longitude + math.degrees(east) + 180.0) % 360.0 - 180.0)
    grid: SpatialHash[str] = SpatialHash()
    grid.put(cell_of(*other), "found")
    assert list(grid.near(latitude, longitude, radius)) == ["found"]


def test_what_is_far_away_or_taken_out_is_not_found() -> None:
    grid: SpatialHash[str] = SpatialHash()
    grid.put(cell_of(49.0, 2.5), "here")
    grid.put(cell_of(49.5, 2.5), "there")
    assert list(grid.near(49.0, 2.5, 5_000.0)) == ["here"]
    grid.remove(cell_of(49.0, 2.5), "here")
    assert list(grid.near(49.0, 2.5, 5_000.0)) == []
    with pytest.raises(KeyError):
        grid.remove(cell_of(49.0, 2.5), "here")
