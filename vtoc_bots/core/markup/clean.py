"""Text from elsewhere made harmless: no controls, no lone surrogates, nothing that turns the reading order."""

from __future__ import annotations

import re
from typing import Final

TAB_CELLS: Final = 8

# C0 and C1 controls except tab and line feed, bidirectional embeddings, overrides and isolates (with which a text can
# be made to read as another one), interlinear marks, and surrogates, which no encoding takes.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]")
_ENDS_OF_LINE: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")


def clean(text: str) -> str:
    """The text with line feeds at its line ends and a visible sign for every character that is not for reading."""
    return _UNSAFE.sub(_shown, one_line_end(text))


def one_line_end(text: str) -> str:
    """The text with line feeds at its line ends, whatever stood there."""
    return _ENDS_OF_LINE.sub("\n", text)


def clean_line(text: str) -> str:
    """The cleaned text on one line: line ends and tabs become spaces."""
    return clean(text).replace("\n", " ").replace("\t", " ")


def clean_lines(text: str) -> str:
    """The cleaned text, tabs expanded to every eighth column."""
    return clean(text).expandtabs(TAB_CELLS)


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's Control Pictures: ␛ for the escape character
    return "␡" if code == 0x7F else f"<U+{code:04X}>"
