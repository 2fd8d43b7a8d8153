"""Telling the format of an ADS-B recording from its first bytes."""

from __future__ import annotations

import re
from typing import Final

FORMATS: Final = ("aircraft", "jsonport", "v2", "opensky", "sbs", "beast", "avr")

_FIRST_KEY = re.compile(rb'"(aircraft|ac|states|hex)"\s*:')
_FORMAT_OF_KEY: Final = {b"aircraft": "aircraft", b"ac": "v2", b"states": "opensky", b"hex": "jsonport"}
_SBS_LINE = re.compile(rb"^(?:MSG|MLAT|SEL|ID|AIR|STA|CLK),", re.MULTILINE)
_AVR_LINE = re.compile(rb"^[*:@%<][0-9A-Fa-f]{14,42};", re.MULTILINE)
_BEAST_START = re.compile(rb"\x1a[1-5\xe3]")
_FORMAT_OF_SUFFIX: Final = {
    "json": "aircraft",
    "jsonl": "jsonport",
    "ndjson": "jsonport",
    "bin": "beast",
    "beast": "beast",
    "avr": "avr",
    "raw": "avr",
    "csv": "sbs",
    "sbs": "sbs",
}


def detect_format(head: bytes, name: str) -> str:
    """One of `FORMATS`, by the content, else by the suffix of the file's name, else by whether it is binary.

    Garbage has a format too: its decoder counts it.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{") and (key := _FIRST_KEY.search(text)):
        return _FORMAT_OF_KEY[key[1]]
    if _SBS_LINE.search(text):
        return "sbs"
    if _AVR_LINE.search(text):
        return "avr"
    if _BEAST_START.search(head):
        return "beast"
    suffix = name.lower().removesuffix(".gz").rpartition(".")[2]
    if suffix in _FORMAT_OF_SUFFIX:
        return _FORMAT_OF_SUFFIX[suffix]
    return "beast" if b"\x00" in head else "sbs"
