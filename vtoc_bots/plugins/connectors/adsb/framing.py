"""Cutting Beast and AVR streams into Mode S frames, whatever the chunks they come in."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Protocol

from vtoc_bots import Rejected
from vtoc_bots.plugins.connectors.adsb.lines import LineSplitter

MLAT_TICKS: Final = 0xFF004D4C4154
"""The time stamp that mlat-client puts on positions it computed: FF, 00, "MLAT"."""


class Frame(NamedTuple):
    """One Mode S frame of 7 or 14 bytes.

    `ticks` is the receiver's 12 MHz counter, None where there is none; `mlat` marks a position made by multilateration.
    """

    data: bytes
    ticks: int | None
    mlat: bool


class Framer(Protocol):
    """Cuts a byte stream."""

    def frames(self, data: bytes) -> list[Frame | Rejected]:
        """What is whole now."""
        ...

    def finish(self) -> list[Frame | Rejected]:
        """What the end of the stream cut off; ready for a new stream."""
        ...


_BYTE = rb"(?:[^\x1a]|\x1a\x1a)"
_WHOLE = re.compile(
    rb"\x1a(?:2(" + _BYTE + rb"{14})|3(" + _BYTE + rb"{21})|1(" + _BYTE + rb"{9})|[45](" + _BYTE + rb"{21})"
    rb"|\xe3(" + _BYTE + rb"{8}))",
    re.DOTALL,
)
_PARTIAL = re.compile(
    rb"\x1a(?:(?:2" + _BYTE + rb"{0,13}|[345]" + _BYTE + rb"{0,20}|1" + _BYTE + rb"{0,8}"
    rb"|\xe3" + _BYTE + rb"{0,7})\x1a?)?\Z",
    re.DOTALL,
)
_MODE_S_SHORT, _MODE_S_LONG, _MODE_AC, _STATUS, _RECEIVER = 1, 2, 3, 4, 5
_HEADER_BYTES = 7  # 6 of time stamp, 1 of signal level


class BeastFramer:
    r"""Mode-S Beast's binary format: ``0x1a``, a type, then time stamp (6 bytes), signal (1), frame; 0x1a doubled.

    Types: ``1`` Mode A/C, ``2`` short and ``3`` long Mode S frame, ``4`` status, ``5`` the receiver's position
    (Radarcape), ``0xe3`` the receiver's id that readsb puts before a frame.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._lost = False

    def frames(self, data: bytes) -> list[Frame | Rejected]:
        """One result for each message that is whole now, and one for each stretch between two that is none."""
        buffer = self._rest + data if self._rest else data
        results: list[Frame | Rejected] = []
        at, end, match = 0, len(buffer), _WHOLE.match
        while at < end:
            found = match(buffer, at)
            if found is None:
                if buffer[at] == 0x1A and _PARTIAL.match(buffer, at):
                    break
                at = self._skip(buffer, at, results)
                continue
            at = found.end()
            self._lost = False
            kind = found.lastindex or 0
            if kind == _RECEIVER:
                continue
            body = found[kind]
            if b"\x1a" in body:
                body = body.replace(b"\x1a\x1a", b"\x1a")
            results.append(_frame_of(body) if kind in (_MODE_S_SHORT, _MODE_S_LONG) else _REJECTED_KIND[kind])
        self._rest = buffer[at:]
        return results

    def finish(self) -> list[Frame | Rejected]:
        """A message that the end cut off."""
        rest, self._rest, self._lost = self._rest, b"", False
        return [Rejected("truncated")] if rest else []

    def _skip(self, buffer: bytes, at: int, results: list[Frame | Rejected]) -> int:
        """Pass over what is no message up to the next 0x1a; a message begun and broken off counts for itself."""
        begun = buffer[at] == 0x1A and buffer[at + 1 : at + 2] in _TYPES
        if begun or not self._lost:
            results.append(Rejected("truncated" if begun else "framing"))
        self._lost = True
        if begun:
            return _broken_at(buffer, at)
        doubled = buffer[at : at + 2] == b"\x1a\x1a"
        following = buffer.find(b"\x1a", at + 2 if doubled else at + 1)
        return len(buffer) if following < 0 else following


_TYPES = (b"1", b"2", b"3", b"4", b"5", b"\xe3")
_REJECTED_KIND: Final = {_MODE_AC: Rejected("mode_ac"), _STATUS: Rejected("status")}


def _broken_at(buffer: bytes, at: int) -> int:
    """Where the message begun at `at` breaks off: the 0x1a that is not doubled, so may begin the next."""
    at = buffer.find(b"\x1a", at + 2)
    while buffer[at + 1 : at + 2] == b"\x1a":
        at = buffer.find(b"\x1a", at + 2)
    return at


def _frame_of(body: bytes) -> Frame:
    ticks = int.from_bytes(body[:6], "big")
    if ticks == MLAT_TICKS:
        return Frame(body[_HEADER_BYTES:], None, True)
    return Frame(body[_HEADER_BYTES:], ticks or None, False)


_TERMINATORS = bytes.maketrans(b";\r", b"\n\n")
_STAMP_DIGITS = 12
_SIGNAL_DIGITS = 2


class AvrFramer:
    """AVR text: ``*hex;``, ``@stamp hex;`` (12 digits of 12 MHz ticks), ``<stamp signal hex;`` (2 more); no blanks.

    ``:`` stands for ``*`` and ``%`` for ``@`` in some receivers' output.
    """

    def __init__(self) -> None:
        self._lines = LineSplitter()

    def frames(self, data: bytes) -> list[Frame | Rejected]:
        """One result for each record that is whole now."""
        lines, overlong = self._lines.split(data.translate(_TERMINATORS))
        results = [_frame_of_text(line) for line in lines if line.strip()]
        return results + [Rejected("oversize")] * overlong

    def finish(self) -> list[Frame | Rejected]:
        """The last record, if it is whole but for its end."""
        rest = self._lines.finish().strip()
        if not rest:
            return []
        result = _frame_of_text(rest)
        return [Rejected("truncated") if isinstance(result, Rejected) else result]


def _frame_of_text(line: bytes) -> Frame | Rejected:
    text = line.strip().decode("latin-1")
    ticks: int | None = None
    try:
        if text[0] in "@%<":
            ticks = int.from_bytes(bytes.fromhex(text[1 : 1 + _STAMP_DIGITS]), "big")
            data = bytes.fromhex(text[1 + _STAMP_DIGITS + (_SIGNAL_DIGITS if text[0] == "<" else 0) :])
        elif text[0] in "*:":
            data = bytes.fromhex(text[1:])
        else:
            return Rejected("malformed", text[:60])
    except ValueError:
        return Rejected("malformed", text[:60])
    if len(data) not in (7, 14):
        return Rejected("mode_ac" if len(data) == 2 else "malformed", text[:60])
    if ticks == MLAT_TICKS:
        return Frame(data, None, True)
    return Frame(data, ticks or None, False)
