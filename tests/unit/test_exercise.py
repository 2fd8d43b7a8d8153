"""The exercise: what is encoded is what the decoders read, everywhere and every time the same."""

from __future__ import annotations

import math
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adsb_kit import NOON, FakeClock, context, decode, events_in
from vtoc_bots import ConfigError, TelemetryEvent, distance_m, feet, knots, nm
from vtoc_bots.plugins.connectors.exercise import encode_mode_s as mode_s
from vtoc_bots.plugins.connectors.exercise import encode_text as text
from vtoc_bots.plugins.connectors.exercise import vtoc_connectors
from vtoc_bots.plugins.connectors.exercise.connector import ExerciseConnector
from vtoc_bots.plugins.connectors.exercise.motion import Path as FlightPath
from vtoc_bots.plugins.connectors.exercise.motion import latitude_longitude, racetrack, search_pattern
from vtoc_bots.plugins.connectors.exercise.scenario import DEFAULT_SCENARIO, load_scenario, players_of
from vtoc_bots.plugins.connectors.exercise.settings import ExerciseSettings
from vtoc_bots.plugins.connectors.exercise.state import Actor, State

actors = st.builds(
    Actor,
    address=st.integers(1, 0xFFFFFF).map(lambda number: f"{number:06x}"),
    callsign=st.text("ABCXYZ0189", min_size=1, max_size=8),
    category=st.sampled_from(["A1", "A7", "B4", "C1"]),
    squawk=st.integers(0, 0o7777).map(lambda number: f"{number:04o}"),
    emergency=st.sampled_from(["", "general", "nordo"]),
    is_icao=st.just(True),
    kind=st.just("adsb_icao"),
)
states = st.builds(
    State,
    actor=actors,
    latitude=st.floats(-80, 80),
    longitude=st.floats(-179.99, 179.99),
    altitude_m=st.floats(-300, 15_000),
    speed_mps=st.floats(0, 500),
    track_deg=st.floats(0, 360, exclude_max=True),
    vertical_rate_mps=st.floats(-60, 60),
    on_ground=st.just(False),
)


def events_of(data: bytes, format: str, **options: Any) -> list[TelemetryEvent]:
    return events_in(decode(data, format, **options))


def near(event: TelemetryEvent, state: State, metres: float) -> bool:
    return distance_m(event.latitude or 0, event.longitude or 0, state.latitude, state.longitude) < metres


def turned(one: float | None, other: float) -> float:
    return abs(((one or 0.0) - other + 180.0) % 360.0 - 180.0)


@given(states)
def test_beast_gives_back_what_was_encoded(state: State) -> None:
    frames = [mode_s.airborne_position(state, odd) for odd in (False, True)]
    frames += (
        mode_s.velocity(state),
        mode_s.identification(state),
        mode_s.identity_reply(state),
        mode_s.emergency(state),
    )
    data = b"".join(mode_s.beast(frame, 1000.0) for frame in frames)
    _, position, velocity, name, squawk, emergency = events_of(data, "beast")
    # Two halves at a border of longitude zones make no position.
    assert not position.has_position or near(position, state, 6)
    assert position.altitude_m == pytest.approx(state.altitude_m, abs=feet(12.6))
    assert velocity.speed_mps == pytest.approx(state.speed_mps, abs=knots(0.8))
    if velocity.heading_deg is None:  # it has none when both components round to zero
        assert state.speed_mps < knots(0.8)
    else:
        assert turned(velocity.heading_deg, state.track_deg) * state.speed_mps < 60 * knots(1)
    assert velocity.vertical_rate_mps == pytest.approx(state.vertical_rate_mps, abs=feet(32.1) / 60)
    assert (name.callsign, name.category) == (state.actor.callsign, state.actor.category)
    assert (squawk.entity_id, squawk.squawk) == (state.actor.address, state.actor.squawk)
    assert emergency.payload.get("emergency", "") == state.actor.emergency


@given(states, st.floats(0, 80))
def test_beast_gives_back_what_was_encoded_on_the_ground(state: State, speed: float) -> None:
    state = state._replace(on_ground=True, speed_mps=speed)
    here = (state.latitude, state.longitude)
    data = b"".join(mode_s.beast(mode_s.surface_position(state, odd), 1.0) for odd in (False, True))
    for event in events_of(data, "beast", position=here):
        assert near(event, state, 2)
        assert event.speed_mps == pytest.approx(
            speed, abs=max(knots(0.26), knots(5.1) if speed > knots(70) else knots(1.1))
        )
        assert turned(event.heading_deg, state.track_deg) < 1.5
        assert event.on_ground is True


@given(states)
def test_sbs_gives_back_what_was_encoded(state: State) -> None:
    lines = (text.sbs_position, text.sbs_velocity, text.sbs_identification, text.sbs_squawk)
    data = "".join(line(state, NOON) for line in lines).encode()
    position, velocity, name, squawk = events_of(data, "sbs")
    assert near(position, state, 2)
    assert position.altitude_m == pytest.approx(state.altitude_m, abs=feet(12.6))
    assert (position.event_time, position.entity_id) == (NOON, state.actor.address)
    assert velocity.speed_mps == pytest.approx(state.speed_mps, abs=knots(0.51))
    assert turned(velocity.heading_deg, state.track_deg) < 0.51
    assert velocity.vertical_rate_mps == pytest.approx(state.vertical_rate_mps, abs=feet(32.1) / 60)
    assert (name.callsign, squawk.squawk) == (state.actor.callsign, state.actor.squawk)
    assert squawk.payload == ({"emergency": True} if state.actor.emergency else {})


@given(states, st.floats(0, 30))
def test_aircraft_json_gives_back_what_was_encoded(state: State, age: float) -> None:
    (event,) = events_of(text.aircraft_document([(state, age)], NOON, 1), "aircraft")
    assert near(event, state, 0.5)
    assert event.event_time is not None
    assert abs(event.event_time - (NOON - timedelta(seconds=age))) <= timedelta(milliseconds=1)
    assert event.altitude_m == pytest.approx(state.altitude_m, abs=feet(12.6))
    assert event.speed_mps == pytest.approx(state.speed_mps, abs=knots(0.051))
    assert (event.callsign, event.squawk, event.accuracy_m) == (state.actor.callsign, state.actor.squawk, 30.0)


def test_an_address_that_is_not_icaos_stays_one_in_every_format() -> None:
    state = State(Actor("f0a001", "", is_icao=False, kind="tisb_trackfile"), 43.0, 6.0, 500.0, 50.0, 90.0, 0.0, False)
    beast = b"".join(mode_s.beast(mode_s.airborne_position(state, odd), 1.0) for odd in (False, True))
    for events in (
        events_of(beast, "beast"),
        events_of(text.sbs_position(state, NOON).encode(), "sbs"),
        events_of(text.aircraft_document([(state, 0.0)], NOON, 1), "aircraft"),
    ):
        assert {(event.entity_namespace, event.entity_id) for event in events} == {("nonicao", "f0a001")}


def test_a_path_is_closed_and_followed_at_a_steady_pace() -> None:
    for points in (racetrack((0, 0), 30, 9000, 2000), search_pattern((500, 500), 75, 8000, 800, 7)):
        path = FlightPath(points)
        steps = [path.at(path.length_m * step / 1000) for step in range(1001)]
        assert math.dist(steps[0][:2], steps[-1][:2]) < 1e-6
        assert all(math.dist(one[:2], other[:2]) <= path.length_m / 1000 + 1e-6 for one, other in pairwise(steps))


def test_a_racetrack_is_flown_clockwise_along_its_heading() -> None:
    path = FlightPath(racetrack((0, 0), 90, 10_000, 1000))
    assert path.length_m == pytest.approx(2 * 10_000 + 2 * math.pi * 1000, rel=0.01)
    tracks = [path.at(path.length_m * step / 200).track_deg for step in range(200)]
    assert min(turned(track, 90) for track in tracks) == pytest.approx(0)
    assert all((later - earlier) % 360.0 < 180 for earlier, later in pairwise(tracks))


def test_a_search_covers_its_area() -> None:
    points = search_pattern((0, 0), 0, 8000, 1000, 5)
    assert (max(east for east, _ in points), min(east for east, _ in points)) == (2000, -2000)
    assert len(points) == 10


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))
def test_metres_become_degrees_at_the_right_distance(
    latitude: float, longitude: float, east: float, north: float
) -> None:
    there = latitude_longitude((latitude, longitude), east, north)
    assert distance_m(latitude, longitude, *there) == pytest.approx(math.hypot(east, north), abs=0.5)


def test_the_built_in_scenario_has_what_an_exercise_needs() -> None:
    scenario = load_scenario(DEFAULT_SCENARIO)
    players = players_of(scenario, scenario.position)
    now = [player.at(NOON.timestamp()) for player in players]
    assert 25 <= len(players) <= 40
    assert any(state.actor.squawk == "7700" for state in now)
    assert {"tisb_trackfile", "mlat"} <= {state.actor.kind for state in now}
    assert any(state.altitude_m > feet(60_000) and state.speed_mps < knots(100) for state in now)
    later = [player.at(NOON.timestamp() + 600) for player in players]
    assert {state.vertical_rate_mps > 0 for state in now + later if state.vertical_rate_mps} == {True, False}
    assert any(state.on_ground for state in now)
    assert len({state.actor.address for state in now}) == len(players)
    assert all(distance_m(*scenario.position, state.latitude, state.longitude) < nm(150) for state in now)


def test_the_same_moment_gives_the_same_state_and_another_seed_other_traffic() -> None:
    scenario = load_scenario(DEFAULT_SCENARIO)
    moment = NOON.timestamp()
    first, again, other = ([player.at(moment) for player in players_of(scenario, (43, 6), seed)] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_nobody_jumps() -> None:
    scenario = load_scenario(DEFAULT_SCENARIO)
    for player in players_of(scenario, scenario.position):
        path = [player.at(NOON.timestamp() + second) for second in range(0, 3000, 5)]
        for one, other in pairwise(path):
            moved = distance_m(one.latitude, one.longitude, other.latitude, other.longitude)
            assert moved <= 5 * one.speed_mps * 1.02 + 0.1
            assert abs(other.altitude_m - one.altitude_m) <= 5 * feet(2000) / 60


async def some(connector: ExerciseConnector, number: int) -> list[TelemetryEvent]:
    events: list[TelemetryEvent] = []
    stream = connector.events()
    async for event in stream:
        events.append(event)
        if len(events) == number:
            break
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator
    return events


async def test_it_stands_as_one_source_a_format_and_every_event_is_marked() -> None:
    connector = ExerciseConnector(ExerciseSettings(), context("exercise"))
    assert connector.state() == "waiting"
    events = await some(connector, 3000)
    assert {event.source for event in events} == {"exercise-sbs", "exercise-beast", "exercise-json"}
    assert {(event.source_type, event.exercise) for event in events} == {("adsb", True)}
    assert connector.state() == "fresh"
    stats = connector.stats()
    assert (stats["rejected"], stats["connected"]) == ({}, True)
    assert set(stats["sources"]) == {"exercise-sbs", "exercise-beast", "exercise-json"}
    assert stats["read"] >= 3000


async def test_it_ticks_once_a_second_of_its_clock() -> None:
    clock = FakeClock(NOON + timedelta(milliseconds=300))
    events = await some(ExerciseConnector(ExerciseSettings(play=("sbs",)), context("exercise", clock)), 500)
    times = {event.event_time for event in events if event.event_time is not None}
    first = NOON + timedelta(seconds=1)
    assert sorted(times) == [first + timedelta(seconds=second) for second in range(len(times))]
    assert clock.sleeps[0] == pytest.approx(0.7)
    assert clock.sleeps[1:] == pytest.approx([1.0] * (len(clock.sleeps) - 1))


async def test_after_a_pause_of_the_process_it_goes_on_with_the_present() -> None:
    clock = FakeClock()
    connector = ExerciseConnector(ExerciseSettings(play=("json",)), context("exercise", clock))
    stream = connector.events()
    await anext(stream)
    await clock.sleep(100)
    number = connector.stats()["read"]
    for _ in range(number):
        event = await anext(stream)
    assert event.received_at is not None
    assert event.received_at >= NOON + timedelta(seconds=99)
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_two_processes_play_the_same_exercise() -> None:
    one = await some(ExerciseConnector(ExerciseSettings(), context("exercise")), 1000)
    other = await some(ExerciseConnector(ExerciseSettings(), context("exercise")), 1000)
    assert one == other


async def test_it_plays_around_the_station_unless_told_otherwise() -> None:
    for settings, station, there in (
        (ExerciseSettings(), (10.0, 20.0), (10.0, 20.0)),
        (ExerciseSettings(), None, (43.10, 6.15)),
        (ExerciseSettings.model_validate({"position": "-33.9,151.2"}), (10.0, 20.0), (-33.9, 151.2)),
    ):
        events = await some(ExerciseConnector(settings, context("exercise", station_position=station)), 300)
        placed = [event for event in events if event.has_position]
        assert all(distance_m(*there, event.latitude or 0, event.longitude or 0) < nm(150) for event in placed)


def test_a_wrong_scenario_names_the_file_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    for content, words in (
        ("name: x\nposition: 1,2\nactors: [{address: f00001, speed: 5}]", r"mine.yml: actors.0.speed: Extra inputs"),
        ("name: [", "mine.yml: the scenario is not YAML"),
        ("name: x", "mine.yml: position: Field required"),
    ):
        path.write_text(content)
        with pytest.raises(ConfigError, match=words):
            ExerciseConnector(ExerciseSettings(scenario=path), context("exercise"))
    with pytest.raises(ConfigError, match="can't be read"):
        load_scenario(tmp_path / "absent.yml")


def test_the_plugin_offers_the_type() -> None:
    (spec,) = vtoc_connectors()
    assert (spec.type, spec.decoder) == ("exercise", None)
