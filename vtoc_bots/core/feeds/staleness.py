"""How fresh a source is, by the time of its last event."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Thresholds(NamedTuple):
    """Ages of the last event, in seconds, at which a source counts as late and as silent."""

    late_seconds: float = 30.0
    silent_seconds: float = 120.0


def staleness(last_event_at: datetime | None, now: datetime, thresholds: Thresholds = Thresholds()) -> str:  # noqa: B008 - an immutable tuple
    """``waiting`` before the first event, then ``fresh``, ``late`` or ``silent``. Both times aware."""
    if last_event_at is None:
        return "waiting"
    age = (now - last_event_at).total_seconds()
    if age >= thresholds.silent_seconds:
        return "silent"
    return "late" if age >= thresholds.late_seconds else "fresh"
