"""Commands about the air picture and its sources."""

from __future__ import annotations

from datetime import timedelta

from vtoc_bots import Area, Card, Context, Severity, Table, Text, command, read_tracks
from vtoc_bots.plugins.ops.actions import AIR
from vtoc_bots.plugins.ops.cards import tracks_card

LATELY = timedelta(minutes=2)
TRAILS = timedelta(minutes=5)


@command("tracks", level="observer", agents="use", examples=("tracks", "tracks 40nm"))
async def tracks(ctx: Context, area: Area = Area(), *, rows: int = 20) -> Card:
    """List the air tracks seen in the last two minutes."""
    reports = await ctx.act("telemetry.collect", types=list(AIR), window=LATELY, area=area)
    found = await ctx.act("tracks.merge", reports=reports, area=area)
    listed = await read_tracks(ctx.blobs, found)
    return tracks_card(
        "Air tracks", listed, ctx.station, found.as_of, reports.sources, None, found.exercise, max(1, min(rows, 100))
    )


@command("map", level="observer", examples=("map", "map 40nm"))
async def map_command(ctx: Context, area: Area = Area()) -> Card:
    """Show the air tracks of the last five minutes on a map."""
    reports = await ctx.act("telemetry.collect", types=list(AIR), window=TRAILS, area=area)
    found = await ctx.act("tracks.merge", reports=reports, area=area)
    picture = await ctx.act("pictures.map", tracks=found, area=area)
    return Card.of("Map", picture.image(), f"{picture.alt}", exercise=found.exercise)


@command("sources", level="observer", agents="use")
async def sources(ctx: Context) -> Card:
    """Show the station's telemetry sources and how they are."""
    states = await ctx.services.telemetry.sources(ctx.station)
    if not states:
        return Card.of("Sources", "This station has no sources; config/connectors.yml names them.")
    rows = []
    for state in states:
        detail = state.detail
        rejected = sum(detail.get("rejected", {}).values())
        dropped = detail.get("dropped", 0) + detail.get("conflated", 0)
        last = f"{state.last_event_at:%Y-%m-%d %H:%M:%SZ}" if state.last_event_at else "never"
        kind = f"{state.type}, {state.mode}" + (", EXERCISE" if state.exercise else "")
        counts = (str(detail.get("entities", "")), str(detail.get("decoded", "")), str(rejected), str(dropped))
        rows.append((state.slug, kind, state.state, last, *counts))
    columns = ("source", "type", "state", "last event", "entities", "decoded", "rejected", "dropped")
    bad = [state.slug for state in states if state.state in ("silent", "failed")]
    blocks: list[Table | Text] = [Table(columns=columns, rows=tuple(rows), numeric=(4, 5, 6, 7))]
    if bad:
        blocks.append(Text(text=f"Nothing comes from {', '.join(bad)}: look at its receiver or its url."))
    severity = Severity.WARNING if bad else Severity.PLAIN
    return Card.of("Sources", *blocks, severity=severity, exercise=any(state.exercise for state in states))
