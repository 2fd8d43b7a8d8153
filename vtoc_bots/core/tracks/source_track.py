"""What one source says about one entity: its filter, its latest words, and what was implausible."""

from __future__ import annotations

import math
from typing import Final

from vtoc_bots.core.telemetry import TelemetryEvent
from vtoc_bots.core.tracks.kalman import ConstantVelocityFilter
from vtoc_bots.core.tracks.noise import SourceNoise
from vtoc_bots.core.tracks.plausibility import JUMP, fastest_mps, implausible_state, reachable
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.settings import MergeSettings

ADDED: Final = "added"
LATE: Final = "late_dropped"
REPEATED: Final = "repeated"

VELOCITY_VARIANCE: Final = 5.0**2
"""Of a reported speed and heading, (m/s)²."""
UNKNOWN_VELOCITY_VARIANCE: Final = 150.0**2
UNKNOWN_GROUND_VELOCITY_VARIANCE: Final = 10.0**2
AIR_NOISE, GROUND_NOISE, STANDING_NOISE = 4.0, 1.0, 0.1
"""Power of the white-noise acceleration, m²/s³."""
STANDING_MPS: Final = 3.0
RESTART_AFTER: Final = 3
"""So many reports in a row that agree with each other, though not with the past, are believed."""
REPEAT_SECONDS: Final = 0.25
DISTRUST_CHI2: Final = 30.0
DISTRUST_REPORTS: Final = 10
"""A reported velocity that leads the filter so far astray is not used for so many reports: stuck positions."""


class SourceTrack:
    """One entity as one source sees it."""

    __slots__ = (
        "_distrust",
        "_fastest",
        "_jumps",
        "_noise",
        "_settings",
        "altitude_datum",
        "altitude_m",
        "altitude_t",
        "callsign",
        "category",
        "entity_id",
        "filter",
        "flag",
        "flagged",
        "heading_deg",
        "namespace",
        "newest",
        "on_ground",
        "registration",
        "seen_t",
        "sigma_m",
        "source",
        "source_type",
        "speed_mps",
        "squawk",
        "t",
        "velocity_t",
        "vertical_rate_mps",
    )

    def __init__(self, event: TelemetryEvent, noise: SourceNoise, settings: MergeSettings) -> None:
        self.source = event.source
        self.source_type = event.source_type
        self.namespace = event.entity_namespace
        self.entity_id = event.entity_id
        self._settings = settings
        self._noise = noise
        self._fastest = fastest_mps(event.entity_namespace, event.entity_id)
        self.filter: ConstantVelocityFilter | None = None
        self.newest: Report | None = None
        """The newest report that was fused."""
        self.t = -math.inf
        """Its time, seconds since 1970."""
        self.seen_t = -math.inf
        """Time of the newest report of any kind."""
        self.sigma_m = 0.0
        self.flag = ""
        self.flagged: Report | None = None
        """The newest implausible report, and `flag` says why."""
        self._jumps = 0
        self._distrust = 0
        self.callsign: str | None = None
        self.squawk: str | None = None
        self.category: str | None = None
        self.registration: str | None = None
        self.altitude_m: float | None = None
        self.altitude_datum: str | None = None
        self.altitude_t = -math.inf
        self.speed_mps: float | None = None
        self.heading_deg: float | None = None
        self.velocity_t = -math.inf
        self.vertical_rate_mps: float | None = None
        self.on_ground: bool | None = None

    def describe(self, event: TelemetryEvent, t: float) -> None:
        """Take in what a report says besides a position. Words older than the newest fused report fill gaps only."""
        older = t < self.t
        if t > self.seen_t:
            self.seen_t = t
        if event.callsign is not None and not (older and self.callsign):
            self.callsign = event.callsign
        if event.squawk is not None and not (older and self.squawk):
            self.squawk = event.squawk
        if event.category is not None and not (older and self.category):
            self.category = event.category
        if event.payload and self.registration is None:
            registration = event.payload.get("registration") or event.payload.get("r")
            self.registration = str(registration) if registration else None
        if older:
            return
        if event.altitude_m is not None:
            self.altitude_m, self.altitude_datum, self.altitude_t = event.altitude_m, event.altitude_datum, t
        if event.speed_mps is not None:
            self.speed_mps, self.heading_deg, self.velocity_t = event.speed_mps, event.heading_deg, t
        if event.vertical_rate_mps is not None:
            self.vertical_rate_mps = event.vertical_rate_mps
        if event.on_ground is not None:
            self.on_ground = event.on_ground

    def report(self, report: Report) -> str:
        """Take in a report with a position: `ADDED`, `LATE`, `REPEATED`, or the words for what is implausible."""
        tracked, last, event = self.filter, self.newest, report.event
        dt = 0.0 if tracked is None else report.t - tracked.t
        if dt < -self._settings.late_seconds:
            return LATE
        implausible = implausible_state(event, self.category)
        if implausible is not None:
            return self._set_aside(report, implausible)
        sigma = self._noise.sigma_m(event.accuracy_m, event.position_kind)
        if tracked is None or last is None or dt > self._settings.shown_for(self.namespace):
            self._start(report, sigma)
            return ADDED
        same_place = report.latitude == last.latitude and report.longitude == last.longitude
        if same_place and -REPEAT_SECONDS <= dt <= REPEAT_SECONDS:
            self.describe(event, report.t)
            return REPEATED
        if not reachable(last, report, sigma + self.sigma_m, self._fastest):
            return self._jump(report, sigma)
        self._follow(tracked, report, sigma)
        return ADDED

    def standing(self) -> bool:
        """Whether the entity stands still, by its own words or else by its filter."""
        if self.speed_mps is not None:
            return self.speed_mps < STANDING_MPS
        state = self.filter
        return state is not None and state.w <= UNKNOWN_GROUND_VELOCITY_VARIANCE and self.may_stand()

    def may_stand(self) -> bool:
        """Whether nothing known of the entity's velocity says that it moves."""
        if self.speed_mps is not None:
            return self.speed_mps < STANDING_MPS
        state = self.filter
        return state is None or state.vx**2 + state.vy**2 < STANDING_MPS**2 + 4.0 * state.w

    def _start(self, report: Report, sigma: float) -> None:
        unknown = UNKNOWN_GROUND_VELOCITY_VARIANCE if report.event.on_ground else UNKNOWN_VELOCITY_VARIANCE
        self.filter = ConstantVelocityFilter(
            report.t, report.latitude, report.longitude, sigma * sigma, unknown, AIR_NOISE
        )
        self._distrust = 0
        self._accept(self.filter, report, sigma)

    def _follow(self, tracked: ConstantVelocityFilter, report: Report, sigma: float) -> None:
        if self.on_ground:
            tracked.noise = STANDING_NOISE if self.standing() else GROUND_NOISE
        else:
            tracked.noise = AIR_NOISE
        tracked.update(report.t, report.latitude, report.longitude, sigma * sigma)
        if tracked.innovation > DISTRUST_CHI2:
            self._distrust = DISTRUST_REPORTS
        elif self._distrust:
            self._distrust -= 1
        if not report.event.accuracy_m:
            self._noise.learn(tracked.innovation)
        if report.t >= self.t:
            self._accept(tracked, report, sigma)
        else:
            self.describe(report.event, report.t)

    def _accept(self, tracked: ConstantVelocityFilter, report: Report, sigma: float) -> None:
        event = report.event
        self.newest, self.t, self.sigma_m = report, report.t, sigma
        self._jumps = 0
        self.describe(event, report.t)
        if event.speed_mps is not None and event.heading_deg is not None and not self._distrust:
            heading, speed = math.radians(event.heading_deg), event.speed_mps
            tracked.update_velocity(speed * math.sin(heading), speed * math.cos(heading), VELOCITY_VARIANCE)

    def _set_aside(self, report: Report, why: str) -> str:
        self.flag, self.flagged = why, report
        self.seen_t = max(self.seen_t, report.t)
        return why

    def _jump(self, report: Report, sigma: float) -> str:
        before = self.flagged if self._jumps else None
        agrees = before is not None and reachable(before, report, 2.0 * sigma, self._fastest)
        self._jumps = self._jumps + 1 if agrees else 1
        if self._jumps < RESTART_AFTER:
            return self._set_aside(report, JUMP)
        self._start(report, sigma)
        return ADDED
