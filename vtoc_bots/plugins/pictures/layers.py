"""What a picture is made of before it is drawn: fills, strokes and words in pixels, in drawing order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.path import Path

from vtoc_bots.plugins.pictures.projection import Floats
from vtoc_bots.plugins.pictures.typeface import Run

Colour = str | tuple[float, float, float, float]


class Fill(NamedTuple):
    """Polygons, each with its face; all with one edge."""

    polygons: Sequence[Floats]
    faces: Sequence[Colour]
    edges: Sequence[Colour]
    width: float = 0.0
    clipped: bool = False
    """Whether it ends at the map's frame."""


class Stroke(NamedTuple):
    """Lines, each with its colour."""

    lines: Sequence[Floats]
    colours: Sequence[Colour]
    width: float
    dashes: tuple[float, ...] = ()
    clipped: bool = False


class Area(NamedTuple):
    """One compound path, e.g. all land in sight with its lakes."""

    path: Path
    face: Colour | None
    edge: Colour | None
    width: float = 0.0
    dashes: tuple[float, ...] = ()
    clipped: bool = True


class Words(NamedTuple):
    """Texts of one colour; a halo keeps them legible over lines."""

    runs: Sequence[Run]
    colour: Colour
    halo: Colour | None = None
    clipped: bool = False


Layer = Fill | Stroke | Area | Words
