"""Every source track and identity that is known, and what operators decided of them."""

from __future__ import annotations

import math
from typing import Final

from vtoc_bots.core.telemetry import TelemetryEvent
from vtoc_bots.core.tracks.association import Association
from vtoc_bots.core.tracks.grid import SpatialHash, cell_of
from vtoc_bots.core.tracks.identity import Identity, identity_key, parsed_key, source_key
from vtoc_bots.core.tracks.manual import Decisions
from vtoc_bots.core.tracks.noise import SourceNoise
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.settings import MergeSettings
from vtoc_bots.core.tracks.source_track import SourceTrack

BY_HAND: Final = "joined by hand"
FORGET_EVERY_SECONDS: Final = 30.0
FORGET_AFTER_SHOWN: Final = 2.0
"""A source track is forgotten when its source has gone on for so many times as long as it shows."""
FORGET_SILENT_SOURCE_SECONDS: Final = 3_600.0

SourceId = tuple[str, str, str]
Entry = tuple[SourceTrack, Identity]


class Registry:
    """Opens, moves, re-homes and forgets source tracks and their identities."""

    def __init__(self, settings: MergeSettings) -> None:
        self._settings = settings
        self.entries: dict[SourceId, Entry] = {}
        self.identities: dict[str, Identity] = {}
        self._noises: dict[str, SourceNoise] = {}
        self._newest_of: dict[str, float] = {}
        self._grid: SpatialHash[Identity] = SpatialHash()
        self._decisions = Decisions()
        self._apart: set[str] = set()
        """Keys of source tracks that were split by hand from the rest of their identity."""
        self.association = Association(self._grid, self._decisions, settings)
        self._serial = 0
        self._forget_at = -math.inf

    def open(self, event: TelemetryEvent) -> Entry:
        """Begin a source track, and its identity where no other source has named it."""
        noise = self._noises.setdefault(event.source, SourceNoise(self._settings))
        track = SourceTrack(event, noise, self._settings)
        entry = (track, self._home(track))
        self.entries[event.source, event.entity_namespace, event.entity_id] = entry
        return entry

    def moved(self, identity: Identity, report: Report) -> None:
        """Take note of a new newest position of one of an identity's source tracks."""
        identity.moved(report, self._settings)
        cell = cell_of(identity.latitude, identity.longitude)
        if cell != identity.cell:
            if identity.cell is not None:
                self._grid.remove(identity.cell, identity)
            identity.cell = cell
            self._grid.put(cell, identity)
        source = report.event.source
        if report.t > self._newest_of.get(source, -math.inf):
            self._newest_of[source] = report.t

    def forget(self, now: float) -> None:
        """Drop what has been silent for long, every `FORGET_EVERY_SECONDS` of the reports' own time."""
        if now < self._forget_at:
            return
        self._forget_at = now + FORGET_EVERY_SECONDS
        for source_id, (track, identity) in list(self.entries.items()):
            # A source that is replayed after another is measured by its own clock.
            silent = self._newest_of.get(track.source, now) - track.seen_t
            if silent > FORGET_AFTER_SHOWN * self._settings.shown_for(track.namespace) or (
                now - track.seen_t > FORGET_SILENT_SOURCE_SECONDS
            ):
                del self.entries[source_id]
                self._leave(track, identity)

    def join(self, track_a: str, track_b: str) -> None:
        """See `TrackMerger.join`."""
        a, b = self._key(track_a), self._key(track_b)
        self._decisions.join(a, b)
        self._follow_joins(a)

    def split(self, track_a: str, track_b: str) -> None:
        """See `TrackMerger.split`."""
        a, b = self._key(track_a), self._key(track_b)
        if a == b:
            of_source = parsed_key(track_b, self._settings)[1] or parsed_key(track_a, self._settings)[1]
            if of_source is not None:
                self._apart.add(of_source)
                self._rehome(of_source)
                return
        self._decisions.split(a, b)
        first, second = self.identities.get(a), self.identities.get(b)
        if first is not None and second is not None and first.root() is second.root():
            self.association.part(max(first, second, key=lambda identity: identity.order))

    def undo(self, track_a: str, track_b: str) -> bool:
        """See `TrackMerger.undo`."""
        a, b = self._key(track_a), self._key(track_b)
        undone = False
        for key in (a, b):
            if key in self._apart:
                self._apart.remove(key)
                self._rehome(key)
                undone = True
        if a == b or not self._decisions.undo(a, b):
            return undone
        for identity in list(self.identities.values()):
            # What was decided kept them from being compared, so what is known of them is out of date.
            if identity.forced or identity.key in (a, b):
                self.association.part(identity)
        for key in self._decisions.joined_keys():
            self._follow_joins(key)
        return True

    def _key(self, name: str) -> str:
        return name if name in self._apart else parsed_key(name, self._settings)[0]

    def _home(self, track: SourceTrack) -> Identity:
        """Put a source track into the identity it names."""
        own = source_key(track.source, track.namespace, track.entity_id)
        shared = identity_key(track.source, track.namespace, track.entity_id, self._settings)
        key = own if own in self._apart else shared
        identity = self.identities.get(key)
        if identity is None:
            self._serial += 1
            identity = self.identities[key] = Identity(key, track, self._serial, self._settings)
        identity.members.append(track)
        if len(identity.members) == 1:
            self._follow_joins(key)
        return identity

    def _leave(self, track: SourceTrack, identity: Identity) -> None:
        """Take a source track out of its identity, which ends with its last one."""
        identity.members.remove(track)
        if identity.members:
            return
        self.association.forget(identity)
        if identity.cell is not None:
            self._grid.remove(identity.cell, identity)
        del self.identities[identity.key]
        # What was joined through it is still joined.
        self._follow_joins(identity.key)

    def _rehome(self, own_key: str) -> None:
        """Move a source track to where it belongs after a decision."""
        for source_id, (track, identity) in list(self.entries.items()):
            if source_key(*source_id) != own_key:
                continue
            self._leave(track, identity)
            home = self._home(track)
            self.entries[source_id] = (track, home)
            if track.newest is not None:
                self.moved(home, track.newest)

    def _follow_joins(self, key: str) -> None:
        """Merge every present identity that joins make one entity with this one."""
        keys = self._decisions.joined_with(key)
        present = sorted((self.identities[k] for k in keys if k in self.identities), key=lambda i: i.order)
        for guest in present[1:]:
            if guest.root() is not present[0].root() or not guest.forced:
                self.association.attach(guest, present[0], BY_HAND)
                guest.forced = True
