"""Text from elsewhere made harmless: nothing in it moves the cursor, hides, or turns the reading order."""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len

TAB_CELLS: Final = 8

# What a terminal acts upon or can't show: C0 and C1 controls, line and paragraph separators, bidirectional controls,
# invisible formatting, tags, and surrogates, which no encoding takes. Joiners stay where they join (emoji, scripts).
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
    "|\u200d(?=[\x00-\x7f]|\\Z)|(?:(?<=[\x00-\x7f])|\\A)\u200d"
)
_ENDS_OF_LINE: Final = re.compile("\r\n|\r|\x0b|\x0c|\x85|\u2028|\u2029")


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's Control Pictures: ␛ for the escape character
    return "␡" if code == 0x7F else f"<U+{code:04X}>"


def neutral_line(text: str) -> str:
    """The text on one line: line ends and tabs become spaces, every other control character a visible sign for it."""
    text = _ENDS_OF_LINE.sub("\n", text).replace("\n", " ").replace("\t", " ")
    return _UNSAFE.sub(_shown, text)


def neutral_lines(text: str) -> list[str]:
    """The text's lines, each harmless; tabs are expanded to every eighth column."""
    lines = _ENDS_OF_LINE.sub("\n", text).split("\n")
    return [_UNSAFE.sub(_shown, line.expandtabs(TAB_CELLS)) for line in lines]


def padded(text: str, cells: int, *, right: bool = False) -> str:
    """The text filled up with spaces to a width in terminal cells; longer text stays whole."""
    space = " " * (cells - cell_len(text))
    return space + text if right else text + space
