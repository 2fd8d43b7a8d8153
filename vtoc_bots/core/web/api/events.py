"""Telemetry events: listed, pushed in by whoever has them, told to the station's channel."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from vtoc_bots.core.access import Level
from vtoc_bots.core.cards import Card, Fields, Pair
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.source_broadcasts import channel_name
from vtoc_bots.core.store import telemetry_pages
from vtoc_bots.core.store.pool import Row, Session
from vtoc_bots.core.telemetry import METRES_PER_FOOT, MPS_PER_KNOT
from vtoc_bots.core.web.context import station_of
from vtoc_bots.core.web.documents import (
    Answered,
    Finite,
    Given,
    Json,
    Moment,
    Page,
    PageQuery,
    Text,
    Word,
    cursor_of,
    page_of,
    place_of,
)
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.core.web.pushing import push
from vtoc_bots.core.web.typed import Batch, Call, operation

MOST_EVENTS: Final = 5000
_NUMBER: Final = r"-?\d{1,3}(\.\d{1,12})?"

Degrees = Annotated[Finite, Field(ge=-180, le=180)]
Heading = Annotated[Finite, Field(ge=0, le=360)]
Positive = Annotated[Finite, Field(ge=0)]


class EventSource(Answered):
    """Where an event came from."""

    id: UUID
    slug: str
    name: str
    source_type: str


class EventDocument(Answered):
    """A telemetry event: degrees, metres, metres a second, UTC."""

    id: UUID
    source_id: UUID
    source: EventSource
    station_id: UUID
    event_time: Moment
    received_at: Moment
    latitude: float | None
    longitude: float | None
    altitude: float | None
    altitude_datum: str | None
    heading: float | None
    speed: float | None
    vertical_rate: float | None
    on_ground: bool | None
    entity_id: str
    entity_namespace: str
    callsign: str | None
    accuracy_m: float | None
    position_kind: str | None
    squawk: str | None
    category: str | None
    stale_at: Moment | None
    exercise: bool
    payload: Json
    raw_data: str | None
    status: str


class NewEvent(Given):
    """An event that is pushed in: degrees, metres, metres a second. Without a time it happened when it came."""

    source_id: UUID | None = None
    source_slug: Word | None = None
    source_name: Word | None = Field(None, description="Makes the source where there is none of source_slug")
    event_time: Moment | None = None
    latitude: Annotated[Finite, Field(ge=-90, le=90)] | None = None
    longitude: Degrees | None = None
    altitude: Finite | None = None
    altitude_datum: Literal["baro", "geom"] | None = None
    heading: Heading | None = None
    speed: Positive | None = None
    vertical_rate: Finite | None = None
    on_ground: bool | None = None
    entity_id: Word | None = Field(None, description="What it is about; without one, the source itself")
    entity_namespace: Word | None = Field(
        None, description="Where that id means something: icao, mmsi, callsign, imei …"
    )
    callsign: Word | None = None
    accuracy_m: Positive | None = None
    squawk: Annotated[str, StringConstraints(pattern=r"^[0-7]{4}$")] | None = None
    category: Word | None = None
    stale_at: Moment | None = None
    payload: Json | None = None
    raw_data: Text | None = None
    status: Word | None = None

    @model_validator(mode="after")
    def _whole(self) -> NewEvent:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude come together; give both or neither")
        return self


NewEvents = Annotated[list[NewEvent], Field(min_length=1, max_length=MOST_EVENTS)]


_BATCH: Final = Batch(TypeAdapter(list[NewEvent]), MOST_EVENTS)


class Accepted(Answered):
    """How many events were taken, and the ids they have, in the order in which they were given."""

    accepted: int
    ids: list[UUID]


class EventQuery(PageQuery):
    """Which events."""

    source: Word | None = Field(None, description="A source's slug or id")
    since: Moment | None = Field(None, description="Not before this time")
    until: Moment | None = Field(None, description="Before this time")
    station: Word | None = Field(None, description="The credential's own station; another's is refused")
    bbox: str | None = Field(
        None, pattern=rf"^{_NUMBER}(,{_NUMBER}){{3}}$", description="west,south,east,north in degrees"
    )


class Told(Answered):
    """Where an event is told."""

    event_id: UUID
    conversation: str


@operation("GET", "/telemetry/events")
async def list_events(call: Call, query: EventQuery) -> Page[EventDocument]:
    """List the station's events, newest first."""
    if query.station is not None:
        named = query.station.lower().replace("_", "-")
        station_of(call.principal, named, await call.parts.people.stations())
    box = _box(query.bbox)
    async with call.parts.store.session(call.station) as session:
        source_id = None
        if query.source is not None:
            source_id = (await _source(session, query.source))["id"]
        before = place_of(query.cursor)
        rows = await telemetry_pages.events_page(
            session, source_id, query.since, query.until, box, before, query.limit + 1
        )
    return page_of(rows, query.limit, lambda row: cursor_of(row["event_time"], row["id"]), event_document)


@operation(
    "POST",
    "/telemetry/events",
    level=Level.OPERATOR,
    status=201,
    problems=(409,),
    keyed=True,
    batch=_BATCH,
)
async def create_events(call: Call, body: NewEvent | NewEvents) -> EventDocument | Accepted:
    """Take one event, or a list of up to 5,000, of sources that each names by id or slug.

    Under the same Idempotency-Key they are taken once.
    """
    ids = await push(call, [body] if isinstance(body, NewEvent) else body, None)
    if not isinstance(body, NewEvent):
        return Accepted(accepted=len(ids), ids=ids)
    async with call.parts.store.session(call.station) as session:
        return event_document(_there(ids[0], await telemetry_pages.event_by_id(session, ids[0])))


@operation(
    "POST",
    "/telemetry/ingest/{source}",
    level=Level.OPERATOR,
    status=201,
    problems=(409,),
    keyed=True,
    ndjson=True,
    batch=_BATCH,
)
async def ingest_events(call: Call, source: Word, body: NewEvent | NewEvents) -> Accepted:
    """Take what a connector or webhook pushes for one source, by its slug or id: an event, a list, or NDJSON.

    The source's last_ingested_at is stamped. Under the same Idempotency-Key the events are taken once.
    """
    async with call.parts.store.session(call.station) as session:
        row = await _source(session, source)
    ids = await push(call, [body] if isinstance(body, NewEvent) else body, row)
    return Accepted(accepted=len(ids), ids=ids)


@operation(
    "POST", "/telemetry/events/{event_id}/thread", level=Level.OPERATOR, status=202, problems=(409,), audited=True
)
async def tell_event(call: Call, event_id: UUID) -> Told:
    """Tell one event in the station's ChatKit channel. However often it is asked for, it is told once."""
    async with call.parts.store.session(call.station) as session:
        row = _there(event_id, await telemetry_pages.event_by_id(session, event_id))
        source = await telemetry_pages.source_by_id(session, row["source_id"])
    if not call.parts.notices.has_channels:
        raise Refusal(409, "there is no ChatKit here: its plugin is off. `vtoc-bots plugin list` says why")
    named = None if source is None else source["configuration"].get("chatkit_channel")
    channel = await channel_name(call.parts.people, call.station, named)
    conversation = str(call.parts.notices.channel(channel))
    await call.parts.notices.send_to(conversation, _card(row), f"telemetry:{event_id}:thread", call.correlation_id)
    return Told(event_id=event_id, conversation=conversation)


def event_document(row: Row) -> EventDocument:
    """An event as the API shows it."""
    values = {name: row[name] for name in EventDocument.model_fields if name != "source"}
    source = {
        "id": row["source_id"],
        "slug": row["source_slug"],
        "name": row["source_name"],
        "source_type": row["source_type"],
    }
    return EventDocument.model_validate({**values, "source": source})


def _card(row: Row) -> Card:
    """An event for people: knots and feet."""
    place = None if row["latitude"] is None else f"{row['latitude']:.4f}, {row['longitude']:.4f}"
    facts = {
        "time": f"{row['event_time']:%Y-%m-%d %H:%M:%SZ}",
        "position": place,
        "altitude": None if row["altitude"] is None else f"{row['altitude'] / METRES_PER_FOOT:,.0f} ft",
        "speed": None if row["speed"] is None else f"{row['speed'] / MPS_PER_KNOT:.0f} kt",
        "heading": None if row["heading"] is None else f"{row['heading']:03.0f}°",
        "source": row["source_name"],
    }
    pairs = tuple(Pair(name=name, value=value) for name, value in facts.items() if value is not None)
    return Card.of(row["callsign"] or f"{row['entity_namespace']} {row['entity_id']}", Fields(fields=pairs))


def _box(text: str | None) -> list[float] | None:
    """West, south, east, north of a text. Raises Refusal (400) where they are no places on earth."""
    if text is None:
        return None
    west, south, east, north = (float(part) for part in text.split(","))
    if not (abs(west) <= 180 and abs(east) <= 180 and -90 <= south <= north <= 90):
        raise Refusal(400, "bbox is west,south,east,north in degrees, south not above north")
    return [west, south, east, north]


async def _source(session: Session, name: str) -> Row:
    row = await telemetry_pages.find_source(session, name)
    if row is None:
        raise NotFound(f"there is no source {name[:100]} at station {session.station.slug}")
    return row


def _there(event_id: UUID, row: Row | None) -> Any:
    if row is None:
        raise NotFound(f"there is no event {event_id}")
    return row


OPERATIONS = (list_events, create_events, ingest_events, tell_event)
