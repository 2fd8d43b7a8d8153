"""The track merge: reports of many sources in, one track an entity out. No I/O and no clock."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from vtoc_bots.core.telemetry import TelemetryEvent
from vtoc_bots.core.tracks.identity import BY_ICAO, Identity
from vtoc_bots.core.tracks.model import Track
from vtoc_bots.core.tracks.picture import flagged_tracks, fused_tracks
from vtoc_bots.core.tracks.plausibility import usable
from vtoc_bots.core.tracks.registry import Registry
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.settings import MergeSettings
from vtoc_bots.core.tracks.source_track import ADDED, LATE, REPEATED, SourceTrack

__all__ = ["MergeSettings", "TrackMerger"]

ATTRIBUTES_ONLY: Final = "attributes_only"
BAD_VALUE: Final = "bad_value"
NO_TIME: Final = "no_time"
IMPLAUSIBLE: Final = "implausible: "
PLAIN_OUTCOMES: Final = frozenset({ADDED, LATE, REPEATED, ATTRIBUTES_ONLY, BAD_VALUE, NO_TIME})


class TrackMerger:
    """The fused picture of reports of any sources, which are added about in the order of their times.

    Source tracks with the same ICAO address, or the same id in another namespace that is not local to a source, are
    one entity. The rest are associated by where they are: see `Association`. Two ICAO addresses are never merged.
    Usable alone; not thread-safe.
    """

    def __init__(self, settings: MergeSettings | None = None) -> None:
        self._settings = settings or MergeSettings()
        self._registry = Registry(self._settings)
        self._counts: Counter[str] = Counter()
        self._newest = -math.inf

    def add(self, event: TelemetryEvent) -> None:
        """Take in one report. What can't be used is counted (see `counts`); no value of it raises.

        A report with neither event time nor arrival time can't be placed and is not used.
        """
        try:
            outcome = self._add(event)
        except (TypeError, ValueError, OverflowError):
            outcome = BAD_VALUE
        self._counts[outcome if outcome in PLAIN_OUTCOMES else IMPLAUSIBLE + outcome] += 1

    def _add(self, event: TelemetryEvent) -> str:
        at = event.event_time or event.received_at
        if at is None:
            return NO_TIME
        if at.tzinfo is None or not usable(event):
            return BAD_VALUE
        t = at.timestamp()
        registry = self._registry
        entry = registry.entries.get((event.source, event.entity_namespace, event.entity_id))
        track, identity = registry.open(event) if entry is None else entry
        if event.latitude is None or event.longitude is None:
            track.describe(event, t)
            outcome = ATTRIBUTES_ONLY
        else:
            report = Report(event, at, t, event.latitude, event.longitude)
            outcome = track.report(report)
            if outcome is ADDED and t >= track.t:
                self._moved(track, identity, report)
        if t > self._newest:
            self._advance(t)
        return outcome

    def _moved(self, track: SourceTrack, identity: Identity, report: Report) -> None:
        if identity.silent_at(report.t):
            identity.since = self._registry.association.round
        self._registry.moved(identity, report)
        if identity.rank != BY_ICAO:
            self._registry.association.propose(identity, track, report)

    def _advance(self, t: float) -> None:
        self._newest = t
        self._registry.association.advance(t)
        self._registry.forget(t)

    def tracks(self, at: datetime | None = None) -> list[Track]:
        """The picture at a time (default: of the newest report), in order of `track_id`.

        A track shows until `show_seconds` after its last position. Tracks with `flags` are implausible reports, each
        by itself. Raises ValueError if `at` is naive.
        """
        self._registry.association.close_round()
        if at is None:
            t = self._newest
        elif at.tzinfo is None:
            raise ValueError("tracks: the picture's time must be aware, as in datetime.now(UTC)")
        else:
            t = at.timestamp()
        found = list(fused_tracks(self._registry.identities.values(), t, self._settings))
        found += flagged_tracks(self._registry.entries.values(), t, self._settings)
        found.sort(key=lambda track: track.track_id)
        return found

    def newest(self) -> datetime | None:
        """The event time of the newest report, or None before the first."""
        return None if self._newest == -math.inf else datetime.fromtimestamp(self._newest, UTC)

    def counts(self) -> dict[str, int]:
        """How many reports were added, dropped (by reason) and flagged, and how many merges were made and undone."""
        return dict(sorted((self._counts + self._registry.association.counts).items()))

    def join(self, track_a: str, track_b: str) -> None:
        """Hold two tracks to be one entity until it is undone. Names are `track_id`s or see `identity_key`.

        Raises UsageError if that would merge two different ICAO addresses.
        """
        self._registry.join(track_a, track_b)

    def split(self, track_a: str, track_b: str) -> None:
        """Hold two tracks to be different entities until it is undone.

        Two sources' tracks of one identity are named ``roof/icao:3c6444`` and ``hill/icao:3c6444``; the second gets a
        track of its own. Raises UsageError if the two are still joined through a third.
        """
        self._registry.split(track_a, track_b)

    def undo(self, track_a: str, track_b: str) -> bool:
        """Forget what was decided by hand of two tracks. False if nothing was."""
        return self._registry.undo(track_a, track_b)
