"""A position as people write it in settings and on a command line."""

from __future__ import annotations

from vtoc_bots.core.errors import UsageError


def parse_position(text: str) -> tuple[float, float]:
    """``LAT,LON`` in decimal degrees WGS84 → (latitude, longitude). Raises UsageError."""
    parts = text.replace(",", " ").split()
    try:
        latitude, longitude = (float(part) for part in parts)
    except ValueError:
        raise UsageError(f"{text!r} is no position. Write LAT,LON in degrees, e.g. 43.63,1.37", word=text) from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise UsageError(
            f"{text!r} is no position: latitude is -90..90, longitude -180..180. Write LAT,LON, e.g. 43.63,1.37",
            word=text,
        )
    return latitude, longitude
