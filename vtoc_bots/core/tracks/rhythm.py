"""How regularly a source reports an entity, learned from the gaps between its reports."""

from __future__ import annotations

from typing import Final

FIRST_INTERVAL_SECONDS: Final = 12.0
LONGEST_GAP: Final = 4
"""A gap of more intervals than this teaches nothing."""
LEARNING_RATE: Final = 0.05
IRREGULAR: Final = 0.25
"""How far, in intervals and on average, a gap of any length at all lies from a whole number of them."""
TOLERANCE: Final = 4.0
LEAST_TOLERANCE: Final = 0.05


class Rhythm:
    """The interval of a source that scans, as a radar does, and how exactly it keeps to it.

    A report that is dropped leaves a gap of two intervals, so a gap is held against the nearest whole number of them.
    """

    __slots__ = ("_spread", "interval")

    def __init__(self) -> None:
        self.interval = FIRST_INTERVAL_SECONDS
        self._spread = IRREGULAR
        """How far a gap lies from a whole number of intervals on average, in intervals."""

    def learn(self, gap: float) -> None:
        """Take in the seconds between two reports of one number."""
        count = max(1, round(gap / self.interval))
        if gap <= 0.0 or count > LONGEST_GAP:
            return
        off = abs(gap / self.interval - count)
        self._spread += LEARNING_RATE * (off - self._spread)
        self.interval += LEARNING_RATE * (gap / count - self.interval)

    def in_step(self, gap: float) -> bool:
        """Whether two reports so many seconds apart may be of one entity. Always, for an irregular source."""
        if not self.regular():
            return True
        count = gap / self.interval
        return abs(count - max(1, round(count))) <= max(TOLERANCE * self._spread, LEAST_TOLERANCE)

    def regular(self) -> bool:
        """Whether `in_step` tells anything."""
        return TOLERANCE * self._spread < IRREGULAR
