"""The words round the map: banners, title, emergencies, legend, notes and attribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vtoc_bots import Track
from vtoc_bots.plugins.pictures.captions import (
    AGED_SECONDS,
    age_seconds,
    altitude_text,
    emergency_of,
    kind_counts,
    name_of,
    place_text,
    summary_text,
)
from vtoc_bots.plugins.pictures.extent import Box
from vtoc_bots.plugins.pictures.kinds import OTHER, SourceKind
from vtoc_bots.plugins.pictures.layers import Colour, Fill, Layer, Stroke, Words
from vtoc_bots.plugins.pictures.picture import MapPicture
from vtoc_bots.plugins.pictures.projection import Floats, away
from vtoc_bots.plugins.pictures.sheet import Sheet
from vtoc_bots.plugins.pictures.traffic import DANGER, DOUBT, disc, letter
from vtoc_bots.plugins.pictures.typeface import CAP_HEIGHT, Run, printable, shortened, text_width

INK, SOFT, PAPER, RULE = "#14212b", "#4c5a64", "#ffffff", "#9fb0ba"
BANNER, BANNER_INK = "#f2a900", "#1a1a1a"
TITLE, SMALL, LEGEND = 21.0, 13.0, 11.5


class Entry(NamedTuple):
    """One item of the legend: a sample (kind with its form) and what it stands for."""

    form: str
    kind: SourceKind
    text: str


def banner_layers(sheet: Sheet) -> list[Layer]:
    """Return the EXERCISE bands."""
    if not sheet.banners:
        return []
    size = 14 * sheet.unit
    text = "EXERCISE   EXERCISE   EXERCISE"
    runs = [
        Run(text, (sheet.width - text_width(text, size, True)) / 2, middle(box, size), size, True)
        for box in sheet.banners
    ]
    bands = [box.corners for box in sheet.banners]
    return [Fill(bands, [BANNER] * len(bands), [BANNER] * len(bands)), Words(runs, BANNER_INK)]


def header_layers(picture: MapPicture, sheet: Sheet, inside: int, trails: bool) -> list[Layer]:
    """Return title and summary."""
    box, unit, gap = sheet.header, sheet.unit, 14 * sheet.unit
    title, small = TITLE * unit, SMALL * unit
    room = box.width - 2 * gap
    heading = shortened(printable(picture.title), room, title, True)
    summary = shortened(printable(summary_text(picture, inside, trails)), room, small)
    return [
        Fill([box.corners], [PAPER], [PAPER]),
        Words([Run(heading, gap, box.top - 28 * unit, title, True)], INK),
        Words([Run(summary, gap, box.bottom + 9 * unit, small)], SOFT),
    ]


def alert_text(picture: MapPicture) -> str:
    """Return which tracks declare an emergency, which, and where."""
    return " · ".join(
        f"{name_of(track, picture)} squawks {track.squawk}: {emergency_of(track)}{where_text(track, picture)}"
        for track in picture.shown
        if emergency_of(track)
    )


def where_text(track: Track, picture: MapPicture) -> str:
    """Return a track's height and its place from the station, each where known, with a leading comma."""
    parts = [altitude_text(track)]
    station = picture.station
    if station is not None:
        distances, bearings = away(station.latitude, station.longitude, [track.latitude], [track.longitude])
        parts.append(place_text(float(distances[0]), float(bearings[0]), station.callsign))
    return "".join(f", {part}" for part in parts if part)


def alert_layers(picture: MapPicture, sheet: Sheet) -> list[Layer]:
    """Return the band that names emergencies."""
    if sheet.alert is None:
        return []
    size, gap = 13.5 * sheet.unit, 14 * sheet.unit
    text = shortened(printable(alert_text(picture)), sheet.width - 2 * gap, size, True)
    return [
        Fill([sheet.alert.corners], [DANGER], [DANGER]),
        Words([Run(text, gap, middle(sheet.alert, size), size, True)], PAPER),
    ]


def legend_entries(picture: MapPicture, tracks: Sequence[Track], vectors: bool) -> list[Entry]:
    """Return what the legend explains of the tracks on the map: only what is there."""
    counts = kind_counts(tracks)
    entries = [Entry("arrow", kind, f"{kind.title} {count}") for kind, count in counts]
    if any(age_seconds(track, picture) >= AGED_SECONDS for track in tracks):
        entries.append(Entry("aged", counts[0][0], f"hollow: older than {AGED_SECONDS:g} s"))
    if any(track.on_ground for track in tracks):
        entries.append(Entry("ground", OTHER, "on the ground"))
    if any(track.heading_deg is None and not track.on_ground for track in tracks):
        entries.append(Entry("disc", OTHER, "heading unknown"))
    if any(emergency_of(track) for track in tracks):
        entries.append(Entry("emergency", OTHER, "emergency squawk"))
    if picture.implausible:
        entries.append(Entry("doubt", OTHER, "implausible report"))
    if vectors:
        entries.append(Entry("vector", OTHER, "one minute ahead"))
    return entries


def legend_rows(entries: list[Entry], room: float, unit: float) -> list[list[tuple[float, Entry]]]:
    """Return the entries in rows, each with its left end."""
    rows: list[list[tuple[float, Entry]]] = [[]]
    left = 0.0
    for entry in entries:
        width = (22 + 18) * unit + text_width(entry.text, LEGEND * unit)
        if rows[-1] and left + width > room:
            rows.append([])
            left = 0.0
        rows[-1].append((left, entry))
        left += width
    return rows


def sample(entry: Entry, x: float, y: float, unit: float) -> tuple[Floats, Colour, Colour]:
    """Return a legend sample's outline, face and edge."""
    colour = entry.kind.colour
    if entry.form in ("arrow", "aged"):
        shape = np.array(entry.kind.outline) * 8 * unit + (x, y)
        return shape, (colour if entry.form == "arrow" else PAPER), (PAPER if entry.form == "arrow" else colour)
    if entry.form == "ground":
        half = 6 * unit
        return Box(x - half, y - half, x + half, y + half).corners, PAPER, colour
    if entry.form == "vector":
        return Box(x - 8 * unit, y - 0.6 * unit, x + 8 * unit, y + 0.6 * unit).corners, colour, colour
    edge = {"emergency": DANGER, "doubt": DOUBT}.get(entry.form, colour)
    return disc(x, y, 6.5 * unit), PAPER, edge


def legend_layers(rows: list[list[tuple[float, Entry]]], sheet: Sheet) -> list[Layer]:
    """Return the legend, from the footer's top down."""
    unit, size = sheet.unit, LEGEND * sheet.unit
    polygons, faces, edges, runs, letters = [], [], [], [], []
    for number, row in enumerate(rows):
        y = sheet.footer.top - sheet.row_height * (number + 0.5) - 3 * unit
        for left, entry in row:
            x = left + 24 * unit
            outline, face, edge = sample(entry, x, y, unit)
            polygons.append(outline)
            faces.append(face)
            edges.append(edge)
            runs.append(Run(entry.text, x + 14 * unit, y - CAP_HEIGHT * size / 2, size))
            inside = {"doubt": "?", "emergency": "!"}.get(entry.form)
            if inside:
                letters.append(letter(inside, x, y, 10 * unit))
    return [Fill(polygons, faces, edges, 1.2 * unit), Words(runs, INK), Words(letters, DOUBT)]


def footer_layers(notes: list[str], attribution: str, first_row: int, sheet: Sheet) -> list[Layer]:
    """Return the notes on the left and the attribution on the right, from a row on."""
    unit, gap = sheet.unit, 14 * sheet.unit
    size, small = 11.5 * unit, 10.0 * unit
    credit = shortened(printable(attribution), sheet.width - 2 * gap, small)
    credit_width = text_width(credit, small)
    runs = []
    for number, note in enumerate(notes):
        y = row_base(sheet, first_row + number, size)
        last = first_row + number == sheet.rows - 1
        room = sheet.width - 2 * gap - (credit_width + 2 * gap if last else 0)
        runs.append(Run(shortened(printable(note), room, size), gap, y, size))
    credits = [Run(credit, sheet.width - gap - credit_width, row_base(sheet, sheet.rows - 1, small), small)]
    return [Words(runs, INK), Words(credits, SOFT)]


def row_base(sheet: Sheet, row: int, size: float) -> float:
    """Return the baseline of a footer row."""
    return sheet.footer.top - sheet.row_height * (row + 0.5) - 3 * sheet.unit - CAP_HEIGHT * size / 2


def frame_layers(sheet: Sheet) -> list[Layer]:
    """Return the line round the map."""
    outline = sheet.frame.corners
    return [Stroke([np.vstack([outline, outline[:1]])], [RULE], 1.2 * sheet.unit)]


def middle(box: Box, size: float) -> float:
    """Return the baseline that centres capitals in a box."""
    return (box.bottom + box.top - CAP_HEIGHT * size) / 2
