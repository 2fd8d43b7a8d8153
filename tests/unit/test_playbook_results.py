"""Stored results: events and tracks come back from a blob as they went in."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtoc_bots.core.cards import Image
from vtoc_bots.core.errors import ActionError, NotFound
from vtoc_bots.core.playbooks.results import (
    BlobRef,
    EventSet,
    Picture,
    decode_events,
    decode_tracks,
    encode_events,
    encode_tracks,
    read_events,
    read_tracks,
    store_events,
    store_tracks,
)
from vtoc_bots.core.telemetry import TelemetryEvent
from vtoc_bots.core.tracks.model import Track, TrackPoint, TrackSource

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TEXT = st.text(max_size=10)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def optional(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


EVENTS = st.builds(
    TelemetryEvent,
    entity_id=TEXT,
    entity_namespace=TEXT,
    source=TEXT,
    source_type=TEXT,
    event_time=optional(TIMES),
    received_at=optional(TIMES),
    latitude=optional(NUMBERS),
    longitude=optional(NUMBERS),
    altitude_m=optional(NUMBERS),
    altitude_datum=optional(TEXT),
    speed_mps=optional(NUMBERS),
    heading_deg=optional(NUMBERS),
    vertical_rate_mps=optional(NUMBERS),
    on_ground=optional(st.booleans()),
    callsign=optional(TEXT),
    accuracy_m=optional(NUMBERS),
    position_kind=optional(TEXT),
    squawk=optional(TEXT),
    category=optional(TEXT),
    stale_at=optional(TIMES),
    exercise=st.booleans(),
    payload=st.dictionaries(TEXT, JSON, max_size=3),
)
TRACKS = st.builds(
    Track,
    track_id=TEXT,
    icao=optional(TEXT),
    label=TEXT,
    at=TIMES,
    latitude=NUMBERS,
    longitude=NUMBERS,
    altitude_m=optional(NUMBERS),
    altitude_datum=optional(TEXT),
    speed_mps=optional(NUMBERS),
    heading_deg=optional(NUMBERS),
    vertical_rate_mps=optional(NUMBERS),
    on_ground=optional(st.booleans()),
    accuracy_m=optional(NUMBERS),
    squawk=optional(TEXT),
    category=optional(TEXT),
    position_kind=optional(TEXT),
    sources=st.lists(st.builds(TrackSource, TEXT, TEXT, TEXT, TEXT, NUMBERS, optional(TEXT), TEXT), max_size=3).map(
        tuple
    ),
    trail=st.lists(st.builds(TrackPoint, TIMES, NUMBERS, NUMBERS, optional(NUMBERS), TEXT), max_size=3).map(tuple),
    flags=st.lists(TEXT, max_size=3).map(tuple),
    exercise=st.booleans(),
)


class MemoryBlobs:
    """Blobs in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, data: bytes, content_type: str) -> str:
        name = hashlib.sha256(data).hexdigest()
        self.kept[name] = data
        return name

    async def get(self, sha256: str) -> bytes:
        try:
            return self.kept[sha256]
        except KeyError:
            raise NotFound(f"no blob {sha256}") from None


@settings(max_examples=30)
@given(st.lists(EVENTS, max_size=3))
def test_events_come_back_as_they_were(events: list[TelemetryEvent]) -> None:
    assert decode_events(encode_events(events)) == events


@settings(max_examples=30)
@given(st.lists(TRACKS, max_size=3))
def test_tracks_come_back_as_they_were(tracks: list[Track]) -> None:
    back = decode_tracks(encode_tracks(tracks))
    assert back == tracks
    assert all(isinstance(source, TrackSource) for track in back for source in track.sources)


def test_a_payload_that_is_not_json_is_kept_as_near_as_can_be() -> None:
    event = TelemetryEvent("a", "icao", "s", "adsb", payload={"raw": b"\x01\xff", "set": (1, 2), "none": float("nan")})
    (back,) = decode_events(encode_events([event]))
    assert back.payload == {"raw": "01ff", "set": [1, 2], "none": None}


def test_fields_that_came_or_went_since_do_no_harm() -> None:
    data = (
        b'{"fields":["entity_id","entity_namespace","source","source_type","gone"],"rows":[["a","icao","s","adsb",1]]}'
    )
    assert decode_events(data) == [TelemetryEvent("a", "icao", "s", "adsb")]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff\xfe", b'{"fields":["entity_id"],"rows":[["a"]]}', b'{"fields":1}']
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ActionError, match="holds no stored events"):
        decode_events(data)
    with pytest.raises(ActionError, match="holds no stored tracks"):
        decode_tracks(data)


async def test_a_set_says_what_is_in_it() -> None:
    blobs = MemoryBlobs()
    events = [
        TelemetryEvent("a", "icao", "north", "adsb", event_time=NOW, latitude=1.0, longitude=2.0),
        TelemetryEvent("b", "icao", "east", "adsb", exercise=True),
    ]
    kept = await store_events(blobs, events, NOW)
    assert (kept.count, kept.positions, kept.sources) == (2, 1, ("east", "north"))
    assert (kept.as_of, kept.now, kept.exercise) == (NOW, NOW, True)
    assert kept.blob.size == len(blobs.kept[kept.blob.sha256])
    assert await read_events(blobs, EventSet.model_validate_json(kept.model_dump_json())) == events


async def test_an_empty_set_is_a_set() -> None:
    blobs = MemoryBlobs()
    events = await store_events(blobs, [], None)
    assert (events.count, events.as_of, await read_events(blobs, events)) == (0, None, [])
    tracks = await store_tracks(blobs, [], NOW)
    assert (tracks.count, tracks.now, await read_tracks(blobs, tracks)) == (0, NOW, [])


def test_a_picture_is_a_block_of_a_card() -> None:
    ref = BlobRef(sha256="a" * 64, content_type="image/png", size=9)
    picture = Picture(blob=ref, alt="A map", name="map.png")
    assert picture.image() == Image(blob="a" * 64, alt="A map", name="map.png", content_type="image/png", size=9)
