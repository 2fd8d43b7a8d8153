"""Telemetry sources: listed, made, changed, removed."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from vtoc_bots.core.access import Level
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.store import telemetry_pages
from vtoc_bots.core.store.pool import Row
from vtoc_bots.core.web.documents import (
    Answered,
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
from vtoc_bots.core.web.typed import Call, operation

Mode = Literal["online", "offline", "chatkit"]
SourceSlug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class SourceDocument(Answered):
    """A telemetry source."""

    id: UUID
    station_id: UUID
    name: str
    slug: str
    source_type: str
    description: str
    is_active: bool
    connection_mode: Mode
    configuration: Json
    last_ingested_at: Moment | None
    created_at: Moment
    updated_at: Moment


class NewSource(Given):
    """A source to be made; without a slug it gets one made of its name."""

    name: Word
    slug: SourceSlug | None = None
    source_type: Word = "external"
    description: Text = ""
    is_active: bool = True
    connection_mode: Mode = "online"
    configuration: Json = Field(default_factory=dict, description="Facts about it; no secrets, for it is shown")


class SourceChange(Given):
    """What to change of a source; what is null or not given stays."""

    name: Word | None = None
    slug: SourceSlug | None = None
    source_type: Word | None = None
    description: Text | None = None
    is_active: bool | None = None
    connection_mode: Mode | None = None
    configuration: Json | None = None


@operation("GET", "/telemetry/sources")
async def list_sources(call: Call, query: PageQuery) -> Page[SourceDocument]:
    """List the station's sources, newest first."""
    async with call.parts.store.session(call.station) as session:
        rows = await telemetry_pages.sources_page(session, place_of(query.cursor), query.limit + 1)
    return page_of(rows, query.limit, lambda row: cursor_of(row["created_at"], row["id"]), source_document)


@operation("POST", "/telemetry/sources", level=Level.OPERATOR, status=201, problems=(409,), audited=True)
async def create_source(call: Call, body: NewSource) -> SourceDocument:
    """Make a source."""
    slug = body.slug or slug_from(body.name)
    values = body.model_dump(exclude={"slug"})
    async with call.parts.store.session(call.station) as session:
        return source_document(await telemetry_pages.add_source(session, slug, **values))


@operation("GET", "/telemetry/sources/{source_id}")
async def get_source(call: Call, source_id: UUID) -> SourceDocument:
    """Show a source."""
    async with call.parts.store.session(call.station) as session:
        return source_document(_there(source_id, await telemetry_pages.source_by_id(session, source_id)))


@operation("PATCH", "/telemetry/sources/{source_id}", level=Level.OPERATOR, problems=(409,), audited=True)
async def change_source(call: Call, source_id: UUID, body: SourceChange) -> SourceDocument:
    """Change a source."""
    async with call.parts.store.session(call.station) as session:
        row = await telemetry_pages.change_source(session, source_id, **body.model_dump())
    return source_document(_there(source_id, row))


@operation("DELETE", "/telemetry/sources/{source_id}", level=Level.LEAD, status=204, audited=True)
async def remove_source(call: Call, source_id: UUID) -> None:
    """Remove a source with everything that it reported."""
    async with call.parts.store.session(call.station) as session:
        if not await telemetry_pages.remove_source(session, source_id):
            raise NotFound(f"there is no source {source_id}")


def source_document(row: Row) -> SourceDocument:
    """A source as the API shows it."""
    return SourceDocument.model_validate(dict(row))


def slug_from(name: str) -> str:
    """A slug made of a name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100] or "source"


def _there(source_id: UUID, row: Row | None) -> Any:
    if row is None:
        raise NotFound(f"there is no source {source_id}")
    return row


OPERATIONS = (list_sources, create_source, get_source, change_source, remove_source)
