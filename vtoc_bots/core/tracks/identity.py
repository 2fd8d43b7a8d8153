"""An identity: the source tracks that name the same entity, and what it is merged with."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

from vtoc_bots.core.tracks.evidence import FIRST_INTERVAL_SECONDS, INTERVAL_GROWTH, Evidence
from vtoc_bots.core.tracks.grid import Cell
from vtoc_bots.core.tracks.model import TrackPoint
from vtoc_bots.core.tracks.plausibility import AIRBORNE_MMSI
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.settings import MergeSettings
from vtoc_bots.core.tracks.source_track import SourceTrack

BY_ICAO, BY_GLOBAL_ID, BY_LOCAL_NUMBER = 0, 1, 2
"""Ranks: who is guest of whom when two identities are the same entity."""
LEAST_SILENCE_SECONDS: Final = 20.0
SILENT_INTERVALS: Final = 3.0
VAGUE_SIGMA_M: Final = 300.0
MANOEUVRE_MPS2, STANDING_MANOEUVRE_MPS2 = 1.5, 0.3
"""What an entity may do unseen after its last report."""


def identity_key(source: str, namespace: str, entity_id: str, settings: MergeSettings) -> str:
    """The name of an identity: an ICAO address plain, ``mmsi:211234567``, or ``source/track:17`` for a local number."""
    if namespace == "icao":
        return entity_id
    if namespace in settings.global_namespaces:
        return f"{namespace}:{entity_id}"
    return source_key(source, namespace, entity_id)


def source_key(source: str, namespace: str, entity_id: str) -> str:
    """The name of one source's track of an entity, e.g. ``roof/icao:3c6444``."""
    return f"{source}/{namespace}:{entity_id}"


def parsed_key(key: str, settings: MergeSettings) -> tuple[str, str | None]:
    """An identity's key and, where `key` names one source's track of it, that track's own key.

    ``icao:3c6444`` is ``3c6444``; ``roof/icao:3c6444`` is the source ``roof``'s track of it.
    """
    head, colon, entity_id = key.partition(":")
    source, slash, namespace = head.rpartition("/")
    if not colon:
        return key, None
    identity = identity_key(source, namespace, entity_id, settings)
    return identity, key if slash and identity != key else None


def address_in(key: str) -> str | None:
    """The ICAO address in an identity's key or a source track's key, or None."""
    head, colon, entity_id = key.partition(":")
    if not colon:
        return key
    return entity_id if head.rpartition("/")[2] == "icao" else None


class Identity:
    """Source tracks with one identity. It is merged with its `host`, and its `guests` with it."""

    __slots__ = (
        "_trail_cache",
        "_trail_t",
        "began",
        "born",
        "candidate",
        "cell",
        "challenger",
        "entity_id",
        "evidence",
        "forced",
        "forerunner",
        "forerunners",
        "guests",
        "heirs",
        "hits",
        "host",
        "how",
        "interval",
        "key",
        "latitude",
        "longitude",
        "members",
        "misses",
        "named",
        "namespace",
        "order",
        "rank",
        "rivalry",
        "ship",
        "since",
        "successor",
        "suitors",
        "t",
        "trail",
        "wins",
    )

    def __init__(self, key: str, first: SourceTrack, serial: int, settings: MergeSettings) -> None:
        namespace = first.namespace
        self.key = key
        self.namespace = namespace
        self.entity_id = first.entity_id
        if namespace == "icao":
            self.rank = BY_ICAO
        else:
            self.rank = BY_GLOBAL_ID if namespace in settings.global_namespaces else BY_LOCAL_NUMBER
        self.order = (self.rank, serial)
        """Of two identities of one entity the lower is the host."""
        self.rivalry = f"{first.source}/{namespace}" if self.rank == BY_LOCAL_NUMBER else namespace
        """Two identities of the same rivalry are never one entity at one time."""
        self.ship = namespace == "mmsi" and not first.entity_id.startswith(AIRBORNE_MMSI)
        self.named = self.rank == BY_GLOBAL_ID
        self.members: list[SourceTrack] = []
        self.t = -math.inf
        self.latitude = self.longitude = 0.0
        self.interval = FIRST_INTERVAL_SECONDS
        """About how many seconds lie between two of its reports."""
        self.cell: Cell | None = None
        self.since = 0
        """The round after which this identity began to report without a long gap."""
        self.trail: deque[TrackPoint] = deque()
        self._trail_t = -math.inf
        self._trail_cache: tuple[TrackPoint, ...] | None = ()
        self.host: Identity | None = None
        self.guests: dict[Identity, None] = {}
        self.suitors: dict[Identity, None] = {}
        """Identities that have this one among the candidates of their evidence."""
        self.forced = False
        self.how = ""
        self.evidence = Evidence(self)
        self.candidate: Identity | None = None
        self.hits = self.misses = self.wins = 0
        self.challenger: Identity | None = None
        self.began = math.inf
        """Time of the first report that was compared with others."""
        self.born = 0
        """The first round in which another identity may have begun because of the same entity."""
        self.forerunners: dict[Identity, None] = {}
        """Ended numbers of the same source, one of which this one may continue."""
        self.heirs: dict[Identity, None] = {}
        """New numbers of the same source that have this one among their forerunners."""
        self.forerunner: Identity | None = None
        """The ended number that this one continues."""
        self.successor: Identity | None = None
        """The number that continues this one, which has ended."""

    def claim(self, numbers: Iterable[Identity]) -> None:
        """Name the ended numbers that this one may continue, instead of those named before."""
        for number in self.forerunners:
            number.heirs.pop(self, None)
        self.forerunners = dict.fromkeys(numbers)
        for number in self.forerunners:
            number.heirs[self] = None

    def root(self) -> Identity:
        """The identity that this one is merged with in the end, or itself."""
        here = self
        while here.host is not None:
            here = here.host
        return here

    def moved(self, report: Report, settings: MergeSettings) -> None:
        """Take note of a member's new newest position."""
        if report.t < self.t:
            return
        if report.t > self.t:
            self.interval = min(report.t - self.t, INTERVAL_GROWTH * self.interval)
        self.t, self.latitude, self.longitude = report.t, report.latitude, report.longitude
        if report.t - self._trail_t < settings.trail_step_seconds:
            return
        self._trail_t = report.t
        self._trail_cache = None
        event = report.event
        self.trail.append(TrackPoint(report.at, report.latitude, report.longitude, event.altitude_m, event.source))
        while len(self.trail) > 1 and (report.at - self.trail[0].at).total_seconds() > settings.trail_seconds:
            self.trail.popleft()

    def silent_at(self, t: float) -> bool:
        """Whether it should have reported again by `t`."""
        return t - self.t > max(LEAST_SILENCE_SECONDS, SILENT_INTERVALS * self.interval)

    def points(self) -> tuple[TrackPoint, ...]:
        """The trail, oldest first."""
        if self._trail_cache is None:
            self._trail_cache = tuple(self.trail)
        return self._trail_cache

    def state_at(self, t: float, reach_seconds: float) -> tuple[SourceTrack, float] | None:
        """The source track that knows best where the entity is at `t`, and its variance along each axis there.

        None where every report is more than `reach_seconds` away or the extrapolation is too vague to compare with.
        """
        best, least = None, VAGUE_SIGMA_M**2
        for member in self.members:
            state = member.filter
            if state is None or not -reach_seconds <= t - state.t <= reach_seconds:
                continue
            dt = t - state.t
            turn = MANOEUVRE_MPS2 if state.vx**2 + state.vy**2 > 25.0 else STANDING_MANOEUVRE_MPS2
            variance = state.variance_at(t) + (0.5 * turn * dt * dt) ** 2
            if variance < least or (best is None and variance < 4.0 * member.sigma_m**2):
                best, least = member, variance
        return None if best is None else (best, least)
