"""How good a reported position is: what the record says, else its kind corrected by what the source shows."""

from __future__ import annotations

import math
from typing import Final

from vtoc_bots.core.tracks.settings import MergeSettings

SIGMAS_IN_95_PERCENT: Final = math.sqrt(-2.0 * math.log(0.05))
"""Radius of the circle that holds 95 % of a two-dimensional normal distribution, in standard deviations."""
LEAST_SIGMA_M: Final = 5.0
LEARNING_RATE: Final = 0.02
LARGEST_SURPRISE: Final = 5.0
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 25.0


class SourceNoise:
    """Standard deviations of one source's positions. Learns a scale for those whose record does not say."""

    __slots__ = ("_scale", "_settings")

    def __init__(self, settings: MergeSettings) -> None:
        self._settings = settings
        self._scale = 1.0

    def sigma_m(self, accuracy_m: float | None, position_kind: str | None) -> float:
        """Standard deviation along each axis, metres. `accuracy_m` is a 95 % containment radius."""
        if accuracy_m is not None and accuracy_m > 0.0:
            return max(accuracy_m / SIGMAS_IN_95_PERCENT, LEAST_SIGMA_M)
        by_kind = self._settings.sigma_by_kind_m
        known = by_kind.get(position_kind) if position_kind is not None else None
        return math.sqrt(self._scale) * (self._settings.default_sigma_m if known is None else known)

    def learn(self, innovation: float) -> None:
        """Take in a filter's χ² (two degrees of freedom, so 2 on average) of a position whose record did not say."""
        surprise = min(innovation / 2.0, LARGEST_SURPRISE)
        scale = self._scale * (1.0 + LEARNING_RATE * (surprise - 1.0))
        self._scale = min(LARGEST_SCALE, max(SMALLEST_SCALE, scale))
