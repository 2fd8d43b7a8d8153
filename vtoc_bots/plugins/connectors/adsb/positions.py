"""What is remembered of each aircraft between its Mode S frames, to resolve its compact positions."""

from __future__ import annotations

from typing import Final, NamedTuple

from vtoc_bots import Rejected, distance_m
from vtoc_bots.plugins.connectors.adsb.cpr import (
    Half,
    Position,
    airborne_position,
    local_position,
    surface_position,
)

_TICKS_A_SECOND: Final = 12e6
_AIRBORNE_PAIR_SECONDS: Final = 10.0
_SURFACE_PAIR_SECONDS: Final = 50.0
_LOCAL_SECONDS: Final = 600.0
"""In ten minutes nothing flies half a zone (180 NM), nor drives half a surface zone (45 NM)."""
_AIRBORNE_MPS: Final = 700.0
_SURFACE_MPS: Final = 130.0
_SLACK_M: Final = 2_000.0
_STRIKES: Final = 3
"""So many implausible positions in a row mean that the earlier ones were wrong."""
_AGREE_M: Final = 1_000.0


class Stamp(NamedTuple):
    """When a frame came: its time of receipt as seconds since 1970 and the receiver's 12 MHz ticks, where known."""

    received: float | None
    ticks: int | None


def seconds_between(earlier: Stamp, later: Stamp) -> float | None:
    """By the times of receipt when they differ, else (one chunk, a file) by the receiver's counter; None if unknown."""
    if earlier.received is not None and later.received is not None and earlier.received != later.received:
        return abs(later.received - earlier.received)
    if earlier.ticks is not None and later.ticks is not None:
        return abs(later.ticks - earlier.ticks) / _TICKS_A_SECOND
    return None


class _Fix(NamedTuple):
    position: Position
    stamp: Stamp
    surface: bool


class Receiver(NamedTuple):
    """Where the antenna is; `exact` unless it is only assumed to stand where the station does."""

    position: Position
    exact: bool


class Aircraft:
    """One aircraft: its last even and odd halves, airborne and on the surface, its last good position, its accuracy."""

    __slots__ = ("_halves", "_last", "_strikes", "nac_p", "seen")

    def __init__(self, seen: Stamp) -> None:
        self.seen = seen
        self.nac_p: int | None = None
        self._halves: dict[tuple[bool, bool], tuple[Half, Stamp]] = {}
        self._last: _Fix | None = None
        self._strikes = 0

    def locate(
        self, half: Half, odd: bool, surface: bool, stamp: Stamp, receiver: Receiver | None
    ) -> Position | Rejected | None:
        """This frame's position; None while it can't be known; Rejected("implausible") when it contradicts the last."""
        self._halves[surface, odd] = (half, stamp)
        paired = self._paired(odd, surface, receiver)
        since = None if self._last is None else seconds_between(self._last.stamp, stamp)
        chained = None
        if self._last is not None and (since is None or since <= _LOCAL_SECONDS):
            chained = local_position(half, odd, surface, self._last.position)
        position = paired or chained
        if since is None and paired is not None and chained is not None:
            position = self._reconciled(paired, chained)
        if position is None:
            # Nothing on the ground is heard from 45 NM away; but one frame alone proves nothing about the next.
            if not surface or receiver is None or not receiver.exact:
                return None
            return local_position(half, odd, True, receiver.position)
        if self._is_implausible(position, surface, since):
            self._strikes += 1
            if self._strikes < _STRIKES or paired is None:
                return Rejected("implausible", f"{position[0]:.4f}, {position[1]:.4f}")
        if since is not None:
            self._strikes = 0
        self._last = _Fix(position, stamp, surface)
        return position

    def _paired(self, odd: bool, surface: bool, receiver: Receiver | None) -> Position | None:
        even_half, odd_half = self._halves.get((surface, False)), self._halves.get((surface, True))
        if even_half is None or odd_half is None:
            return None
        apart = seconds_between(even_half[1], odd_half[1])
        if apart is not None and apart > (_SURFACE_PAIR_SECONDS if surface else _AIRBORNE_PAIR_SECONDS):
            return None
        if not surface:
            return airborne_position(even_half[0], odd_half[0], odd)
        near = self._last or receiver
        return None if near is None else surface_position(even_half[0], odd_half[0], odd, near.position)

    def _reconciled(self, paired: Position, chained: Position) -> Position:
        """Without times a pair may be of two different minutes: the chain of positions holds until it is outvoted."""
        if distance_m(*paired, *chained) <= _AGREE_M:
            self._strikes = 0
            return chained
        self._strikes += 1
        if self._strikes < _STRIKES:
            return chained
        self._strikes = 0
        return paired

    def _is_implausible(self, position: Position, surface: bool, since: float | None) -> bool:
        if self._last is None or since is None:
            return False
        speed = _SURFACE_MPS if surface and self._last.surface else _AIRBORNE_MPS
        return distance_m(*self._last.position, *position) > _SLACK_M + speed * since
