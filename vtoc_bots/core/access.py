"""Who may do what: stations, operators, levels, and the one function that decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import UUID


class Level(IntEnum):
    """What an operator may do at a station; each level includes the ones below."""

    OBSERVER = 1
    OPERATOR = 2
    LEAD = 3
    ADMIN = 4

    @classmethod
    def parse(cls, text: str) -> Level:
        """The level of a name. Raises ValueError naming the four."""
        try:
            return cls[text.upper()]
        except KeyError:
            raise ValueError(f"unknown level {text!r}: observer, operator, lead or admin") from None

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Station:
    """A post in the centre. Position in WGS84 degrees, radius in metres; `role` is ops, intel or logistics."""

    id: UUID
    slug: str
    callsign: str
    name: str
    role: str
    timezone: str = "UTC"
    latitude: float | None = None
    longitude: float | None = None
    radius_m: float | None = None

    @property
    def position(self) -> tuple[float, float] | None:
        """(latitude, longitude), or None when it has none."""
        if self.latitude is None or self.longitude is None:
            return None
        return self.latitude, self.longitude


@dataclass(frozen=True, slots=True)
class Operator:
    """A person. `levels` is by station slug; ``*`` stands for every station."""

    id: UUID
    name: str
    levels: Mapping[str, Level]
    default_station: str | None = None

    def level_at(self, station: str) -> Level | None:
        """The operator's level at a station, None where they have none."""
        here, everywhere = self.levels.get(station), self.levels.get("*")
        if here is None or everywhere is None:
            return here or everywhere
        return max(here, everywhere)


class Verdict(IntEnum):
    """What is decided; the greater one beats the lesser."""

    ALLOW = 1
    REQUIRE_APPROVAL = 2
    DENY = 3


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, the sentence that explains it, and who gave it (``levels``, ``policies.yml:12``, a policy's name)."""

    verdict: Verdict
    reason: str
    by: str = "levels"

    @property
    def allowed(self) -> bool:
        """Whether it may go on, perhaps after an approval."""
        return self.verdict is not Verdict.DENY


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants to do: ``command:map``, ``playbook:op_airtrack_merge``, ``approve:<playbook>`` …"""

    action: str
    level: Level = Level.OPERATOR
    roles: frozenset[str] = frozenset()
    """Roles whose stations may do it; empty means any."""
    arguments: Mapping[str, Any] | None = None
    transport: str | None = None
    private: bool | None = None
