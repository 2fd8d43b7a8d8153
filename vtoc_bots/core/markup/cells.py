"""How wide text is in cells of a fixed pitch, and where it may be cut without breaking a character that is seen."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from typing import Final

from rich.cells import cell_len

FARTHEST: Final = 64
"""How many code points are looked back for a boundary; what people write joins fewer."""
_JOINER: Final = "\u200d"


def padded(text: str, cells: int, *, right: bool = False) -> str:
    """The text filled up with spaces to a width in cells; longer text stays whole."""
    space = " " * (cells - cell_len(text))
    return space + text if right else text + space


def wrapped(text: str, cells: int) -> list[str]:
    """The text in lines of at most so many cells (2 or more): between words, or else within them."""
    lines: list[str] = []
    rest = text
    while (fits := _fitting(rest, cells)) < len(rest):
        space = rest.rfind(" ", 1, fits + 1)
        end = space if space > 0 else boundary(rest, fits)
        lines.append(rest[:end].rstrip(" "))
        rest = rest[end:].lstrip(" ")
    return [*lines, rest] if rest or not lines else lines


def _fitting(text: str, cells: int) -> int:
    """How many code points from its beginning are at most so many cells wide."""
    most = cells
    while most < len(text) and cell_len(text[:most]) <= cells:
        most *= 2  # marks without width are many in some scripts
    return bisect_right(range(min(most, len(text)) + 1), cells, key=lambda at: cell_len(text[:at])) - 1


def boundary(text: str, most: int) -> int:
    """The last place at or before `most` (1 or more) that is between two characters as people see them.

    A combining mark stays with its letter, an emoji of several code points and a flag's two letters stay together;
    only a cluster that fills all of ``text[:most]``, or is longer than 64 code points, is cut at `most`.
    """
    for at in range(min(most, len(text)), max(0, most - FARTHEST), -1):
        if not _joined(text, at):
            return at
    return most


def _joined(text: str, at: int) -> bool:
    """Whether the characters before and after this place make one that is seen."""
    if at <= 0 or at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if after < "\u0300" or before == "\n":
        return False
    if after == _JOINER or before == _JOINER or unicodedata.category(after)[0] == "M":
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":  # skin tones, tags of flags
        return True
    if _is_flag_letter(after) and _is_flag_letter(before):
        start = at
        while start and _is_flag_letter(text[start - 1]):
            start -= 1
        return (at - start) % 2 == 1
    # Hangul that is written in single letters
    return "\u1160" <= after <= "\u11ff" and "\u1100" <= before <= "\u11ff"


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
