"""What a simulated aircraft is at one moment."""

from __future__ import annotations

from typing import NamedTuple


class Actor(NamedTuple):
    """What does not change of an aircraft."""

    address: str
    """Six hexadecimal digits."""
    callsign: str
    registration: str = ""
    aircraft_type: str = ""
    category: str = "A3"
    squawk: str = "2000"
    emergency: str = ""
    """readsb's word, e.g. ``general``; empty for none."""
    is_icao: bool = True
    kind: str = "adsb_icao"
    """How receivers get its position: ``adsb_icao``, ``tisb_trackfile`` or ``mlat``."""


class State(NamedTuple):
    """Where it is and how it moves. WGS84 degrees, degrees true, metres, metres per second."""

    actor: Actor
    latitude: float
    longitude: float
    altitude_m: float
    speed_mps: float
    track_deg: float
    vertical_rate_mps: float
    on_ground: bool
