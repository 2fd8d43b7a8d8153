"""Which candidate each identity is most likely the same entity as, all together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from vtoc_bots.core.tracks.identity import BY_ICAO, Identity

IMPOSSIBLE: Final = 1e6
MAX_ROWS: Final = 40
"""A crowd larger than this is cut: the rivals found first, which share a candidate with the guest, stay."""
OVERDUE_COSTS: Final = (0.0, 4.0, 0.0)
"""What it costs to believe that an identity's number has ended, by how many reports it missed. After that, nothing."""


class Verdict(NamedTuple):
    """The outcome for one identity."""

    candidate: Identity | None
    """None where being an entity of its own explains its reports best."""
    margin: float
    """χ² by which the best assignment is ahead of the best one without this pair."""


def judge(guest: Identity, reporting: frozenset[Identity], incumbent_bonus: float) -> Verdict:
    """Assign `guest`, together with every rival that wants one of the same candidates, at least total cost.

    `reporting` are the identities with a report in this round. A standing merge is favoured by `incumbent_bonus`.
    """
    rivals, candidates = _crowd(guest, reporting)
    if not candidates:
        return Verdict(None, 0.0)
    if len(rivals) == 1:
        return _judge_alone(guest, candidates, incumbent_bonus)
    costs = _cost_matrix(rivals, candidates, guest, reporting, incumbent_bonus)
    rows, columns = linear_sum_assignment(costs)
    chosen = int(columns[0])
    if chosen >= len(candidates):
        return Verdict(None, 0.0)
    best = costs[rows, columns].sum()
    costs[0, chosen] = IMPOSSIBLE
    rows, columns = linear_sum_assignment(costs)
    return Verdict(candidates[chosen], float(costs[rows, columns].sum() - best))


def _judge_alone(guest: Identity, candidates: Sequence[Identity], bonus: float) -> Verdict:
    best, least, second = None, guest.evidence.alone, IMPOSSIBLE
    for candidate in candidates:
        cost = _cost(guest, candidate, bonus)
        if cost < least:
            best, least, second = candidate, cost, least
        elif cost < second:
            second = cost
    return Verdict(best, second - least)


def _cost(guest: Identity, candidate: Identity, bonus: float) -> float:
    pair = guest.evidence.pairs.get(candidate)
    if pair is None:
        return IMPOSSIBLE
    return pair.total - bonus if guest.host is candidate else pair.total


def _overdue(rival: Identity, now: float, reporting: frozenset[Identity]) -> int:
    return 0 if rival in reporting else rival.evidence.overdue(now)


def _crowd(guest: Identity, reporting: frozenset[Identity]) -> tuple[list[Identity], list[Identity]]:
    """The guest and its live rivals, linked by the candidates they share, and those candidates."""
    now, rivalry = guest.evidence.t, guest.rivalry
    rivals: dict[Identity, None] = {guest: None}
    candidates: dict[Identity, None] = {}
    queue = [guest]
    while queue:
        for candidate in queue.pop().evidence.pairs:
            if candidate in candidates or _stands_for_another(candidate, guest):
                continue
            candidates[candidate] = None
            for rival in candidate.suitors:
                if (
                    rival in rivals
                    or rival.successor is not None
                    or rival.rivalry != rivalry
                    or len(rivals) >= MAX_ROWS
                ):
                    continue
                if _overdue(rival, now, reporting) < len(OVERDUE_COSTS):
                    rivals[rival] = None
                    queue.append(rival)
    return list(rivals), list(candidates)


def _stands_for_another(candidate: Identity, guest: Identity) -> bool:
    """Whether a candidate is itself most likely one of the guest's other candidates, and so no rival to it."""
    if candidate.host is not None:
        return guest.host is not candidate
    return candidate.rank != BY_ICAO and candidate.evidence.favourite() in guest.evidence.pairs


def _cost_matrix(
    rivals: Sequence[Identity],
    candidates: Sequence[Identity],
    guest: Identity,
    reporting: frozenset[Identity],
    bonus: float,
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """A row for each rival; a column for each candidate, and one each for the rival's being alone."""
    costs = np.full((len(rivals), len(candidates) + len(rivals)), IMPOSSIBLE)
    for row, rival in enumerate(rivals):
        total = [_cost(rival, candidate, bonus) for candidate in candidates]
        costs[row, : len(candidates)] = total
        alone = rival.evidence.alone
        missed = _overdue(rival, guest.evidence.t, reporting)
        if missed and rival is not guest:
            alone = min(alone, min(total) + OVERDUE_COSTS[missed])
        costs[row, len(candidates) + row] = alone
    return costs
