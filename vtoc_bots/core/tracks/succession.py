"""Which ended number of a source a new number of it continues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vtoc_bots.core.tracks.gate import position_chi2
from vtoc_bots.core.tracks.identity import Identity
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.rhythm import Rhythm

LONGEST_GAP_REPORTS: Final = 3
"""A number that has missed more reports than this when a new one begins is not continued by it."""
ENDED_REPORTS, LONGEST_SEARCH_REPORTS = 2, 6
"""A number that has missed so many reports has ended; and after so many of its own a new one continues none."""
ENDED_IN_STEP_REPORTS, LONGEST_SEARCH_IN_STEP_REPORTS = 1, 3
"""The same of a regular source, where a new number that is in step with an ended one is already a second sign."""
CONTINUED_CHI2: Final = 13.816
"""χ² 0.999 with two degrees of freedom, of the first position against where the ended number should be."""


def forerunners(
    guest: Identity, sigma_m: float, report: Report, nearby: Iterable[Identity], rhythm: Rhythm
) -> dict[Identity, None]:
    """The numbers of the same source that may have ended just before this one's first report, about where it is.

    Where the source is regular, as a radar is, only those that were due when it came.
    """
    found: dict[Identity, None] = {}
    for other in nearby:
        if other is guest or other.rivalry != guest.rivalry or other.forced or other.successor is not None:
            continue
        if other.t >= report.t or other.evidence.overdue(report.t) > LONGEST_GAP_REPORTS:
            continue
        if not rhythm.in_step(report.t - other.t):
            continue
        if position_chi2(other.members[0], sigma_m, report) <= CONTINUED_CHI2:
            found[other] = None
    return found


def forerunner(guest: Identity, rhythm: Rhythm) -> Identity | None:
    """The one number that this one must be the continuation of, if by now there is only one, which only it claims.

    Those that report again have not ended. A number that began together with a candidate which no other number claims
    may be the first of a new entity. Where one target's track is cut into pieces, joining them is known as
    tracklet stitching; the idea is old, and is used here in its plainest form.
    """
    missed, longest = ENDED_REPORTS, LONGEST_SEARCH_REPORTS
    if rhythm.regular():
        missed, longest = ENDED_IN_STEP_REPORTS, LONGEST_SEARCH_IN_STEP_REPORTS
    if guest.evidence.reports > longest:
        guest.claim(())
        return None
    guest.claim([other for other in guest.forerunners if other.t < guest.began and other.successor is None])
    if len(guest.forerunners) != 1:
        return None
    (only,) = guest.forerunners
    if any(_is_unclaimed_newcomer(candidate, guest) for candidate in guest.evidence.pairs):
        return None
    ended = only.evidence.overdue(guest.evidence.t) >= missed
    return only if ended and len(only.heirs) == 1 else None


def _is_unclaimed_newcomer(candidate: Identity, guest: Identity) -> bool:
    """Whether a candidate began when this number did, and no other number of the source is merged with it."""
    return candidate.since >= guest.born and not any(other.rivalry == guest.rivalry for other in candidate.guests)
