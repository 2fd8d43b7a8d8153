"""What no real entity does: why a report is flagged and not fused."""

from __future__ import annotations

import math
from typing import Final

from vtoc_bots.core.telemetry import TelemetryEvent, distance_m, feet, knots
from vtoc_bots.core.tracks.kalman import METRES_PER_DEGREE
from vtoc_bots.core.tracks.report import Report

MAX_ALTITUDE_M: Final = feet(100_000)
MIN_ALTITUDE_M: Final = feet(-2_500)
"""Lower than the Dead Sea's shore, with a day of very high pressure."""
HIGH_ALTITUDE_M: Final = feet(45_000)
SLOWEST_HIGH_MPS: Final = knots(150)
"""No aeroplane flies so slowly above `HIGH_ALTITUDE_M`: the altitude or the speed is false."""
MAX_SPEED_MPS: Final = knots(1_400)
MAX_GROUND_SPEED_MPS: Final = knots(250)
MAX_VERTICAL_MPS: Final = feet(30_000) / 60.0
MAX_SHIP_SPEED_MPS: Final = knots(110)
BALLOON: Final = "B2"
"""Emitter category of the lighter-than-air, which do float high and slowly."""
AIRBORNE_MMSI: Final = "111"
"""Ship's numbers of search and rescue aircraft begin so (ITU-R M.585)."""

ALTITUDE_RANGE: Final = "altitude out of range"
HIGH_AND_SLOW: Final = "too high for its speed"
TOO_FAST: Final = "too fast"
FAST_ON_GROUND: Final = "too fast on the ground"
VERTICAL_RATE: Final = "impossible vertical rate"
NULL_POSITION: Final = "position is exactly 0, 0"
JUMP: Final = "impossible jump"

JUMP_SLACK_SECONDS: Final = 1.0
"""How wrong the time between two reports may be."""
JUMP_SIGMAS: Final = 6.0


def usable(event: TelemetryEvent) -> bool:
    """Whether a report's numbers are finite and its position lies on the globe.

    Raises TypeError where a number is something else.
    """
    latitude, longitude = event.latitude, event.longitude
    if latitude is not None and not -90.0 <= latitude <= 90.0:
        return False
    if longitude is not None and not -180.0 <= longitude <= 180.0:
        return False
    rest = (event.altitude_m or 0.0) + (event.speed_mps or 0.0) + (event.heading_deg or 0.0)
    return math.isfinite(rest + (event.vertical_rate_mps or 0.0) + (event.accuracy_m or 0.0))


def implausible_state(event: TelemetryEvent, category: str | None) -> str | None:
    """The fixed words for what is impossible about one report taken alone, or None.

    `category` is what the entity said earlier, for reports that do not repeat it.
    """
    altitude, speed, climb = event.altitude_m, event.speed_mps, event.vertical_rate_mps
    if altitude is not None and not MIN_ALTITUDE_M <= altitude <= HIGH_ALTITUDE_M:
        if not MIN_ALTITUDE_M <= altitude <= MAX_ALTITUDE_M:
            return ALTITUDE_RANGE
        if speed is not None and speed < SLOWEST_HIGH_MPS and BALLOON not in (event.category, category):
            return HIGH_AND_SLOW
    if speed is not None and speed > MAX_GROUND_SPEED_MPS:
        if speed > MAX_SPEED_MPS:
            return TOO_FAST
        if event.on_ground:
            return FAST_ON_GROUND
    if climb is not None and not -MAX_VERTICAL_MPS <= climb <= MAX_VERTICAL_MPS:
        return VERTICAL_RATE
    if event.latitude == 0.0 and event.longitude == 0.0:
        return NULL_POSITION
    return None


def fastest_mps(namespace: str, entity_id: str) -> float:
    """The greatest speed at which an entity of this kind may have moved between two reports."""
    if namespace == "mmsi" and not entity_id.startswith(AIRBORNE_MMSI):
        return MAX_SHIP_SPEED_MPS
    return MAX_SPEED_MPS


def reachable(before: Report, after: Report, sigmas_m: float, fastest: float) -> bool:
    """Whether an entity may have been at both reported positions, in either order.

    `sigmas_m` is the sum of both positions' standard deviations, `fastest` in metres per second.
    """
    reach = fastest * (abs(after.t - before.t) + JUMP_SLACK_SECONDS) + JUMP_SIGMAS * sigmas_m
    degrees = abs(after.latitude - before.latitude) + abs(after.longitude - before.longitude)
    # No distance is longer than its degrees along the equator, and nearly every report is settled by that.
    if degrees * METRES_PER_DEGREE <= reach:
        return True
    return distance_m(before.latitude, before.longitude, after.latitude, after.longitude) <= reach
