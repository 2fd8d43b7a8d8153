"""Text made harmless for a terminal: nothing in it moves the cursor, hides, or turns the reading order."""

from __future__ import annotations

import re
from typing import Final

from vtoc_bots import markup

TAB_CELLS: Final = 8

# What chat platforms may show but a terminal can't, beyond what `markup.clean` replaces: marks of direction, invisible
# formatting, tags. Joiners stay where they join (emoji, scripts).
_UNSEEN: Final = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff\U000e0000-\U000e007f]"
    "|\u200d(?=[\x00-\x7f]|\\Z)|(?:(?<=[\x00-\x7f])|\\A)\u200d"
)


def neutral_line(text: str) -> str:
    """The text on one line: line ends and tabs become spaces, every other control character a visible sign for it."""
    return _UNSEEN.sub(_shown, markup.clean_line(text))


def neutral_lines(text: str) -> list[str]:
    """The text's lines, each harmless; tabs are expanded to every eighth column."""
    return [_UNSEEN.sub(_shown, line.expandtabs(TAB_CELLS)) for line in markup.clean(text).split("\n")]


def _shown(found: re.Match[str]) -> str:
    return f"<U+{ord(found[0]):04X}>"
