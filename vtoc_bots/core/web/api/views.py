"""A station at a glance: its figures, and what happened, newest first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vtoc_bots.core.store.station_views import station_figures, timeline
from vtoc_bots.core.store.telemetry_pages import newest_event
from vtoc_bots.core.web.api.events import EventDocument, event_document
from vtoc_bots.core.web.api.stations import StationDocument, station_document
from vtoc_bots.core.web.documents import Answered, Json, Moment, Query
from vtoc_bots.core.web.typed import Call, operation


class Figures(Answered):
    """A station in numbers. `open_alerts` are those that nobody has acknowledged."""

    total_events: int
    active_sources: int
    last_event: EventDocument | None
    active_runs: int
    open_alerts: int


class Dashboard(Answered):
    """A station's figures."""

    station: StationDocument
    metrics: Figures


class TimelineQuery(Query):
    """Which part of the timeline."""

    limit: int = Field(50, ge=1, le=500)
    offset: int = Field(0, ge=0, le=10_000)


class TimelineEntry(Answered):
    """Something that happened."""

    entry_type: Literal["telemetry_event", "agent_action_audit", "mission_log"]
    id: str
    at: Moment
    title: str
    detail: Json


class Timeline(Answered):
    """A part of the timeline, newest first."""

    items: list[TimelineEntry]
    limit: int
    offset: int
    total: int


@operation("GET", "/stations/{slug}/dashboard")
async def show_dashboard(call: Call, slug: str) -> Dashboard:
    """Show the station's figures."""
    async with call.parts.store.session(call.station) as session:
        figures = await station_figures(session)
        newest = await newest_event(session)
    counts = await call.parts.runs.counts(call.station.slug)
    metrics = Figures(
        total_events=figures["total_events"],
        active_sources=figures["active_sources"],
        last_event=None if newest is None else event_document(newest),
        active_runs=counts["active_runs"],
        open_alerts=figures["open_alerts"],
    )
    return Dashboard(station=station_document(call.station), metrics=metrics)


@operation("GET", "/stations/{slug}/timeline")
async def show_timeline(call: Call, slug: str, query: TimelineQuery) -> Timeline:
    """Show telemetry, agent actions and the mission log together, newest first."""
    async with call.parts.store.session(call.station) as session:
        rows, total = await timeline(session, query.limit, query.offset)
    items = [TimelineEntry.model_validate(dict(row)) for row in rows]
    return Timeline(items=items, limit=query.limit, offset=query.offset, total=total)


OPERATIONS = (show_dashboard, show_timeline)
