"""Typed values that people write: shared by command parameters and playbook inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias

from vtoc_bots.core.values.areas import AREA, Area, Box, Circle
from vtoc_bots.core.values.names import ALERT, APPROVAL, COMMAND, MISSION, PLAYBOOK, RUN, STATION, TRACK, name_type
from vtoc_bots.core.values.plain import BOOL, INT, NUMBER, REST, STRING, choice_type
from vtoc_bots.core.values.positions import POSITION, Position
from vtoc_bots.core.values.quantities import ALTITUDE, DISTANCE, DURATION, SPEED
from vtoc_bots.core.values.times import TIME
from vtoc_bots.core.values.value_type import ValueType, WrongValue

Duration: TypeAlias = Annotated[timedelta, DURATION]
Distance: TypeAlias = Annotated[float, DISTANCE]
"""Metres."""
Speed: TypeAlias = Annotated[float, SPEED]
"""Metres per second."""
Altitude: TypeAlias = Annotated[float, ALTITUDE]
"""Metres."""
Time: TypeAlias = Annotated[datetime, TIME]
TrackId: TypeAlias = Annotated[str, TRACK]
PlaybookId: TypeAlias = Annotated[str, PLAYBOOK]
RunId: TypeAlias = Annotated[str, RUN]
ApprovalId: TypeAlias = Annotated[str, APPROVAL]
MissionCode: TypeAlias = Annotated[str, MISSION]
AlertId: TypeAlias = Annotated[str, ALERT]
Rest: TypeAlias = Annotated[str, REST]
"""A command's last positional parameter that takes all the remaining text as it stands."""
CommandName: TypeAlias = Annotated[str, COMMAND]
StationSlug: TypeAlias = Annotated[str, STATION]

VALUE_TYPES: Final[Mapping[str, ValueType[Any]]] = MappingProxyType(
    {
        each.name: each
        for each in (
            STRING,
            INT,
            NUMBER,
            BOOL,
            DURATION,
            DISTANCE,
            SPEED,
            ALTITUDE,
            AREA,
            POSITION,
            TIME,
            TRACK,
            PLAYBOOK,
            RUN,
            STATION,
        )
    }
)
"""The types by the name that playbooks use; ``choice`` is made by `value_type`."""


def value_type(name: str, choices: Iterable[str] = ()) -> ValueType[Any]:
    """The type of a name as playbooks write it; `choices` are the words of a ``choice``.

    Raises ValueError naming the types for an unknown one, and for a choice without choices.
    """
    if name == "choice":
        return choice_type(choices)
    try:
        return VALUE_TYPES[name]
    except KeyError:
        raise ValueError(f"no type {name}; there are {', '.join([*VALUE_TYPES, 'choice'])}") from None


__all__ = [
    "ALERT",
    "ALTITUDE",
    "APPROVAL",
    "AREA",
    "BOOL",
    "COMMAND",
    "DISTANCE",
    "DURATION",
    "INT",
    "MISSION",
    "NUMBER",
    "PLAYBOOK",
    "POSITION",
    "REST",
    "RUN",
    "SPEED",
    "STATION",
    "STRING",
    "TIME",
    "TRACK",
    "VALUE_TYPES",
    "AlertId",
    "Altitude",
    "ApprovalId",
    "Area",
    "Box",
    "Circle",
    "CommandName",
    "Distance",
    "Duration",
    "MissionCode",
    "PlaybookId",
    "Position",
    "Rest",
    "RunId",
    "Speed",
    "StationSlug",
    "Time",
    "TrackId",
    "ValueType",
    "WrongValue",
    "choice_type",
    "name_type",
    "value_type",
]
