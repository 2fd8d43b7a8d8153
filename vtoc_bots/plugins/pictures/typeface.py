"""Text as outlines of matplotlib's own DejaVu Sans: measured and drawn from the same glyphs, without a font search."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.ft2font import FT2Font, LoadFlags
from matplotlib.path import Path
from numpy.typing import NDArray

from vtoc_bots.plugins.pictures.projection import Floats

UNITS = 100.0
"""The size glyphs are loaded at; outlines scale from there."""
UNKNOWN = "\N{WHITE SQUARE}"
"""Stands for a character the typeface lacks."""
CAP_HEIGHT = 0.73
"""Height of a capital as a part of the size."""
LINE_HEIGHT = 1.2


class Glyph(NamedTuple):
    """One character's outline at size 1, and how far it moves the pen."""

    vertices: Floats
    codes: NDArray[np.uint8]
    advance: float


class Run(NamedTuple):
    """A text to draw: `x` and `y` are its baseline's left end in pixels."""

    text: str
    x: float
    y: float
    size: float
    bold: bool = False


@functools.cache
def _font(bold: bool) -> FT2Font:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    font = FT2Font(str(FilePath(mpl.get_data_path()) / "fonts" / "ttf" / name))
    font.set_size(UNITS, 72)
    return font


@functools.cache
def _characters(bold: bool) -> frozenset[int]:
    return frozenset(_font(bold).get_charmap())


@functools.lru_cache(maxsize=4096)
def _glyph(character: str, bold: bool) -> Glyph:
    font = _font(bold)
    loaded = font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
    vertices, codes = font.get_path()
    advance = loaded.linearHoriAdvance / 65536 / UNITS
    return Glyph(np.asarray(vertices, dtype=np.float64) / UNITS, np.asarray(codes, dtype=np.uint8), advance)


@functools.lru_cache(maxsize=4096)
def printable(text: str) -> str:
    """Return the text as one line of characters the typeface has; what it lacks becomes an empty square."""
    shown = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if character.isspace():
            shown.append(" ")
        elif category[0] != "C" and category not in ("Mn", "Me"):
            known = ord(character) in _characters(False) and ord(character) in _characters(True)
            shown.append(character if known else UNKNOWN)
    return " ".join("".join(shown).split())


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the pixels a printable text takes at a size in pixels."""
    return size * sum(_glyph(character, bold).advance for character in text)


def shortened(text: str, room: float, size: float, bold: bool = False) -> str:
    """Return the text, cut with an ellipsis where it is wider than `room` pixels."""
    if text_width(text, size, bold) <= room:
        return text
    while text and text_width(text + "…", size, bold) > room:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def outlines(runs: Iterable[Run]) -> Path | None:
    """Return one path of all the texts, or None when they print nothing."""
    vertices, codes = [], []
    for run in runs:
        pen = round(run.x * 4) / 4
        base = round(run.y)
        for character in run.text:
            glyph = _glyph(character, run.bold)
            if len(glyph.vertices):
                vertices.append(glyph.vertices * run.size + (pen, base))
                codes.append(glyph.codes)
            pen += glyph.advance * run.size
    return Path(np.concatenate(vertices), np.concatenate(codes)) if vertices else None
