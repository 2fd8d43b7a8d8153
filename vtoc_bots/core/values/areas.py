"""Areas as people write them, and what they are at a station: a circle, a box, or no limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from vtoc_bots.core.access import Station
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.telemetry import distance_m
from vtoc_bots.core.values.positions import Position, parse_position, position_text
from vtoc_bots.core.values.quantities import DISTANCE
from vtoc_bots.core.values.value_type import ValueType, shown, text_only

MAX_RADIUS_M: Final = 20_015_087.0
"""Half the Earth's circumference: a circle of it holds everything."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.IGNORECASE)
_BBOX_PREFIX = re.compile(r"bbox\s*[:=]?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Circle:
    """All within `radius_m` metres (great circle) of a WGS84 position in degrees."""

    latitude: float
    longitude: float
    radius_m: float

    def contains(self, latitude: float, longitude: float) -> bool:
        """Whether a position in degrees lies in it, the rim included."""
        return distance_m(self.latitude, self.longitude, latitude, longitude) <= self.radius_m


@dataclass(frozen=True, slots=True)
class Box:
    """All between two meridians and two parallels, in degrees; where `west` > `east` it crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def contains(self, latitude: float, longitude: float) -> bool:
        """Whether a position in degrees lies in it, the edges included."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east


@dataclass(frozen=True, slots=True)
class Area:
    """A place to look at, as asked for; at a station `resolve` makes it a shape.

    At most one of `radius_m` (round `centre`, or round the station where that is None), `box` and `name` (a saved area)
    is given; none means the station's own circle, `everywhere` no limit. As text: ``station``, ``everywhere``,
    ``40nm``, ``49.01,2.55,40nm``, ``-10,40,5,52`` (west, south, east, north), or a saved area's name.
    """

    radius_m: float | None = None
    centre: Position | None = None
    box: Box | None = None
    name: str | None = None
    everywhere: bool = False

    @classmethod
    def parse(cls, text: str) -> Area:
        """The area of a text form. Raises ValueError saying what is accepted."""
        words = text.strip()
        if words.lower() in ("", "station", "here"):
            return cls()
        if words.lower() in ("everywhere", "all"):
            return cls(everywhere=True)
        if _NAME.fullmatch(words) and words.lower() != "bbox":
            return cls(name=words.lower())
        try:
            return _shape(words)
        except ValueError as error:
            raise ValueError(f"{shown(text)} is no area; write {ACCEPTS}") from error

    def __str__(self) -> str:
        """The canonical text, which `parse` gives back."""
        if self.everywhere:
            return "everywhere"
        if self.box is not None:
            west_south = position_text(Position(self.box.south, self.box.west)).split(",")
            east_north = position_text(Position(self.box.north, self.box.east)).split(",")
            return ",".join([west_south[1], west_south[0], east_north[1], east_north[0]])
        if self.radius_m is not None:
            radius = DISTANCE.show(self.radius_m)
            return radius if self.centre is None else f"{position_text(self.centre)},{radius}"
        return self.name or "station"

    def resolve(self, station: Station, saved: Mapping[str, Area] = MappingProxyType({})) -> Circle | Box | None:
        """Its shape at a station; None is no limit.

        An area round a station without a position, and the own area of one without a radius, have no limit.
        Raises NotFound for a name that is not among the `saved` areas.
        """
        if self.everywhere:
            return None
        if self.box is not None:
            return self.box
        if self.name is not None:
            return self._saved(saved).resolve(station)
        centre = self.centre or station.position
        radius_m = self.radius_m if self.radius_m is not None else station.radius_m
        if centre is None or radius_m is None:
            return None
        return Circle(centre[0], centre[1], radius_m)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return AREA.__get_pydantic_core_schema__(source, handler)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(AREA.schema)

    def _saved(self, saved: Mapping[str, Area]) -> Area:
        area = saved.get(self.name or "")
        if area is None or area.name is not None:
            known = f" Saved areas: {', '.join(sorted(saved))}." if saved else " None is saved."
            raise NotFound(f"No area is saved as {self.name}.{known} Or write {ACCEPTS}")
        return area


def _shape(words: str) -> Area:
    box, is_box = _BBOX_PREFIX.sub("", words), bool(_BBOX_PREFIX.match(words))
    numbers = [part.strip() for part in box.split(",")]
    if is_box or len(numbers) == 4:
        return Area(box=_box(numbers))
    place, comma, radius = words.rpartition(",")
    area = Area(radius_m=DISTANCE.parse(radius))
    if not 0 < (area.radius_m or 0) <= MAX_RADIUS_M:
        raise ValueError("a radius is above 0 and at most half round the Earth")
    return replace(area, centre=parse_position(place)) if comma else area


def _box(numbers: list[str]) -> Box:
    if len(numbers) != 4:
        raise ValueError("a box has four edges")
    west, south, east, north = numbers
    low, high = parse_position(f"{south},{west}"), parse_position(f"{north},{east}")
    if low.latitude >= high.latitude or low.longitude == high.longitude:
        raise ValueError("a box needs some width and height, and its south below its north")
    return Box(low.longitude, low.latitude, high.longitude, high.latitude)


ACCEPTS: Final = (
    "station, everywhere, a distance round the station (40nm), a circle (49.01,2.55,40nm), "
    "a box west,south,east,north (-10,40,5,52), or a saved area's name"
)
AREA: Final = ValueType(
    "area",
    ACCEPTS,
    "40nm",
    Area.parse,
    lambda value: value if isinstance(value, Area) else text_only(Area.parse, "area", ACCEPTS)(value),
    str,
    str,
    {"type": "string", "description": ACCEPTS},
    offers="area",
)
