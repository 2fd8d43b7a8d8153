"""The action that draws a map of tracks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from vtoc_bots import (
    ActionContext,
    ActionError,
    ActionSpec,
    Area,
    Box,
    Circle,
    Picture,
    Station,
    TrackSet,
    action,
    read_tracks,
    store_blob,
)
from vtoc_bots.plugins.pictures.alternative import alt_text
from vtoc_bots.plugins.pictures.picture import BoundsArea, CircleArea, MapPicture, StationMark
from vtoc_bots.plugins.pictures.pool import MapPool


def map_actions() -> tuple[ActionSpec, ...]:
    """pictures.map, with a pool of its own that lives as long as the runtime."""
    open_pools: list[MapPool] = []

    @asynccontextmanager
    async def pool(data_dir: Path) -> AsyncIterator[None]:
        made = MapPool(data_dir)
        open_pools.append(made)
        try:
            yield
        finally:
            open_pools.remove(made)
            await made.close()

    @action("pictures.map", summary="Draw tracks on a map")
    async def draw(ctx: ActionContext, tracks: TrackSet, area: Area = Area(), title: str = "Air tracks") -> Picture:
        """A PNG of the tracks, the station and its range rings."""
        if not open_pools:
            raise ActionError("pictures: this process draws no maps; its runtime is closing")
        picture = MapPicture(
            title=title,
            at=tracks.as_of or ctx.clock.now(),
            made_at=ctx.clock.now(),
            tracks=tuple(await read_tracks(ctx.blobs, tracks)),
            station=_mark(ctx.station),
            area=_shape(area, ctx.station),
            exercise=tracks.exercise,
        )
        blob = await store_blob(ctx.blobs, await open_pools[0].render(picture), "image/png")
        return Picture(blob=blob, alt=alt_text(picture), name="map.png", exercise=tracks.exercise)

    return (replace(draw, lifespan=pool),)


def _mark(station: Station) -> StationMark | None:
    if station.latitude is None or station.longitude is None:
        return None
    return StationMark(station.callsign, station.latitude, station.longitude)


def _shape(area: Area, station: Station) -> CircleArea | BoundsArea | None:
    shape = area.resolve(station)
    if isinstance(shape, Circle):
        return CircleArea(shape.latitude, shape.longitude, shape.radius_m)
    if isinstance(shape, Box):
        return BoundsArea(shape.south, shape.west, shape.north, shape.east)
    return None
