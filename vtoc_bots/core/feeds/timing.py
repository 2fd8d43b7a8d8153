"""Checks of a live source's clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from vtoc_bots.core.telemetry import TelemetryEvent

CLOCK_LIMIT = timedelta(seconds=60)


class TimeCheck(NamedTuple):
    """Events with a credible time, and how many were refused: `clock` for a wrong clock, `stale` for old news."""

    kept: list[TelemetryEvent]
    clock: int
    stale: int


def check_times(events: Sequence[TelemetryEvent], now: datetime, limit: timedelta = CLOCK_LIMIT) -> TimeCheck:
    """Refuse events whose time is more than `limit` off `now`.

    The newest event of a batch tells what its source's clock says: when it too is off, or an event lies in the future,
    the clock is wrong; otherwise an old event is merely old (an aircraft last heard two minutes ago in a document that
    was made just now). Events without a time are kept.
    """
    times = [event.event_time for event in events if event.event_time is not None]
    if not times:
        return TimeCheck(list(events), 0, 0)
    newest, oldest = max(times), min(times)
    if newest - now <= limit and now - oldest <= limit:
        return TimeCheck(list(events), 0, 0)
    slow = now - newest > limit
    kept: list[TelemetryEvent] = []
    clock = stale = 0
    for event in events:
        at = event.event_time
        if at is None or abs(at - now) <= limit:
            kept.append(event)
        elif slow or at > now:
            clock += 1
        else:
            stale += 1
    return TimeCheck(kept, clock, stale)
