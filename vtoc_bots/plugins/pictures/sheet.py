"""Divides a picture: banners, title, map frame, legend and notes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vtoc_bots.plugins.pictures.captions import emergency_of
from vtoc_bots.plugins.pictures.extent import Box
from vtoc_bots.plugins.pictures.picture import MapPicture


@dataclass(frozen=True, slots=True)
class Sheet:
    """The parts of a picture in pixels, y upwards."""

    width: float
    height: float
    unit: float
    """How large things are drawn: 1 at 1280 x 960."""
    banners: tuple[Box, ...]
    """The EXERCISE bands at top and bottom, or none."""
    header: Box
    alert: Box | None
    """The band that names emergencies."""
    frame: Box
    """The map itself."""
    footer: Box
    rows: int
    """Rows of text in the footer."""

    @property
    def row_height(self) -> float:
        """Pixels a row of the footer takes."""
        return 20.0 * self.unit


def sheet_of(picture: MapPicture, rows: int) -> Sheet:
    """Return the parts of a picture whose footer has `rows` rows."""
    width, height = float(picture.width_px), float(picture.height_px)
    unit = min(2.5, max(0.7, math.sqrt(width * height / (1280 * 960))))
    band = round(24 * unit)
    banners: tuple[Box, ...] = ()
    top, bottom = height, 0.0
    if picture.is_exercise:
        banners = (Box(0, height - band, width, height), Box(0, 0, width, band))
        top, bottom = height - band, float(band)
    header = Box(0, top - round(58 * unit), width, top)
    top = header.bottom
    alert = None
    if any(emergency_of(track) for track in picture.shown):
        alert = Box(0, top - round(26 * unit), width, top)
        top = alert.bottom
    footer = Box(0, bottom, width, bottom + round((rows * 20 + 8) * unit))
    frame = Box(round(62 * unit), footer.top + round(18 * unit), width - round(10 * unit), top)
    return Sheet(width, height, unit, banners, header, alert, frame, footer, rows)
