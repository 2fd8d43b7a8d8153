"""How good a reported position is: what the record says, else its kind corrected by what the source shows."""

from __future__ import annotations

import math
from typing import Final

from vtoc_bots.core.tracks.settings import MergeSettings

SIGMAS_IN_95_PERCENT: Final = math.sqrt(-2.0 * math.log(0.05))
"""Radius of the circle that holds 95 % of a two-dimensional normal distribution, in standard deviations."""
LEAST_SIGMA_M, LARGEST_SIGMA_M = 5.0, 100_000.0
LEARNING_RATE: Final = 0.01
FIRST_RATE: Final = 0.1
"""The n-th report moves the scale by `FIRST_RATE / (1 + n * FIRST_RATE)`, but not by less than `LEARNING_RATE`."""
MEDIAN_CHI2: Final = 2.0 * math.log(2.0)
"""Half of all χ² with two degrees of freedom are less. The median does not mind manoeuvres, which the mean does."""
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 25.0


class SourceNoise:
    """Standard deviations of one source's positions. Learns a scale for those whose record does not say."""

    __slots__ = ("_learned", "_scale", "_settings")

    def __init__(self, settings: MergeSettings) -> None:
        self._settings = settings
        self._scale = 1.0
        self._learned = 0

    def sigma_m(self, accuracy_m: float | None, position_kind: str | None) -> float:
        """Standard deviation along each axis, metres. `accuracy_m` is a 95 % containment radius."""
        if accuracy_m is not None and accuracy_m > 0.0:
            return min(max(accuracy_m / SIGMAS_IN_95_PERCENT, LEAST_SIGMA_M), LARGEST_SIGMA_M)
        by_kind = self._settings.sigma_by_kind_m
        known = by_kind.get(position_kind) if position_kind is not None else None
        return math.sqrt(self._scale) * (self._settings.default_sigma_m if known is None else known)

    def learn(self, innovation: float) -> None:
        """Take in how far, in χ², a filter's prediction was from a position whose record did not say."""
        self._learned += 1
        rate = max(LEARNING_RATE, FIRST_RATE / (1.0 + self._learned * FIRST_RATE))
        scale = self._scale * (1.0 + rate if innovation > MEDIAN_CHI2 else 1.0 - rate)
        self._scale = min(LARGEST_SCALE, max(SMALLEST_SCALE, scale))
