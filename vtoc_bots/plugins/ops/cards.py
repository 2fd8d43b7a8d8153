"""Cards about the air picture."""

from __future__ import annotations

from datetime import datetime

from vtoc_bots import (
    EMERGENCIES,
    METRES_PER_FOOT,
    METRES_PER_NAUTICAL_MILE,
    MPS_PER_KNOT,
    ActionContext,
    Block,
    Card,
    EventSet,
    Fields,
    Pair,
    Picture,
    Severity,
    Station,
    Table,
    Text,
    Track,
    TrackSet,
    action,
    bearing_deg,
    distance_m,
    read_tracks,
)

ROWS = 12


@action("ops.airtrack_card", summary="Say how many tracks there are, and show the most notable")
async def airtrack_card(
    ctx: ActionContext, tracks: TrackSet, map: Picture | None = None, reports: EventSet | None = None
) -> Card:
    """The reply of op_airtrack_merge."""
    found = await read_tracks(ctx.blobs, tracks)
    used = reports.sources if reports is not None else tracks.sources
    return tracks_card("Air tracks", found, ctx.station, tracks.as_of, used, map, tracks.exercise)


def tracks_card(
    title: str,
    tracks: list[Track],
    station: Station,
    as_of: datetime | None,
    sources: tuple[str, ...],
    picture: Picture | None,
    exercise: bool,
    rows: int = ROWS,
) -> Card:
    """How many tracks, as of when, from which sources, and the most notable in a table; then the map."""
    plausible = [track for track in tracks if not track.flags]
    facts = [
        Pair(name="tracks", value=str(len(plausible))),
        Pair(name="as of", value=f"{as_of:%Y-%m-%d %H:%M:%SZ}" if as_of else "no reports"),
        Pair(name="sources", value=", ".join(sources) or "none"),
        Pair(name="station", value=station.callsign),
    ]
    several = sum(len({source.source for source in track.sources}) > 1 for track in plausible)
    if several:
        facts.append(Pair(name="seen by several", value=str(several)))
    blocks: list[Block] = [Fields(fields=tuple(facts))]
    if plausible:
        shown = notable(plausible, station)[:rows]
        blocks.append(tracks_table(shown, station, as_of))
        if len(plausible) > len(shown):
            order = "nearest" if station.position else "lowest"
            blocks.append(
                Text(text=f"The {len(shown)} most notable of {len(plausible)}: emergencies, then the {order}.")
            )
    else:
        blocks.append(Text(text="No aircraft was reported in this area and time."))
    if flagged := len(tracks) - len(plausible):
        blocks.append(Text(text=f"{flagged} implausible report{'s' if flagged > 1 else ''} not counted as tracks."))
    if picture is not None:
        blocks.append(picture.image())
    alarms = [track for track in plausible if track.squawk in EMERGENCIES]
    severity = Severity.WARNING if alarms else Severity.PLAIN
    return Card(title=f"{title}: {len(plausible)}", blocks=tuple(blocks), severity=severity, exercise=exercise)


def notable(tracks: list[Track], station: Station) -> list[Track]:
    """Emergencies first, then the nearest, or the lowest where the station has no position."""

    def order(track: Track) -> tuple[bool, float, str]:
        if station.position is not None:
            far = distance_m(*station.position, track.latitude, track.longitude)
        else:
            far = track.altitude_m if track.altitude_m is not None else 0.0 if track.on_ground else 1e9
        return (track.squawk not in EMERGENCIES, far, track.track_id)

    return sorted(tracks, key=order)


def tracks_table(tracks: list[Track], station: Station, as_of: datetime | None) -> Table:
    """The tracks in feet, knots and nautical miles, as people at a radio say them."""
    located = station.position is not None
    columns = (
        "track",
        "ICAO",
        "level",
        "kt",
        "track °",
        "squawk",
        "age",
        "sources",
        *(("from station",) if located else ()),
    )
    return Table(columns=columns, rows=tuple(_row(track, station, as_of) for track in tracks), numeric=(3, 4, 6))


def _row(track: Track, station: Station, as_of: datetime | None) -> tuple[str, ...]:
    speed = "" if track.speed_mps is None else f"{track.speed_mps / MPS_PER_KNOT:.0f}"
    heading = "" if track.heading_deg is None else f"{track.heading_deg:03.0f}"
    age = "" if as_of is None else f"{max(0.0, (as_of - track.at).total_seconds()):.0f} s"
    squawk = track.squawk or ""
    squawk = f"{squawk} {EMERGENCIES[squawk]}" if squawk in EMERGENCIES else squawk
    seen_by = ", ".join(sorted({source.source for source in track.sources}))
    row = (track.label, track.icao or "", level(track), speed, heading, squawk, age, seen_by)
    if station.position is None:
        return row
    away = distance_m(*station.position, track.latitude, track.longitude) / METRES_PER_NAUTICAL_MILE
    bearing = bearing_deg(*station.position, track.latitude, track.longitude)
    return (*row, f"{away:.0f} NM {bearing:03.0f}°")


def level(track: Track) -> str:
    """Flight level above 5,000 ft pressure altitude, else feet; ``ground`` on it."""
    if track.on_ground:
        return "ground"
    if track.altitude_m is None:
        return ""
    altitude_feet = track.altitude_m / METRES_PER_FOOT
    if track.altitude_datum == "baro" and altitude_feet >= 5000:
        return f"FL{altitude_feet / 100:03.0f}"
    return f"{altitude_feet:,.0f} ft"
