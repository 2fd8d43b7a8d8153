"""Actions on telemetry: collecting reports and fusing them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from vtoc_bots import (
    ActionContext,
    Area,
    EventSet,
    Station,
    TelemetryEvent,
    TrackMerger,
    TrackSet,
    action,
    read_events,
    store_events,
    store_tracks,
)

AIR = ("adsb", "cot")


def in_area(events: list[TelemetryEvent], area: Area, station: Station) -> list[TelemetryEvent]:
    """The events with a position in the area, and what else its entities reported."""
    shape = area.resolve(station)
    if shape is None:
        return events
    inside = {
        (event.source, event.entity_namespace, event.entity_id)
        for event in events
        if event.latitude is not None
        and event.longitude is not None
        and shape.contains(event.latitude, event.longitude)
    }
    return [event for event in events if (event.source, event.entity_namespace, event.entity_id) in inside]


@action("telemetry.collect", summary="Collect what the station's sources reported lately")
async def collect(
    ctx: ActionContext, types: list[str], window: timedelta = timedelta(minutes=10), area: Area = Area(everywhere=True)
) -> EventSet:
    """Reports of the last `window` from the station's sources of these types."""
    events, now = await ctx.services.telemetry.collect(
        ctx.station, types=tuple(types), window_seconds=window.total_seconds()
    )
    kept = in_area(events, area, ctx.station)
    await ctx.progress(f"{len(kept):,} reports")
    return await store_events(ctx.blobs, kept, now)


@action("tracks.merge", summary="Fuse reports of several sources into tracks")
async def merge(ctx: ActionContext, reports: EventSet, area: Area = Area(everywhere=True)) -> TrackSet:
    """One track an entity, whoever saw it."""
    events = await read_events(ctx.blobs, reports)
    merger = TrackMerger()
    for number, event in enumerate(events):
        merger.add(event)
        if number % 500 == 499:
            await ctx.progress("reports merged", number + 1, len(events))
            await asyncio.sleep(0)  # let chat be served between two batches
    shape = area.resolve(ctx.station)
    tracks = [
        track
        for track in merger.tracks(reports.now)
        if shape is None or shape.contains(track.latitude, track.longitude)
    ]
    return await store_tracks(ctx.blobs, tracks, reports.now)
