"""The kinds of source a map tells apart, each by its own shape as well as its colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vtoc_bots import Track

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind of source. `outline` points up, within about one unit of its centre."""

    key: str
    title: str
    letter: str
    """Stands inside the symbols that have no direction and so can't show the outline."""
    colour: str
    outline: Outline


# The colours are Okabe and Ito's and Tol's: apart for every common colour vision, and dark enough for a light map.
ADSB: Final = SourceKind("adsb", "ADS-B", "A", "#0067a5", ((0, 1), (0.74, -0.84), (0, -0.42), (-0.74, -0.84)))
MLAT: Final = SourceKind("mlat", "MLAT", "M", "#c75000", ((0, 1.1), (0.66, -0.3), (0, -0.85), (-0.66, -0.3)))
TISB: Final = SourceKind(
    "tisb", "TIS-B", "T", "#00795a", ((0, 1), (0.62, 0.2), (0.62, -0.75), (-0.62, -0.75), (-0.62, 0.2))
)
FUSED: Final = SourceKind(
    "fused",
    "several sources",
    "S",
    "#7a2182",
    (
        *((0, 1.05), (0.2, 0.72), (0.2, 0.32), (1.02, -0.22), (1.02, -0.5), (0.2, -0.2), (0.17, -0.62)),
        *((0.45, -0.85), (0.45, -1.05), (0, -0.92), (-0.45, -1.05), (-0.45, -0.85), (-0.17, -0.62)),
        *((-0.2, -0.2), (-1.02, -0.5), (-1.02, -0.22), (-0.2, 0.32), (-0.2, 0.72)),
    ),
)
OTHER: Final = SourceKind(
    "other",
    "other",
    "O",
    "#4d4d4d",
    (
        *((0, 1.1), (0.42, 0.32), (0.62, 0.0), (0.62, -0.3), (0.44, -0.6), (0.16, -0.74)),
        *((-0.16, -0.74), (-0.44, -0.6), (-0.62, -0.3), (-0.62, 0.0), (-0.42, 0.32)),
    ),
)
KINDS: Final = (ADSB, MLAT, TISB, FUSED, OTHER)

PREFIXES: Final = (("adsb", ADSB), ("adsr", ADSB), ("mlat", MLAT), ("tisb", TISB))


def kind_of(track: Track) -> SourceKind:
    """Return the kind a track is drawn as: `FUSED` when more than one source tells of it."""
    if len(track.sources) > 1:
        return FUSED
    position_kind = track.position_kind or ""
    return next((kind for prefix, kind in PREFIXES if position_kind.startswith(prefix)), OTHER)
