"""Results that are too large for a step's row: references to blobs, and how events and tracks are kept in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from vtoc_bots.core.cards import Image
from vtoc_bots.core.errors import ActionError
from vtoc_bots.core.ports import Blobs
from vtoc_bots.core.telemetry import TelemetryEvent
from vtoc_bots.core.tracks.model import Track, TrackPoint, TrackSource

EVENTS_TYPE: Final = "application/vnd.vtoc.events+json"
TRACKS_TYPE: Final = "application/vnd.vtoc.tracks+json"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EVENT_TIMES: Final = tuple(TelemetryEvent._fields.index(name) for name in ("event_time", "received_at", "stale_at"))
_EVENT_PAYLOAD: Final = TelemetryEvent._fields.index("payload")
_TRACK_AT: Final = Track._fields.index("at")
_TRACK_SOURCES: Final = Track._fields.index("sources")
_TRACK_TRAIL: Final = Track._fields.index("trail")
_TRACK_FLAGS: Final = Track._fields.index("flags")


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BlobRef(_Result):
    """Stored bytes: their SHA-256, type and size in bytes."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    content_type: str
    size: Annotated[int, Field(ge=0)]


class EventSet(_Result):
    """Telemetry events, stored as a blob.

    `now` is what windows were measured from, `as_of` the newest event's time; None where no event has one.
    """

    blob: BlobRef
    count: int
    positions: int
    """How many of them have a position."""
    sources: tuple[str, ...]
    as_of: AwareDatetime | None
    now: AwareDatetime | None
    exercise: bool
    """Whether any of them is of an exercise."""


class TrackSet(_Result):
    """Fused tracks, stored as a blob; `now` and `as_of` as in the EventSet they were made from."""

    blob: BlobRef
    count: int
    flagged: int
    """How many have something implausible about them."""
    sources: tuple[str, ...]
    as_of: AwareDatetime | None
    now: AwareDatetime | None
    exercise: bool


class Picture(_Result):
    """A picture, stored as a blob. `alt` says in words what it shows."""

    blob: BlobRef
    alt: str
    name: str = "picture.png"
    exercise: bool = False

    def image(self) -> Image:
        """The picture as a card's block."""
        ref = self.blob
        return Image(blob=ref.sha256, alt=self.alt, name=self.name, content_type=ref.content_type, size=ref.size)


async def store_blob(blobs: Blobs, data: bytes, content_type: str) -> BlobRef:
    """Store bytes and return the reference to them."""
    return BlobRef(sha256=await blobs.put(data, content_type), content_type=content_type, size=len(data))


async def store_events(blobs: Blobs, events: Sequence[TelemetryEvent], now: datetime | None) -> EventSet:
    """Store events; `now` is what their window was measured from."""
    return EventSet(
        blob=await store_blob(blobs, encode_events(events), EVENTS_TYPE),
        count=len(events),
        positions=sum(event.has_position for event in events),
        sources=tuple(sorted({event.source for event in events})),
        as_of=max((event.event_time for event in events if event.event_time is not None), default=None),
        now=now,
        exercise=any(event.exercise for event in events),
    )


async def read_events(blobs: Blobs, events: EventSet) -> list[TelemetryEvent]:
    """The events of a reference. Raises NotFound when retention has removed them."""
    return decode_events(await blobs.get(events.blob.sha256))


async def store_tracks(blobs: Blobs, tracks: Sequence[Track], now: datetime | None) -> TrackSet:
    """Store tracks; `now` is the time of the picture they are."""
    return TrackSet(
        blob=await store_blob(blobs, encode_tracks(tracks), TRACKS_TYPE),
        count=len(tracks),
        flagged=sum(bool(track.flags) for track in tracks),
        sources=tuple(sorted({source.source for track in tracks for source in track.sources})),
        as_of=max((track.at for track in tracks), default=None),
        now=now,
        exercise=any(track.exercise for track in tracks),
    )


async def read_tracks(blobs: Blobs, tracks: TrackSet) -> list[Track]:
    """The tracks of a reference. Raises NotFound when retention has removed them."""
    return decode_tracks(await blobs.get(tracks.blob.sha256))


def encode_events(events: Iterable[TelemetryEvent]) -> bytes:
    """Events as JSON: the field names once, then a list for each; times in microseconds since 1970 UTC.

    Exact for what decoders yield; numbers that are not finite become null, payload keys text.
    """
    rows = []
    for event in events:
        row: list[Any] = list(event)
        for index in _EVENT_TIMES:
            row[index] = _microseconds(row[index])
        row[_EVENT_PAYLOAD] = dict(event.payload)
        rows.append(row)
    return _document(TelemetryEvent._fields, rows)


def decode_events(data: bytes) -> list[TelemetryEvent]:
    """What `encode_events` encoded, also by a version with fewer or other fields. Raises ActionError on other bytes."""
    try:
        return [_event(fields) for fields in _rows(data, TelemetryEvent._fields)]
    except (ValueError, TypeError, LookupError) as error:
        raise ActionError("the blob holds no stored events") from error


def _event(fields: dict[str, Any]) -> TelemetryEvent:
    for name in ("event_time", "received_at", "stale_at"):
        fields[name] = _moment(fields.get(name))
    return TelemetryEvent(**fields)


def encode_tracks(tracks: Iterable[Track]) -> bytes:
    """Tracks as JSON, in the manner of `encode_events`; sources and trail points are lists by position."""
    rows = []
    for track in tracks:
        row: list[Any] = list(track)
        row[_TRACK_AT] = _microseconds(track.at)
        row[_TRACK_SOURCES] = [list(source) for source in track.sources]
        row[_TRACK_TRAIL] = [[_microseconds(point.at), *point[1:]] for point in track.trail]
        row[_TRACK_FLAGS] = list(track.flags)
        rows.append(row)
    return _document(Track._fields, rows)


def decode_tracks(data: bytes) -> list[Track]:
    """What `encode_tracks` encoded. Raises ActionError on other bytes."""
    try:
        return [_track(fields) for fields in _rows(data, Track._fields)]
    except (ValueError, TypeError, LookupError) as error:
        raise ActionError("the blob holds no stored tracks") from error


def _track(fields: dict[str, Any]) -> Track:
    fields["at"] = _moment(fields["at"])
    fields["sources"] = tuple(TrackSource(*source) for source in fields["sources"])
    fields["trail"] = tuple(TrackPoint(_moment(at) or _EPOCH, *rest) for at, *rest in fields["trail"])
    fields["flags"] = tuple(fields["flags"])
    return Track(**fields)


def _document(fields: tuple[str, ...], rows: list[list[Any]]) -> bytes:
    return orjson.dumps({"fields": fields, "rows": rows}, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _rows(data: bytes, known: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows as mappings of the known fields. Raises ValueError, TypeError or LookupError on other bytes."""
    document = orjson.loads(data)
    kept = [(index, name) for index, name in enumerate(document["fields"]) if name in known]
    return [{name: row[index] for index, name in kept} for row in document["rows"]]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "keys"):
        return {key: value[key] for key in value}
    return list(value) if isinstance(value, tuple | set | frozenset) else str(value)


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
