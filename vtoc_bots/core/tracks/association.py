"""The rounds in which identities are merged with, kept with, switched between and parted from others."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

from vtoc_bots.core.tracks.assignment import judge
from vtoc_bots.core.tracks.evidence import NEVER
from vtoc_bots.core.tracks.gate import compare
from vtoc_bots.core.tracks.grid import SpatialHash
from vtoc_bots.core.tracks.identity import BY_GLOBAL_ID, BY_ICAO, BY_LOCAL_NUMBER, Identity
from vtoc_bots.core.tracks.manual import Decisions
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.rhythm import Rhythm
from vtoc_bots.core.tracks.settings import MergeSettings
from vtoc_bots.core.tracks.source_track import SourceTrack
from vtoc_bots.core.tracks.succession import forerunner, forerunners

FASTEST_EXPECTED_MPS: Final = 350.0
SEARCH_SIGMAS: Final = 6.0
SEARCH_SLACK_M: Final = 1_000.0
NEWCOMER_INTERVALS: Final = 1.5
"""Who began to report at most so many of a source's intervals before a new number may be what that number is of."""
LARGEST_SIGMA_M: Final = 2_500.0
"""A position vaguer than this names no neighbour."""


class Association:
    """Decides, at each report of an identity without an ICAO address, which other identity it is the same entity as.

    The rules: candidates are inside the gate; all rivals are assigned together; a winner is merged at once if its
    margin exceeds `accept_margin`, else after `accept_hits` hits; a merge is kept through `keep_misses` misses and
    switched only after an alternative won `switch_wins` times.
    """

    def __init__(self, grid: SpatialHash[Identity], decisions: Decisions, settings: MergeSettings) -> None:
        self._grid = grid
        self._decisions = decisions
        self._settings = settings
        self._pending: dict[Identity, tuple[SourceTrack, Report]] = {}
        self._newest = -math.inf
        self._round_ends = -math.inf
        self.round = 0
        """How many rounds have been closed."""
        self.counts: Counter[str] = Counter()
        self._rhythms: defaultdict[str, Rhythm] = defaultdict(Rhythm)
        """Of each source of numbers, or of each namespace of names: see `Identity.rivalry`."""

    def advance(self, t: float) -> None:
        """Take note that time has come to `t`, which closes a round that has lasted `round_seconds`."""
        self._newest = t
        if t >= self._round_ends:
            self._round_ends = t + self._settings.round_seconds
            self.close_round()

    def propose(self, guest: Identity, member: SourceTrack, report: Report) -> None:
        """Put a report into the present round; a guest that reports again closes it first."""
        waiting = self._pending.get(guest)
        if waiting is not None and report.t - waiting[1].t >= self._settings.round_seconds:
            self.close_round()
        if guest.successor is not None:
            self._disown(guest, guest.successor)
        self._pending[guest] = (member, report)

    def close_round(self) -> None:
        """Weigh every report of the round, then decide."""
        self.round += 1
        if not self._pending:
            return
        pending, self._pending = self._pending, {}
        reporting = frozenset(pending)
        weighed = [guest for guest, proposal in pending.items() if self._weigh(guest, *proposal)]
        # Only now is it known who else claims to continue an ended number.
        for guest in weighed:
            self._trace(guest)
        for guest in weighed:
            self._decide(guest, reporting)

    def forget(self, identity: Identity) -> None:
        """Take an identity that reports no more out of every merge."""
        self._pending.pop(identity, None)
        for guest in list(identity.guests):
            self.part(guest)
        for suitor in list(identity.suitors):
            suitor.evidence.drop(identity)
        self.part(identity)
        if identity.successor is not None:
            identity.successor.forerunner = None
            identity.successor = None

    def attach(self, guest: Identity, host: Identity, how: str) -> None:
        """Merge a guest, with its own guests, with a host."""
        if guest.host is not None:
            guest.host.guests.pop(guest, None)
        # What was joined by hand stays with the guest, so that it goes where the guest goes.
        followers = [follower for follower in guest.guests if not follower.forced]
        for follower in followers:
            del guest.guests[follower]
        for newcomer in (guest, *followers):
            for rival in [other for other in host.guests if other.rivalry == newcomer.rivalry and not other.forced]:
                # One source has one live number for an entity; one that has ended stays until it expires.
                if rival is not newcomer and not rival.evidence.overdue(newcomer.evidence.t):
                    self.part(rival)
            newcomer.host = host
            host.guests[newcomer] = None
        for follower in followers:
            follower.evidence.rename(guest, host)
        guest.how = how
        guest.hits = guest.misses = guest.wins = 0
        guest.candidate = guest.challenger = None

    def part(self, guest: Identity) -> None:
        """Undo a merge and what led to it."""
        if guest.host is not None:
            guest.host.guests.pop(guest, None)
        guest.host, guest.how, guest.forced = None, "", False
        guest.hits = guest.misses = guest.wins = 0
        guest.candidate = guest.challenger = None
        guest.evidence.forget()
        guest.claim(())
        if guest.forerunner is not None:
            guest.forerunner.successor = None
            guest.forerunner = None

    def _weigh(self, guest: Identity, member: SourceTrack, report: Report) -> bool:
        """Compare a report with every candidate. False where it is too old or too vague to say anything."""
        evidence, t = guest.evidence, report.t
        state = member.filter
        if guest.forced or t <= evidence.t or state is None or member.sigma_m > LARGEST_SIGMA_M:
            return False
        rhythm = self._rhythms[guest.rivalry]
        if t - evidence.t > self._settings.shown_for(guest.namespace):
            evidence.forget()
            evidence.interval, guest.began = rhythm.interval, math.inf
        elif evidence.reports:
            rhythm.learn(t - evidence.t)
        variance_ratio = state.innovation_variance / member.sigma_m**2
        evidence.begin(t, state.innovation, variance_ratio, report.event.altitude_m is not None)
        unseen = dict.fromkeys(evidence.pairs)
        reach = self._settings.extrapolate_seconds
        for candidate in self._candidates(guest, member, report):
            best = candidate.state_at(t, reach)
            if best is None:
                if candidate in unseen:
                    del unseen[candidate]
                    evidence.pass_over(candidate)
                continue
            unseen.pop(candidate, None)
            evidence.observe(candidate, compare(report, member, best[0], best[1], self._settings))
        for candidate in unseen:
            if candidate.host is None:
                evidence.miss(candidate)
            else:
                evidence.drop(candidate)
        evidence.settle()
        if guest.rank == BY_LOCAL_NUMBER and guest.began == math.inf:
            guest.began = t
            guest.born = self.round - math.ceil(NEWCOMER_INTERVALS * rhythm.interval / self._settings.round_seconds)
            guest.claim(forerunners(guest, member.sigma_m, report, self._near(member, report), rhythm))
        evidence.round = self.round if self._newest - t <= reach else NEVER
        return True

    def _trace(self, guest: Identity) -> None:
        """Find out whether a new number continues one that has ended, and take over what was known of that."""
        if not guest.forerunners:
            return
        before = forerunner(guest, self._rhythms[guest.rivalry])
        if before is not None:
            guest.claim(())
            guest.forerunner, before.successor = before, guest
            guest.evidence.inherit(before.evidence)
            self.counts["continued"] += 1

    def _disown(self, guest: Identity, successor: Identity) -> None:
        """A number reports again: it has not ended, so the other does not continue it. What was joined stays so."""
        if not successor.forced:
            self.part(successor)
        successor.forerunner = guest.successor = None

    def _near(self, member: SourceTrack, report: Report) -> Iterable[Identity]:
        reach = self._settings.extrapolate_seconds * FASTEST_EXPECTED_MPS
        radius = SEARCH_SIGMAS * member.sigma_m + SEARCH_SLACK_M + reach
        return self._grid.near(report.latitude, report.longitude, radius)

    def _candidates(self, guest: Identity, member: SourceTrack, report: Report) -> Iterable[Identity]:
        for candidate in self._near(member, report):
            if candidate.order < guest.order and candidate.host is None and self.compatible(guest, candidate):
                yield candidate

    def compatible(self, guest: Identity, host: Identity) -> bool:
        """Whether these two may be one entity whatever their positions say."""
        if host.rivalry == guest.rivalry or (guest.ship and host.rank == BY_ICAO):
            return False
        if guest.rank == BY_GLOBAL_ID:
            for other in host.guests:
                if other.rivalry == guest.rivalry and other is not guest:
                    return False
        return not self._decisions.forbids(guest, host)

    def _decide(self, guest: Identity, reporting: frozenset[Identity]) -> None:
        candidate, margin = judge(guest, reporting, self._settings.keep_margin)
        if candidate is not None and not guest.evidence.pairs[candidate].latest.inside:
            candidate = None
        if guest.host is not None:
            self._keep(guest, guest.host, candidate)
        else:
            self._court(guest, candidate, margin)

    def _court(self, guest: Identity, candidate: Identity | None, margin: float) -> None:
        settings = self._settings
        if candidate is None or candidate is not guest.candidate:
            guest.candidate, guest.hits = candidate, 0
        if candidate is None:
            return
        if guest.forerunner is not None and guest.forerunner.host is candidate:
            self.attach(guest, candidate, f"continues {guest.forerunner.key}")
            self.counts["merged_as_before"] += 1
        elif margin > settings.accept_margin:
            self.attach(guest, candidate, "merged at once")
            self.counts["merged_at_once"] += 1
        elif margin >= settings.hit_margin:
            guest.hits += 1
            if guest.hits >= settings.accept_hits:
                self.attach(guest, candidate, f"merged after {guest.hits} hits")
                self.counts["merged_after_hits"] += 1
        else:
            guest.hits = 0

    def _keep(self, guest: Identity, host: Identity, candidate: Identity | None) -> None:
        settings = self._settings
        if guest.evidence.t - host.t > settings.shown_for(host.namespace):
            self.part(guest)
            return
        if host.state_at(guest.evidence.t, settings.extrapolate_seconds) is None:
            return
        if candidate is host:
            guest.hits += 1
            guest.misses = guest.wins = 0
            guest.challenger = None
            return
        guest.misses += 1
        if candidate is not None:
            guest.wins = guest.wins + 1 if guest.challenger is candidate else 1
            guest.challenger = candidate
            if guest.wins >= settings.switch_wins:
                self.attach(guest, candidate, f"switched after {guest.wins} wins")
                self.counts["switched"] += 1
                return
        if guest.misses > settings.keep_misses:
            self.part(guest)
            self.counts["parted_after_misses"] += 1
