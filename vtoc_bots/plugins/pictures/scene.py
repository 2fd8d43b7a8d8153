"""Composes a whole picture out of its parts, without drawing it."""

from __future__ import annotations

from dataclasses import dataclass

from vtoc_bots.plugins.pictures.backdrop import backdrop
from vtoc_bots.plugins.pictures.captions import implausible_text, place_text
from vtoc_bots.plugins.pictures.extent import Box, View, view_of
from vtoc_bots.plugins.pictures.ground import Ground
from vtoc_bots.plugins.pictures.labels import (
    Label,
    Town,
    label_layers,
    named_towns,
    station_layers,
    station_pixel,
    station_reach,
    town_layers,
    track_labels,
)
from vtoc_bots.plugins.pictures.layers import Fill, Layer, Words
from vtoc_bots.plugins.pictures.picture import MapPicture
from vtoc_bots.plugins.pictures.projection import Floats, away
from vtoc_bots.plugins.pictures.ranges import Ring, range_rings, ring_layers, scale_layers, scale_panel
from vtoc_bots.plugins.pictures.sheet import Sheet, sheet_of
from vtoc_bots.plugins.pictures.traffic import (
    MOST_VECTORS,
    Mark,
    doubt_layers,
    doubt_marks,
    marks_of,
    symbol_layers,
    trail_layers,
)
from vtoc_bots.plugins.pictures.typeface import CAP_HEIGHT, Run, text_width
from vtoc_bots.plugins.pictures.wording import (
    alert_layers,
    banner_layers,
    footer_layers,
    frame_layers,
    header_layers,
    legend_entries,
    legend_layers,
    legend_rows,
)

CHART_CREDIT = "Natural Earth"
TOWN_CREDIT = "GeoNames CC BY 4.0"


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed picture: its layers in drawing order, and the places tests and captions ask for."""

    sheet: Sheet
    view: View
    marks: list[Mark]
    labels: list[Label]
    towns: list[Town]
    rings: list[Ring]
    panel: Box
    doubts: list[Box]
    layers: list[Layer]

    @property
    def texts(self) -> list[str]:
        """Every text in the picture."""
        return [run.text for layer in self.layers if isinstance(layer, Words) for run in layer.runs]


def compose(picture: MapPicture) -> Scene:
    """Return the composed picture."""
    sheet = sheet_for(picture)
    unit = sheet.unit
    view = view_of(picture, sheet.frame)
    marks = marks_of(picture, view, unit)
    doubts = doubt_marks(picture, view, unit)
    station = station_pixel(picture.station, view)
    solid = [mark.box for mark in marks] + doubts
    if station is not None:
        x, y, reach = float(station[0]), float(station[1]), station_reach(unit)
        solid.append(Box(x - reach, y - reach, x + reach, y + reach))
    lines = [mark.trail for mark in marks] + [mark.vector for mark in marks if mark.vector is not None]
    ground = Ground(sheet.frame, solid, lines)
    panel = scale_panel(view, unit, ground)
    ground = ground.also([panel.grown(3 * unit)])
    rings = range_rings(picture, view, unit, ground)
    ground = ground.also([ring.box for ring in rings if ring.box is not None])
    labels = track_labels(picture, marks, station, view, ground, unit)
    towns = named_towns(view, ground, labels, unit)
    layers = [
        *paper(sheet),
        *backdrop(view, unit),
        *ring_layers(rings, unit),
        *town_layers(towns, unit),
        *trail_layers(marks, sheet.frame, unit),
        *([] if station is None else station_layers(station, unit)),
        *doubt_layers(doubts, unit),
        *symbol_layers(marks, unit),
        *label_layers(labels, unit),
        *scale_layers(view, panel, unit),
        *surround(picture, sheet, marks, labels, towns, station),
    ]
    return Scene(sheet, view, marks, labels, towns, rings, panel, doubts, layers)


def sheet_for(picture: MapPicture) -> Sheet:
    """Return the parts of a picture, with as many footer rows as its legend and notes may need."""
    unit = sheet_of(picture, 1).unit
    entries = legend_entries(picture, picture.shown, vectors=True)
    rows = len(legend_rows(entries, picture.width_px - 28 * unit, unit))
    return sheet_of(picture, rows + 1 + bool(picture.implausible))


def paper(sheet: Sheet) -> list[Layer]:
    """Return the white sheet."""
    return [Fill([Box(0, 0, sheet.width, sheet.height).corners], ["#ffffff"], ["#ffffff"])]


def surround(
    picture: MapPicture, sheet: Sheet, marks: list[Mark], labels: list[Label], towns: list[Town], station: Floats | None
) -> list[Layer]:
    """Return everything round the map, and the word over an empty one."""
    vectors = any(mark.vector is not None for mark in marks)
    trails = any(len(mark.trail) > 1 for mark in marks)
    entries = legend_entries(picture, [mark.track for mark in marks], vectors)
    rows = legend_rows(entries, sheet.width - 28 * sheet.unit, sheet.unit)
    credits = [CHART_CREDIT, TOWN_CREDIT if towns else "", picture.attribution]
    credit = " · ".join(part for part in credits if part)
    notes = notes_of(picture, marks, labels, station)
    return [
        *frame_layers(sheet),
        *([] if marks else empty_layers(picture, sheet)),
        *header_layers(picture, sheet, len(marks), trails),
        *alert_layers(picture, sheet),
        *banner_layers(sheet),
        *legend_layers(rows, sheet),
        *footer_layers(notes, credit, sheet.rows - 1 - bool(picture.implausible), sheet),
    ]


def notes_of(picture: MapPicture, marks: list[Mark], labels: list[Label], station: Floats | None) -> list[str]:
    """Return the notes under the map, one a row: what is not drawn as real, and what the map leaves out."""
    named = sum(label.mark is not None for label in labels)
    parts = []
    if named < len(marks):
        parts.append(f"+{len(marks) - named} unlabelled")
    if len(marks) > MOST_VECTORS:
        parts.append("no vectors: too many tracks")
    if picture.station is not None and station is None:
        parts.append(station_note(picture))
    rest = " · ".join(parts)
    return [implausible_text(picture), rest] if picture.implausible else [rest]


def station_note(picture: MapPicture) -> str:
    """Return where the station is that the map does not show."""
    station, shown = picture.station, picture.shown
    if station is None:
        return ""
    if not shown:
        return f"{station.callsign} is outside this map"
    distances, bearings = away(
        station.latitude, station.longitude, [track.latitude for track in shown], [track.longitude for track in shown]
    )
    near = int(distances.argmin())
    where = place_text(float(distances[near]), float(bearings[near]), station.callsign)
    return f"{station.callsign} is outside this map; the nearest track is {where}"


def empty_layers(picture: MapPicture, sheet: Sheet) -> list[Layer]:
    """Return the words that say a map without tracks is meant to be one."""
    text = "No tracks on this map" if picture.shown else "No tracks"
    size, frame = 26 * sheet.unit, sheet.frame
    width = text_width(text, size, True)
    x, y = (frame.left + frame.right - width) / 2, frame.bottom + frame.height * 0.62
    band = Box(x - size, y - size * 0.7, x + width + size, y + size * (CAP_HEIGHT + 0.7))
    return [
        Fill([band.corners], [(1.0, 1.0, 1.0, 0.85)], ["#9fb0ba"], 1.0),
        Words([Run(text, x, y, size, True)], "#3d4a53"),
    ]
