"""A scenario: who flies, drives or searches where, and which receivers see them; read from YAML."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from vtoc_bots import ConfigError, Position, feet, knots, nm
from vtoc_bots.plugins.connectors.exercise.motion import Path as FlightPath
from vtoc_bots.plugins.connectors.exercise.motion import latitude_longitude, racetrack, search_pattern
from vtoc_bots.plugins.connectors.exercise.state import Actor, State

Receiver = Literal["sbs", "beast", "json"]
RECEIVERS: Final[tuple[Receiver, ...]] = ("sbs", "beast", "json")
DEFAULT_SCENARIO: Final = Path(__file__).with_name("default.yml")

_TRAFFIC_TYPES: Final = (("A320", "A3"), ("B738", "A3"), ("B77W", "A5"), ("E190", "A3"), ("C25B", "A2"), ("AT76", "A3"))


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ActorPlan(_Keys):
    """One aircraft or vehicle. It goes round a closed path `bearing` degrees and `distance_nm` from the position."""

    address: Annotated[str, StringConstraints(pattern="^[0-9a-f]{6}$")]
    callsign: Annotated[str, StringConstraints(pattern="^[A-Z0-9]{0,8}$")] = ""
    registration: str = ""
    type: str = ""
    category: Annotated[str, StringConstraints(pattern="^[A-D][0-7]$")] = "A3"
    squawk: Annotated[str, StringConstraints(pattern="^[0-7]{4}$")] = "2000"
    emergency: str = ""
    icao: bool = True
    kind: Literal["adsb_icao", "tisb_trackfile", "mlat"] = "adsb_icao"
    seen_by: tuple[Receiver, ...] = RECEIVERS
    path: Literal["racetrack", "search"] = "racetrack"
    bearing: float = Field(0.0, ge=0, lt=360)
    distance_nm: float = Field(0.0, ge=0, le=200)
    heading: float = Field(0.0, ge=0, lt=360)
    leg_nm: float = Field(10.0, gt=0, le=400)
    width_nm: float = Field(4.0, gt=0, le=100)
    legs: int = Field(6, ge=2, le=50)
    speed_kt: float = Field(250.0, ge=0, le=1000)
    altitude_ft: float = Field(0.0, ge=-900, le=100_000)
    altitude_to_ft: float | None = Field(None, ge=-900, le=100_000)
    rate_fpm: float = Field(1500.0, gt=0, le=10_000)
    on_ground: bool = False
    start: float = Field(0.0, ge=0, lt=1)


class Traffic(_Keys):
    """Airliners crossing the area on long racetracks, drawn from the seed."""

    count: int = Field(0, ge=0, le=5000)
    radius_nm: float = Field(60.0, gt=0, le=180)


class Scenario(_Keys):
    """What is played. `position` is the centre where no other is set."""

    name: str
    seed: int = 1
    position: Position
    actors: tuple[ActorPlan, ...] = ()
    traffic: Traffic = Traffic()


class Player:
    """One actor on its way: a pure function of time."""

    def __init__(self, plan: ActorPlan, centre: tuple[float, float]) -> None:
        self._plan, self._centre = plan, centre
        angle, distance = math.radians(plan.bearing), nm(plan.distance_nm)
        middle = (distance * math.sin(angle), distance * math.cos(angle))
        if plan.path == "search":
            points = search_pattern(middle, plan.heading, nm(plan.leg_nm), nm(plan.width_nm), plan.legs)
        else:
            points = racetrack(middle, plan.heading, nm(plan.leg_nm), nm(plan.width_nm) / 2)
        self._path = FlightPath(points)
        self.seen_by = plan.seen_by
        self.actor = Actor(
            address=plan.address,
            callsign=plan.callsign,
            registration=plan.registration,
            aircraft_type=plan.type,
            category=plan.category,
            squawk=plan.squawk,
            emergency=plan.emergency,
            is_icao=plan.icao,
            kind=plan.kind,
        )

    def at(self, seconds: float) -> State:
        """Its state `seconds` since 1970: the same moment gives the same state everywhere."""
        plan = self._plan
        speed = knots(plan.speed_kt)
        place = self._path.at(speed * seconds + plan.start * self._path.length_m)
        latitude, longitude = latitude_longitude(self._centre, place.east, place.north)
        altitude, rate = self._climb(seconds)
        return State(self.actor, latitude, longitude, altitude, speed, place.track_deg, rate, plan.on_ground)

    def _climb(self, seconds: float) -> tuple[float, float]:
        """(altitude, vertical rate): up and down between the two altitudes without a pause."""
        plan = self._plan
        low = feet(plan.altitude_ft)
        if plan.altitude_to_ft is None or plan.altitude_to_ft == plan.altitude_ft:
            return low, 0.0
        span, rate = feet(plan.altitude_to_ft) - low, feet(plan.rate_fpm) / 60
        period = 2 * abs(span) / rate
        phase = (seconds / period + plan.start) % 1.0
        rising = phase < 0.5
        part = 2 * phase if rising else 2 - 2 * phase
        return low + part * span, math.copysign(rate, span) * (1 if rising else -1)


def load_scenario(path: Path) -> Scenario:
    """The scenario in a YAML file. Raises ConfigError naming the file and the key."""
    try:
        return Scenario.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the scenario can't be read: {error}. Correct the source's scenario key.", str(path)
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"the scenario is not YAML: {error}", str(path)) from error
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "scenario"
        raise ConfigError(f"{place}: {first['msg']}. Correct this key.", str(path)) from error


def players_of(scenario: Scenario, centre: tuple[float, float], seed: int | None = None) -> list[Player]:
    """Everybody in the scenario around `centre` (latitude, longitude); `seed` replaces the scenario's own."""
    draw = random.Random(scenario.seed if seed is None else seed)
    plans = [
        *scenario.actors,
        *(_traffic_plan(draw, number, scenario.traffic) for number in range(scenario.traffic.count)),
    ]
    return [Player(plan, centre) for plan in plans]


def _traffic_plan(draw: random.Random, number: int, traffic: Traffic) -> ActorPlan:
    aircraft_type, category = draw.choice(_TRAFFIC_TYPES)
    level = draw.randrange(240, 410, 10)
    seen_by: tuple[Receiver, ...] = draw.choice((RECEIVERS, ("beast", "json"), ("sbs", "json"), ("json",)))
    return ActorPlan(
        address=f"{0xF10000 + number:06x}",
        callsign=f"EXR{100 + number}",
        registration=f"X-{number:04d}",
        type=aircraft_type,
        category=category,
        squawk=f"{draw.randrange(0o1000, 0o6777):04o}",
        seen_by=seen_by,
        bearing=draw.randrange(360),
        distance_nm=draw.uniform(0.0, traffic.radius_nm / 2),
        heading=draw.randrange(360),
        leg_nm=traffic.radius_nm * draw.uniform(1.0, 2.0),
        width_nm=draw.uniform(6.0, 20.0),
        speed_kt=draw.randrange(300, 490, 5),
        altitude_ft=level * 100,
        start=draw.random(),
    )
