"""What MCP clients may look at and do besides running playbooks: operations of the API, as tools and as resources."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import BaseModel, Field, ValidationError

from vtoc_bots.core.access import Ask, Level
from vtoc_bots.core.errors import Forbidden, UsageError
from vtoc_bots.core.playbooks.actions import explain
from vtoc_bots.core.store.approvals import ApprovalRows
from vtoc_bots.core.tracks.merger import TrackMerger
from vtoc_bots.core.web.api import events, runs, sources, stations, views
from vtoc_bots.core.web.documents import Answered, Json, Moment, Page, Query
from vtoc_bots.core.web.mcp.offers import DIALECT, JSON, Client, Contents, Given
from vtoc_bots.core.web.typed import Call, Operation, operation

AIR: Final = ("adsb", "cot")
BATCH: Final = 500
SCHEME: Final = "vtoc"


class ApprovalDocument(Answered):
    """What waits for people's decision. It is decided in chat; MCP only shows it."""

    id: UUID
    run_id: UUID
    step: str
    title: str
    detail: Json
    quorum: int
    level: str
    state: str
    expires_at: Moment | None
    approved_by: list[str]
    denied_by: list[str]


class TrackDocument(Answered):
    """An air track. SI units, degrees true."""

    track_id: str
    label: str
    at: Moment
    latitude: float
    longitude: float
    altitude_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    vertical_rate_mps: float | None
    on_ground: bool | None
    squawk: str | None
    sources: list[str]
    flags: list[str]
    exercise: bool


class Tracks(Answered):
    """The air picture as of its newest report."""

    as_of: Moment | None
    tracks: list[TrackDocument]


class TrackQuery(Query):
    """Which tracks."""

    window_seconds: float = Field(120.0, ge=1, le=3600, description="How far back reports are taken")
    limit: int = Field(200, ge=1, le=1000, description="How many at most")


@operation("GET", "/approvals")
async def list_approvals(call: Call) -> list[ApprovalDocument]:
    """List what waits for a decision. People decide in chat; it can't be decided here."""
    rows = ApprovalRows(call.parts.store)
    found = await rows.open_at(call.station.slug)
    votes = await rows.votes([each.id for each in found])
    documents = []
    for each in found:
        said = [(vote.verdict, vote.operator) for vote in votes if vote.approval_id == each.id]
        values = {name: getattr(each, name) for name in ApprovalDocument.model_fields if hasattr(each, name)}
        documents.append(
            ApprovalDocument(
                **values,
                approved_by=[name for verdict, name in said if verdict == "approve"],
                denied_by=[name for verdict, name in said if verdict != "approve"],
            )
        )
    return documents


@operation("GET", "/tracks")
async def list_tracks(call: Call, query: TrackQuery) -> Tracks:
    """List the air tracks, fused from all sources of the station."""
    reports, now = await call.parts.telemetry.collect(call.station, types=AIR, window_seconds=query.window_seconds)
    merger = TrackMerger()
    for number, report in enumerate(reports):
        merger.add(report)
        if number % BATCH == BATCH - 1:
            await asyncio.sleep(0)  # let others be served between two batches
    made = [
        TrackDocument.model_validate(
            {
                **{name: getattr(track, name) for name in TrackDocument.model_fields if name != "sources"},
                "flags": list(track.flags),
                "sources": [source.source for source in track.sources],
            }
        )
        for track in merger.tracks(now)[: query.limit]
    ]
    return Tracks(as_of=now, tracks=made)


@dataclass(frozen=True, slots=True)
class Lookup:
    """An operation as a tool, and as the resource of that address where it has one."""

    operation: Operation
    place: str | None = None
    """After ``vtoc://``; parts in braces are the operation's own."""
    changes: bool = False
    decides: bool = False
    content_type: str = JSON

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.operation.id

    @property
    def title(self) -> str:
        """The operation's summary."""
        return self.operation.summary

    @property
    def description(self) -> str:
        """All that the operation says of itself."""
        return f"{self.operation.summary}. {self.operation.description}".strip()

    @property
    def address(self) -> str | None:
        """Its URI or template."""
        return None if self.place is None else f"{SCHEME}://{self.place}"

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its arguments. The station is always the credential's own."""
        query = self.operation.query
        schema: dict[str, Any] = {"type": "object", "properties": {}}
        if query is not None:
            schema = query.model_json_schema()
            schema.pop("title", None)
            schema.pop("description", None)
        properties = dict(schema.get("properties", {}))
        paths = [name for name in self.operation.path_types if name != "slug" or self.place == "stations/{slug}"]
        for name in paths:
            properties[name] = self.operation.path_types[name].json_schema()
        schema["properties"] = properties
        schema["required"] = [*schema.get("required", []), *paths]
        schema["additionalProperties"] = False
        return {"$schema": DIALECT, **schema}

    def ask(self, arguments: Mapping[str, Any] | None) -> Ask:
        """The same as for the API's operation."""
        level = Level(self.operation.level)
        return Ask(f"api:{self.operation.id}", level, frozenset(), arguments, transport="mcp")

    async def use(self, call: Call, arguments: Mapping[str, Any], client: Client) -> Given:
        """Its document."""
        document = await self.document(call, arguments)
        return Given((_written(document),), document)

    async def read(self, call: Call, uri: str, parts: Mapping[str, str]) -> Contents:
        """Its document as JSON."""
        return Contents(uri, JSON, _written(await self.document(call, parts)))

    async def document(self, call: Call, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the operation answers. Raises UsageError for wrong arguments, Forbidden for another station."""
        here = call.station.slug
        try:
            values = self.values(arguments, here)
        except ValidationError as error:
            raise UsageError(f"{self.name}: {explain(error)}") from error
        if values.get("slug", here) != here:
            raise Forbidden(f"this credential is for station {here} and for no other")
        return document_of(self.operation, await self.operation.call(call, **values))

    def values(self, arguments: Mapping[str, Any], slug: str) -> dict[str, Any]:
        """What the operation is called with besides the call. Raises pydantic's ValidationError."""
        given, values = dict(arguments), dict[str, Any]()
        for name, kind in self.operation.path_types.items():
            value = given.pop(name, slug if name == "slug" else None)
            values[name] = kind.validate_python(value)
        if self.operation.query is not None:
            values["query"] = self.operation.query.model_validate(given)
        elif given:
            _Nothing.model_validate(given)
        return values


class _Nothing(BaseModel, extra="forbid"):
    """No arguments."""


LOOKUPS: Final[Mapping[str, Lookup]] = {
    each.operation.id: each
    for each in (
        Lookup(stations.list_stations, "stations"),
        Lookup(stations.get_station, "stations/{slug}"),
        Lookup(stations.list_station_playbooks, "playbooks"),
        Lookup(stations.list_station_tasks, "tasks"),
        Lookup(views.show_dashboard, "dashboard"),
        Lookup(views.show_timeline, "timeline"),
        Lookup(runs.list_runs, "runs"),
        Lookup(runs.get_run, "runs/{run_id}"),
        Lookup(runs.cancel_run, None, changes=True),
        Lookup(list_approvals, "approvals"),
        Lookup(list_tracks, "tracks"),
        Lookup(sources.list_sources, "telemetry/sources"),
        Lookup(sources.get_source, "telemetry/sources/{source_id}"),
        Lookup(events.list_events, "telemetry/events"),
    )
}
"""By their operation's id, which is the tool's name."""


LISTED: Final[Mapping[str, str]] = {"run_id": "list_runs", "source_id": "list_sources"}
"""What lists the values that a part of an address may have."""


def _written(document: Mapping[str, Any]) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def document_of(operation: Operation, result: Any) -> dict[str, Any]:
    """An operation's result as a JSON object; lists stand under ``items``."""
    assert operation.answer is not None
    if isinstance(result, Page):
        document: dict[str, Any] = {"items": operation.answer.dump_python(list(result.items), mode="json")}
        return document if result.next is None else {**document, "next_cursor": result.next}
    made = operation.answer.dump_python(result, mode="json")
    return {"items": made} if isinstance(made, list) else made
