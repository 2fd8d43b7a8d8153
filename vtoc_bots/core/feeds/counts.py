"""Counts of what a decoder read, decoded and rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from vtoc_bots.core.telemetry import Rejected, TelemetryEvent


class DecodeCounts:
    """Every record is exactly one event or one rejection, so `read` is their sum."""

    def __init__(self) -> None:
        self.decoded = 0
        self.rejected: Counter[str] = Counter()

    @property
    def read(self) -> int:
        """Records read."""
        return self.decoded + self.rejected.total()

    def take(self, results: Iterable[TelemetryEvent | Rejected]) -> list[TelemetryEvent]:
        """Count a decoder's results and keep the events, in their order."""
        events: list[TelemetryEvent] = []
        for result in results:
            if type(result) is TelemetryEvent:
                events.append(result)
            else:
                self.rejected[result[0]] += 1
        self.decoded += len(events)
        return events

    def reject(self, reason: str, number: int = 1) -> None:
        """Move `number` decoded records to the rejected ones of this reason (a live source's clock check)."""
        self.decoded -= number
        self.rejected[reason] += number

    def as_dict(self) -> dict[str, Any]:
        """``{"read", "decoded", "rejected": {reason: number}}``."""
        return {"read": self.read, "decoded": self.decoded, "rejected": dict(self.rejected)}
