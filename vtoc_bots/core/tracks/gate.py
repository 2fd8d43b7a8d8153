"""Whether one source's report may be of the same entity as another's track, and what speaks for it."""

from __future__ import annotations

import math
from typing import Final

from vtoc_bots.core.telemetry import TelemetryEvent
from vtoc_bots.core.tracks.evidence import Comparison
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.settings import MergeSettings
from vtoc_bots.core.tracks.source_track import SourceTrack

CLOCK_SIGMA_SECONDS: Final = 0.3
"""How far two sources' clocks are apart; it makes a position vague along the direction of flight."""
ALTITUDE_SIGMA_M, OFF_ALTITUDE_SIGMA_M = 15.0, 75.0
"""How far two words of one altitude may differ: both are rounded, to 100 ft at worst; and where an encoder is off."""
OFF_ALTITUDE_CHI2: Final = 4.0
"""Past this an altitude says no more, until it is too far off for that too."""
ALTITUDE_AGE_SECONDS: Final = 20.0
VELOCITY_AGE_SECONDS: Final = 15.0
VELOCITY_SIGMA_MPS: Final = 12.0
"""How far two reports of one entity's velocity may differ."""
ELSEWHERE: Final = Comparison(False, math.inf, math.inf, math.inf)


def compare(
    report: Report, reporter: SourceTrack, other: SourceTrack, other_variance: float, settings: MergeSettings
) -> Comparison:
    """Hold a report of `reporter` against another track, whose position has `other_variance` (m²) at that time.

    The altitude gate compares only altitudes of the same datum. The χ² gate is doubled where both stand still.
    """
    event, t = report.event, report.t
    altitude_cost = _altitude_cost(event, t, other, settings.altitude_gate_m)
    if altitude_cost is None:
        return ELSEWHERE
    state = other.filter
    assert state is not None
    dt = t - state.t
    x, y = state.to_plane(report.latitude, report.longitude)
    dx, dy = x - state.x - state.vx * dt, y - state.y - state.vy * dt
    own_variance = reporter.sigma_m**2
    variance = own_variance + other_variance
    squared = dx * dx + dy * dy
    chi2 = squared / variance
    speed2 = state.vx**2 + state.vy**2
    if speed2 > 1.0:
        # Along the direction of flight the clocks add their error.
        along2 = (dx * state.vx + dy * state.vy) ** 2 / speed2
        chi2 = along2 / (variance + speed2 * CLOCK_SIGMA_SECONDS**2) + (squared - along2) / variance
    gate = settings.gate_chi2
    if chi2 > gate and chi2 <= 2.0 * gate and reporter.may_stand() and other.standing():
        gate *= 2.0
    cost = chi2 + 2.0 * math.log(variance / own_variance) + altitude_cost + _velocity_cost(event, t, other)
    return Comparison(chi2 <= gate, chi2, math.sqrt(squared), cost)


def position_chi2(track: SourceTrack, sigma_m: float, report: Report) -> float:
    """How far a position is from where a track should be by then: χ² with two degrees of freedom."""
    state = track.filter
    if state is None:
        return math.inf
    dt = report.t - state.t
    x, y = state.to_plane(report.latitude, report.longitude)
    dx, dy = x - state.x - state.vx * dt, y - state.y - state.vy * dt
    return (dx * dx + dy * dy) / (state.variance_at(report.t) + sigma_m**2)


def _altitude_cost(event: TelemetryEvent, t: float, other: SourceTrack, gate_m: float) -> float | None:
    """What the altitudes say, 0 where they can't be compared, None where they rule it out."""
    if event.altitude_m is None or other.altitude_m is None or event.altitude_datum != other.altitude_datum:
        return 0.0
    age = t - other.altitude_t
    if not -ALTITUDE_AGE_SECONDS <= age <= ALTITUDE_AGE_SECONDS:
        return 0.0
    difference = event.altitude_m - other.altitude_m - (other.vertical_rate_mps or 0.0) * age
    if not -gate_m <= difference <= gate_m:
        return None
    close = min((difference / ALTITUDE_SIGMA_M) ** 2, OFF_ALTITUDE_CHI2)
    return max(close, (difference / OFF_ALTITUDE_SIGMA_M) ** 2) - 1.0


def _velocity_cost(event: TelemetryEvent, t: float, other: SourceTrack) -> float:
    """What two reported velocities say: 0 on average for the same entity, and where one is not reported."""
    if event.speed_mps is None or event.heading_deg is None or other.speed_mps is None or other.heading_deg is None:
        return 0.0
    if not -VELOCITY_AGE_SECONDS <= t - other.velocity_t <= VELOCITY_AGE_SECONDS:
        return 0.0
    turn = math.radians(event.heading_deg - other.heading_deg)
    speed, other_speed = event.speed_mps, other.speed_mps
    squared = speed * speed + other_speed * other_speed - 2.0 * speed * other_speed * math.cos(turn)
    return squared / VELOCITY_SIGMA_MPS**2 - 2.0
