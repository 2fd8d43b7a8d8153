"""The picture: identities and their source tracks as the tracks that people see."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from vtoc_bots.core.tracks.fusion import Fused, fused
from vtoc_bots.core.tracks.identity import BY_ICAO, Identity, source_key
from vtoc_bots.core.tracks.kalman import ConstantVelocityFilter
from vtoc_bots.core.tracks.model import Track, TrackPoint, TrackSource
from vtoc_bots.core.tracks.noise import SIGMAS_IN_95_PERCENT
from vtoc_bots.core.tracks.report import Report
from vtoc_bots.core.tracks.settings import MergeSettings
from vtoc_bots.core.tracks.source_track import SourceTrack

VELOCITY_AGE_SECONDS: Final = 15.0
WELL_KNOWN_VELOCITY_VARIANCE: Final = 15.0**2


class Part(NamedTuple):
    """A source track in a track."""

    member: SourceTrack
    newest: Report
    filter: ConstantVelocityFilter
    reason: str
    own: bool
    """Whether it is of the identity that the track is named after, and not of a guest."""


def fused_tracks(identities: Iterable[Identity], t: float, settings: MergeSettings) -> Iterator[Track]:
    """The tracks at `t` (seconds since 1970): one for each identity that is no guest of another that shows."""
    for identity in identities:
        if identity.host is None:
            for group in _groups(identity, t, settings):
                yield from _group_tracks(group, t, settings)


def _groups(identity: Identity, t: float, settings: MergeSettings) -> Iterator[tuple[Identity, ...]]:
    """An identity with its guests; where it shows no more, each guest alone, and those joined by hand together."""
    if not identity.guests:
        yield (identity,)
    elif any(_parts(identity, "", t, settings, own=True)):
        yield identity, *_guests(identity)
    else:
        joined = [guest for guest in identity.guests if guest.forced]
        if joined:
            yield tuple(one for guest in joined for one in (guest, *_guests(guest)))
        for guest in identity.guests:
            if not guest.forced:
                yield guest, *_guests(guest)


def _group_tracks(group: tuple[Identity, ...], t: float, settings: MergeSettings) -> Iterator[Track]:
    """The track of identities that are one entity, named after the first that shows."""
    lead: Identity | None = None
    parts: list[Part] = []
    for identity in group:
        if lead is None:
            parts += _parts(identity, _shared(identity), t, settings, own=True)
            lead = identity if parts else None
        else:
            parts += _parts(identity, _reason(identity), t, settings, own=False)
    if lead is not None:
        yield from _tracks(lead, tuple(one for one in group if one is not lead), parts, t)


def flagged_tracks(
    members: Iterable[tuple[SourceTrack, Identity]], t: float, settings: MergeSettings
) -> Iterator[Track]:
    """A track for each source track whose newest report is implausible, just as reported; `flags` says why."""
    for member, identity in members:
        report = member.flagged
        if report is None or report.t < member.t or t - report.t > settings.shown_for(member.namespace):
            continue
        event = report.event
        yield Track(
            track_id=f"{source_key(member.source, member.namespace, member.entity_id)} implausible",
            icao=member.entity_id if identity.rank == BY_ICAO else None,
            label=event.callsign or member.callsign or member.registration or member.entity_id,
            at=report.at,
            latitude=report.latitude,
            longitude=report.longitude,
            altitude_m=event.altitude_m,
            altitude_datum=event.altitude_datum,
            speed_mps=event.speed_mps,
            heading_deg=event.heading_deg,
            vertical_rate_mps=event.vertical_rate_mps,
            on_ground=event.on_ground,
            accuracy_m=event.accuracy_m,
            squawk=event.squawk or member.squawk,
            category=event.category or member.category,
            position_kind=event.position_kind,
            sources=(_source(member, report, "implausible, so not fused", t),),
            trail=(),
            flags=(member.flag,),
            exercise=event.exercise,
        )


def _parts(identity: Identity, reason: str, t: float, settings: MergeSettings, *, own: bool) -> Iterator[Part]:
    for member in identity.members:
        if member.newest is None or member.filter is None:
            continue
        if t - member.t <= settings.shown_for(member.namespace):
            yield Part(member, member.newest, member.filter, reason, own)


def _guests(identity: Identity) -> Iterator[Identity]:
    for guest in identity.guests:
        yield guest
        yield from _guests(guest)


def _shared(identity: Identity) -> str:
    if len(identity.members) == 1:
        return "its own report"
    return "same ICAO address" if identity.rank == BY_ICAO else f"same {identity.namespace}"


def _reason(guest: Identity) -> str:
    """Why a guest is merged, in words, as of its newest report."""
    pair = guest.evidence.pairs.get(guest.host) if guest.host is not None else None
    if pair is None or guest.forced:
        return guest.how
    if not pair.latest.inside:
        return f"{guest.how}, misses in a row: {guest.misses}"
    return f"{guest.how}, hits since: {guest.hits}, {pair.latest.metres:.0f} m apart (χ² {pair.latest.chi2:.1f})"


def _source(member: SourceTrack, report: Report, reason: str, t: float) -> TrackSource:
    return TrackSource(
        source=member.source,
        source_type=member.source_type,
        entity_namespace=member.namespace,
        entity_id=member.entity_id,
        age_seconds=max(0.0, t - report.t),
        position_kind=report.event.position_kind,
        reason=reason,
    )


def _tracks(identity: Identity, guests: tuple[Identity, ...], parts: list[Part], t: float) -> Iterator[Track]:
    """The track of these parts, the identity's own first.

    Own parts that contradict the best of them are left out and become flagged tracks. Guests that do are not averaged.
    """
    newest, state = _combined(parts)
    if state.left_out:
        out = [parts[place] for place in state.left_out]
        newest, state = _combined([part for part in parts if part not in out])
        for part in out:
            if part.own:
                parts.remove(part)
                yield _contradicting(identity, part, t)
    yield _track(identity.key, identity, guests, parts, newest, state, t)


def _combined(parts: list[Part]) -> tuple[Part, Fused]:
    """The newest part, and the state of all of them at its time."""
    newest = max(parts, key=_time_of) if len(parts) > 1 else parts[0]
    return newest, fused([part.filter for part in parts], newest.newest.t, sum(part.own for part in parts))


def _contradicting(identity: Identity, part: Part, t: float) -> Track:
    member = part.member
    name = f"{source_key(member.source, member.namespace, member.entity_id)} contradicting"
    alone = _track(name, identity, (), [part], part, fused([part.filter], part.newest.t), t)
    return alone._replace(trail=(), flags=("another source reports the same identity far from here",))


def _track(
    track_id: str,
    identity: Identity,
    guests: tuple[Identity, ...],
    parts: list[Part],
    newest: Part,
    state: Fused,
    t: float,
) -> Track:
    report = newest.newest
    speakers = sorted(parts, key=_precedence) if len(parts) > 1 else parts
    high = _latest(parts, "altitude_t")
    speed, heading = _velocity(_latest(parts, "velocity_t"), report.t, state)
    return Track(
        track_id=track_id,
        icao=identity.entity_id if identity.rank == BY_ICAO else None,
        label=_said(speakers, "callsign") or _said(speakers, "registration") or identity.entity_id,
        at=report.at,
        latitude=state.latitude,
        longitude=state.longitude,
        altitude_m=high.altitude_m,
        altitude_datum=high.altitude_datum,
        speed_mps=speed,
        heading_deg=heading,
        vertical_rate_mps=_said(speakers, "vertical_rate_mps"),
        on_ground=_said(speakers, "on_ground"),
        accuracy_m=SIGMAS_IN_95_PERCENT * math.sqrt(state.variance),
        squawk=_said(speakers, "squawk"),
        category=_said(speakers, "category"),
        position_kind=report.event.position_kind,
        sources=tuple([_source(part.member, part.newest, part.reason, t) for part in parts]),
        trail=_trail(identity, guests),
        flags=(),
        exercise=any(part.newest.event.exercise for part in parts),
    )


def _precedence(part: Part) -> tuple[bool, float]:
    """Whose word is taken first: the identity's own, then the newest."""
    return not part.own, -part.newest.t


def _time_of(part: Part) -> float:
    return part.newest.t


def _latest(parts: list[Part], attribute: str) -> SourceTrack:
    """The member for which `attribute`, a time, is the greatest; the first of equals."""
    if len(parts) == 1:
        return parts[0].member
    return max([part.member for part in parts], key=lambda member: getattr(member, attribute))


def _said(parts: list[Part], attribute: str) -> Any:
    """The first part's word for an attribute, of those that have one."""
    for part in parts:
        said = getattr(part.member, attribute)
        if said is not None:
            return said
    return None


def _velocity(member: SourceTrack, t: float, state: Fused) -> tuple[float | None, float | None]:
    """Speed (m/s) and heading (degrees): as reported of late, else as the filters know them."""
    if member.speed_mps is not None and t - member.velocity_t <= VELOCITY_AGE_SECONDS:
        return member.speed_mps, member.heading_deg
    if state.velocity_variance > WELL_KNOWN_VELOCITY_VARIANCE:
        return None, None
    speed = math.hypot(state.vx, state.vy)
    if speed * speed < 4.0 * state.velocity_variance:
        return speed, None
    return speed, math.degrees(math.atan2(state.vx, state.vy)) % 360.0


def _trail(identity: Identity, guests: tuple[Identity, ...]) -> tuple[TrackPoint, ...]:
    """The identity's own trail, continued by its guests' where it has stopped reporting."""
    own = identity.points()
    for guest in guests:
        if guest.trail and own and guest.trail[-1].at > own[-1].at:
            own += tuple(point for point in guest.trail if point.at > own[-1].at)
    return own
