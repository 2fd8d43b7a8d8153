"""Telemetry events and the units they are given in: SI inside, people's units only in what a person reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

METRES_PER_NAUTICAL_MILE: Final = 1852.0
METRES_PER_FOOT: Final = 0.3048
MPS_PER_KNOT: Final = 1852.0 / 3600.0
EARTH_RADIUS_M: Final = 6_371_008.8

EMERGENCIES: Final[Mapping[str, str]] = MappingProxyType(
    {"7500": "unlawful interference", "7600": "radio failure", "7700": "emergency"}
)
"""What an aircraft says by these squawks."""
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class TelemetryEvent(NamedTuple):
    """One report of one source about one entity. Immutable; None where the source did not say.

    Units: degrees true and WGS84 degrees, metres, metres per second, aware UTC datetimes.
    A tuple, because decoders make a hundred thousand a second.
    """

    entity_id: str
    """Lower-case identifier in its namespace, e.g. ``a3e31a``."""
    entity_namespace: str
    """``icao``, ``nonicao`` (readsb's ``~hex``, TIS-B track files), ``mmsi``, ``callsign``, …"""
    source: str
    """Slug of the source that reported."""
    source_type: str
    """The connector's type, e.g. ``adsb``."""
    event_time: datetime | None = None
    """When the state was true. None when the record has no time and none was given."""
    received_at: datetime | None = None
    """When the report reached us (live), or the file's modification time (offline)."""
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
    altitude_datum: str | None = None
    """``baro`` (pressure altitude) or ``geom`` (height above the ellipsoid)."""
    speed_mps: float | None = None
    heading_deg: float | None = None
    """Track over ground, degrees true 0..360."""
    vertical_rate_mps: float | None = None
    on_ground: bool | None = None
    callsign: str | None = None
    accuracy_m: float | None = None
    """95 % horizontal containment radius."""
    position_kind: str | None = None
    """How the position was made: ``adsb_icao``, ``adsr``, ``tisb``, ``adsc``, ``mlat``, ``other``, ``mode_s``."""
    squawk: str | None = None
    category: str | None = None
    """The emitter category (ADS-B ``A3`` …) or the source's own kind of entity."""
    stale_at: datetime | None = None
    exercise: bool = False
    payload: Mapping[str, Any] = NOTHING
    """What else the record said, in the source's own words."""

    @property
    def has_position(self) -> bool:
        """Whether both latitude and longitude are known."""
        return self.latitude is not None and self.longitude is not None


class Rejected(NamedTuple):
    """A record that was read and not used. `reason` is a short fixed word to count by."""

    reason: str
    detail: str = ""


def nm(value: float) -> float:
    """Nautical miles to metres."""
    return value * METRES_PER_NAUTICAL_MILE


def feet(value: float) -> float:
    """Feet to metres."""
    return value * METRES_PER_FOOT


def knots(value: float) -> float:
    """Knots to metres per second."""
    return value * MPS_PER_KNOT


def distance_m(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance in metres between two WGS84 positions in degrees (haversine, mean Earth radius)."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    half_lat = math.sin((phi_b - phi_a) / 2)
    half_lon = math.sin(math.radians(longitude_b - longitude_a) / 2)
    h = half_lat * half_lat + math.cos(phi_a) * math.cos(phi_b) * half_lon * half_lon
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(h)))


def bearing_deg(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Initial great-circle bearing from a to b, degrees true 0..360."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    delta = math.radians(longitude_b - longitude_a)
    y = math.sin(delta) * math.cos(phi_b)
    x = math.cos(phi_a) * math.sin(phi_b) - math.sin(phi_a) * math.cos(phi_b) * math.cos(delta)
    return math.degrees(math.atan2(y, x)) % 360.0
