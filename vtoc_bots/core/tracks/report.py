"""A telemetry event that has a time and a position."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from vtoc_bots.core.telemetry import TelemetryEvent


class Report(NamedTuple):
    """What the filters and gates work on."""

    event: TelemetryEvent
    at: datetime
    """When the state was true, else when it arrived."""
    t: float
    """The same in seconds since 1970."""
    latitude: float
    longitude: float
