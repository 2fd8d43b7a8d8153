"""The picture as KML 2.2 (OGC 07-147r2), for Google Earth, CalTopo, SARTopo and TAK clients."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

from vtoc_bots import Track
from vtoc_bots.plugins.pictures.captions import emergency_of, summary_text
from vtoc_bots.plugins.pictures.facts import (
    Place,
    clean,
    facts_of,
    parted,
    place,
    recent_trail,
    rings_of,
    summary_of,
    title_of,
)
from vtoc_bots.plugins.pictures.kinds import KINDS, kind_of
from vtoc_bots.plugins.pictures.picture import MapPicture, is_place
from vtoc_bots.plugins.pictures.traffic import DANGER, DOUBT

NAMESPACE = "http://www.opengis.net/kml/2.2"
RING = "#5c6f7b"


def kml_of(picture: MapPicture) -> bytes:
    """Return a KML document in UTF-8: a folder each for tracks, trails, implausible reports, station and rings.

    It refers to nothing on a network. Heights are as reported: above the ellipsoid or, where the track's facts say
    ``baro``, by pressure.
    """
    root = ET.Element("kml", xmlns=NAMESPACE)
    document = ET.SubElement(root, "Document")
    exercise = "EXERCISE " if picture.is_exercise else ""
    text(document, "name", f"{exercise}{picture.title}")
    shown = picture.shown
    trails = any(recent_trail(track, picture) for track in shown)
    notes = [summary_text(picture, len(shown), trails), picture.attribution]
    text(document, "description", "\n".join(note for note in notes if note))
    styles = {kind.key: kind.colour for kind in KINDS} | {"emergency": DANGER, "doubt": DOUBT, "ring": RING}
    for key, colour in styles.items():
        style(document, key, colour)
    station_folder(document, picture)
    folder = named_folder(document, "Trails")
    for track in shown:
        line_placemark(folder, f"{title_of(track, picture)} trail", style_of(track), recent_trail(track, picture))
    folder = named_folder(document, "Tracks")
    for track in shown:
        track_placemark(folder, track, picture, style_of(track))
    reports = [report for report in picture.implausible if is_place(report)]
    if reports:
        folder = named_folder(document, "Implausible reports")
        for report in reports:
            track_placemark(folder, report, picture, "doubt")
    output = io.BytesIO()
    ET.ElementTree(root).write(output, encoding="utf-8", xml_declaration=True)
    return output.getvalue()


def text(parent: ET.Element, tag: str, content: str) -> ET.Element:
    """Add an element with a text."""
    element = ET.SubElement(parent, tag)
    element.text = clean(content)
    return element


def named_folder(parent: ET.Element, name: str) -> ET.Element:
    """Add a folder."""
    folder = ET.SubElement(parent, "Folder")
    text(folder, "name", name)
    return folder


def style(document: ET.Element, key: str, colour: str) -> None:
    """Add a style with a colour for icons and lines; KML writes colours as opacity, blue, green, red."""
    element = ET.SubElement(document, "Style", id=key)
    reverse = f"{colour[5:7]}{colour[3:5]}{colour[1:3]}"
    text(ET.SubElement(element, "IconStyle"), "color", f"ff{reverse}")
    line = ET.SubElement(element, "LineStyle")
    text(line, "color", f"b0{reverse}")
    text(line, "width", "2")


def style_of(track: Track) -> str:
    """Return the name of a track's style."""
    return "emergency" if emergency_of(track) else kind_of(track).key


def track_placemark(folder: ET.Element, track: Track, picture: MapPicture, key: str) -> None:
    """Add a track or a report as a point with its facts."""
    placemark = ET.SubElement(folder, "Placemark")
    text(placemark, "name", title_of(track, picture))
    text(placemark, "description", summary_of(track, picture))
    text(placemark, "styleUrl", f"#{key}")
    data = ET.SubElement(placemark, "ExtendedData")
    for name, value in facts_of(track, picture).items():
        if value not in (None, []):
            text(ET.SubElement(data, "Data", name=name), "value", fact_text(value))
    east, north = place(track.latitude, track.longitude)
    point = ET.SubElement(placemark, "Point")
    if track.altitude_m is None or track.on_ground:
        text(point, "coordinates", f"{east},{north}")
    else:
        text(point, "altitudeMode", "absolute")
        text(point, "coordinates", f"{east},{north},{round(track.altitude_m, 1)}")


def fact_text(value: object) -> str:
    """Return a fact as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "; ".join(value) if isinstance(value, list) else str(value)


def line_placemark(folder: ET.Element, name: str, key: str, line: list[Place]) -> None:
    """Add a line on the ground, cut at the antimeridian; nothing where there is none."""
    if not line:
        return
    placemark = ET.SubElement(folder, "Placemark")
    text(placemark, "name", name)
    text(placemark, "styleUrl", f"#{key}")
    parts = parted(line)
    parent = placemark if len(parts) == 1 else ET.SubElement(placemark, "MultiGeometry")
    for part in parts:
        element = ET.SubElement(parent, "LineString")
        text(element, "tessellate", "1")
        text(element, "coordinates", " ".join(f"{east},{north}" for east, north in part))


def station_folder(document: ET.Element, picture: MapPicture) -> None:
    """Add the station and its range rings."""
    station = picture.station
    if station is None:
        return
    folder = named_folder(document, "Station")
    placemark = ET.SubElement(folder, "Placemark")
    text(placemark, "name", station.callsign)
    east, north = place(station.latitude, station.longitude)
    text(ET.SubElement(placemark, "Point"), "coordinates", f"{east},{north}")
    for name, line in rings_of(picture):
        line_placemark(folder, f"{station.callsign} {name}", "ring", line)
