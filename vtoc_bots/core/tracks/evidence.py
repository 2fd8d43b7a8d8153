"""What speaks for an identity being the same entity as each candidate, and what for its being one of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from vtoc_bots.core.tracks.identity import Identity

CHANCE_COST: Final = 15.0
"""What it costs to believe that an entity nobody else sees is by chance where another one is."""
NAMED_CHANCE_COST: Final = 5.0
"""The same of an entity with a name of its own and no altitude: a fixed station under an airway."""
ALTITUDE_CHANCE_COST: Final = 8.0
"""The same of its altitude."""
NEW_CANDIDATE_COST: Final = 15.0
"""What it costs to believe that the others began to see an entity so much later."""
ABSENCE_COST: Final = 3.0
"""Of each report that finds a candidate silent which reported before, the first `MOST_ABSENCES` times."""
MOST_ABSENCES: Final = 5
OUTSIDE_COST: Final = 15.0
"""Of one report outside the gate."""
MEMORY: Final = 30.0
"""No explanation falls further behind the best, so that each can come back when things change."""
LARGEST_OWN_COST: Final = 15.0
LARGEST_INHERITANCE: Final = 7.0
"""No more than this is taken over from an ended number: in a crowd one of thirty new ones is another entity."""
NEVER: Final = -1
FIRST_INTERVAL_SECONDS: Final = 12.0
INTERVAL_GROWTH: Final = 1.1
LONGEST_INTERVAL_SECONDS: Final = 60.0


class Comparison(NamedTuple):
    """One report held against one candidate."""

    inside: bool
    """Whether it is inside the gate."""
    chi2: float
    metres: float
    cost: float
    """-2 ln of its likelihood, as against a report exactly where and as sharp as the reporting source's own."""


class Pair:
    """The evidence for one candidate."""

    __slots__ = ("absences", "latest", "total")

    def __init__(self, total: float, latest: Comparison) -> None:
        self.total = total
        self.latest = latest
        self.absences = 0
        """How many reports in a row were made while it was silent."""


class Evidence:
    """Sums of costs (-2 ln likelihood) over an identity's reports, one for each explanation.

    The explanations are its `pairs` and being `alone`: an entity nobody else sees, whose reports its own filter
    predicts. A difference of two sums is the margin of one over the other, in χ². Sequential hypothesis tests of
    this kind are Wald's; the costs are the score functions of track-oriented multiple-hypothesis tracking
    (Blackman and Popoli, Design and Analysis of Modern Tracking Systems, chapter 6).
    """

    __slots__ = ("_behind", "_owner", "_prior", "alone", "interval", "own_cost", "pairs", "reports", "round", "t")

    def __init__(self, owner: Identity) -> None:
        self._owner = owner
        self.pairs: dict[Identity, Pair] = {}
        self.t = -math.inf
        """Time of the newest report."""
        self.interval = FIRST_INTERVAL_SECONDS
        """About how many seconds lie between two of the reports."""
        self._reset()

    def _reset(self) -> None:
        self._prior = 0.0
        self._behind = 0.0
        self.alone = 0.0
        self.own_cost = 0.0
        self.reports = 0
        self.round = NEVER
        """The round in which the newest report was compared with what the others knew of its time, or `NEVER`."""

    def forget(self) -> None:
        """Begin anew: what was known of the candidates is no longer true."""
        for candidate in self.pairs:
            candidate.suitors.pop(self._owner, None)
        self.pairs.clear()
        self._reset()

    def begin(self, t: float, innovation: float, variance_ratio: float, has_altitude: bool) -> None:
        """Take in a new report: how far (χ²) it was from what its own filter predicted, and how vague that was.

        `variance_ratio` is the innovation's variance over the report's own.
        """
        if 0.0 < t - self.t < LONGEST_INTERVAL_SECONDS:
            self.interval = min(t - self.t, INTERVAL_GROWTH * self.interval)
        self.t = t
        self.reports += 1
        if self.reports == 1:
            self._prior = self._chance_cost(has_altitude)
            self.alone = self._prior
            self._behind = MEMORY
            self.own_cost = 0.0
            return
        best = min((pair.total for pair in self.pairs.values()), default=self.alone)
        self._behind = min(best, self.alone) + MEMORY
        self.own_cost = min(innovation + 2.0 * math.log(variance_ratio), LARGEST_OWN_COST)
        self.alone += self.own_cost

    def observe(self, candidate: Identity, seen: Comparison) -> None:
        """Take in how the newest report compares with a candidate. One outside the gate is not taken up."""
        pair = self.pairs.get(candidate)
        if pair is not None:
            pair.total += min(seen.cost, OUTSIDE_COST) if seen.inside else OUTSIDE_COST
            pair.latest = seen
            pair.absences = 0
        elif seen.inside:
            self.pairs[candidate] = Pair(self._entry(candidate) + min(seen.cost, OUTSIDE_COST), seen)
            candidate.suitors[self._owner] = None

    def pass_over(self, candidate: Identity) -> None:
        """The newest report can't be compared with a candidate, which has not reported of late."""
        pair = self.pairs[candidate]
        pair.total += self.own_cost
        if candidate.silent_at(self.t) and pair.absences < MOST_ABSENCES:
            pair.total += ABSENCE_COST
            pair.absences += 1

    def miss(self, candidate: Identity) -> None:
        """The newest report is nowhere near a candidate."""
        pair = self.pairs[candidate]
        pair.total += OUTSIDE_COST
        pair.latest = pair.latest._replace(inside=False)

    def settle(self) -> None:
        """Bound how far each explanation is behind the best, and give up the candidates that are furthest behind."""
        if not self.pairs:
            return
        best = min(self.alone, min(pair.total for pair in self.pairs.values()))
        furthest = best + MEMORY
        for candidate, pair in list(self.pairs.items()):
            if pair.total < furthest:
                continue
            pair.total = furthest
            if not pair.latest.inside and candidate is not self._owner.host:
                self.drop(candidate)
        self.alone = min(self.alone, furthest)

    def drop(self, candidate: Identity) -> None:
        """Give up a candidate."""
        if self.pairs.pop(candidate, None) is not None:
            candidate.suitors.pop(self._owner, None)

    def favourite(self) -> Identity | None:
        """The candidate that explains the reports best, or None where being alone does."""
        best, least = None, self.alone
        for candidate, pair in self.pairs.items():
            if pair.total < least:
                best, least = candidate, pair.total
        return best

    def rename(self, old: Identity, new: Identity) -> None:
        """What spoke for `old` speaks for `new`, which it turned out to be."""
        pair = self.pairs.get(old)
        self.drop(old)
        if pair is not None and new not in self.pairs:
            self.pairs[new] = pair
            new.suitors[self._owner] = None

    def inherit(self, past: Evidence) -> None:
        """Take over what spoke for and against each candidate in the past, under the number this one continues."""
        least = min(past.alone, min((pair.total for pair in past.pairs.values()), default=past.alone))
        for candidate, pair in self.pairs.items():
            before = past.pairs.get(candidate)
            pair.total += LARGEST_INHERITANCE if before is None else min(before.total - least, LARGEST_INHERITANCE)
        self.alone += min(past.alone - least, LARGEST_INHERITANCE)

    def overdue(self, now: float) -> int:
        """How many reports have failed to come by `now`."""
        return int((now - self.t) / self.interval + 0.1) if now > self.t else 0

    def _chance_cost(self, has_altitude: bool) -> float:
        if has_altitude:
            return CHANCE_COST + ALTITUDE_CHANCE_COST
        return NAMED_CHANCE_COST if self._owner.named else CHANCE_COST

    def _entry(self, candidate: Identity) -> float:
        """The sum a candidate begins with: what its absence until now says."""
        if self.reports == 1:
            return 0.0
        before = self.alone - self.own_cost - self._prior
        if self.round == NEVER:
            return before
        if candidate.since < self.round:
            return min(self._behind, before + OUTSIDE_COST * (self.reports - 1))
        return min(self._behind, before + NEW_CANDIDATE_COST)
