"""The knobs of the track merge, with the values it was measured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from vtoc_bots.core.telemetry import feet

SIGMA_BY_KIND_M: Final[Mapping[str, float]] = MappingProxyType(
    {
        "adsb_icao": 30.0,
        "adsr": 60.0,
        "tisb": 150.0,
        "adsc": 100.0,
        "mlat": 150.0,
        "other": 200.0,
        "mode_s": 300.0,
    }
)
"""Standard deviation along each axis of a position whose record does not say how good it is, by `position_kind`."""

GLOBAL_NAMESPACES: Final = frozenset(
    {"icao", "mmsi", "callsign", "registration", "flarm", "ogn", "norad", "meshtastic", "cot"}
)
SHIPS_SHOW_SECONDS: Final[Mapping[str, float]] = MappingProxyType({"mmsi": 600.0})


@dataclass(frozen=True, slots=True)
class MergeSettings:
    """How reports are filtered, associated and shown. Metres, seconds, metres per second."""

    show_seconds: float = 60.0
    """How long a track shows after its last position."""
    show_seconds_by_namespace: Mapping[str, float] = field(default_factory=lambda: SHIPS_SHOW_SECONDS)
    """The same for one kind of entity: a ship at anchor reports every three minutes."""
    global_namespaces: frozenset[str] = GLOBAL_NAMESPACES
    """Namespaces in which the same id is the same entity, whoever reports it.

    In any other, such as ``nonicao`` or ``track``, ids are numbers that a source gives out itself.
    """
    late_seconds: float = 8.0
    """How far behind the newest report of its own source track a report may be and still be used."""
    sigma_by_kind_m: Mapping[str, float] = field(default_factory=lambda: SIGMA_BY_KIND_M)
    default_sigma_m: float = 150.0
    """Where neither the record nor its kind says how good a position is."""
    gate_chi2: float = 13.816
    """χ² 0.999 with two degrees of freedom; doubled where both stand still."""
    altitude_gate_m: float = feet(900)
    accept_margin: float = 9.0
    """A pair ahead of every other explanation by more than this (in χ²) is merged at once."""
    hit_margin: float = 3.5
    """A win by less is no hit: of two aircraft parked side by side neither can be told."""
    accept_hits: int = 3
    keep_margin: float = 3.0
    """A standing merge is favoured by so much (in χ²). Two that stand crosswise are favoured twice, so it is little."""
    keep_misses: int = 4
    switch_wins: int = 3
    round_seconds: float = 1.0
    """Reports this close together in time compete in one assignment."""
    extrapolate_seconds: float = 20.0
    """How far a track is extrapolated to be compared with another source's report."""
    trail_seconds: float = 300.0
    trail_step_seconds: float = 5.0

    def shown_for(self, namespace: str) -> float:
        """How long a track of this kind of entity shows after its last position, in seconds."""
        return self.show_seconds_by_namespace.get(namespace, self.show_seconds)
