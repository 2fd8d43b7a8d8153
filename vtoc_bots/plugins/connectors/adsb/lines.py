"""Cutting a byte stream into lines, whatever the chunks it comes in."""

from __future__ import annotations

LONGEST_LINE_BYTES = 65_536


class LineSplitter:
    """Gives whole lines without their end. A line longer than `LONGEST_LINE_BYTES` is counted and skipped.

    What it gives does not depend on where the stream was cut into chunks.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def split(self, data: bytes) -> tuple[list[bytes], int]:
        """The lines that are whole now, and how many overlong ones were skipped."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        overlong = 0
        if self._skipping and lines:
            self._skipping = False
            lines.pop(0)
        if any(len(line) > LONGEST_LINE_BYTES for line in lines):
            overlong = sum(len(line) > LONGEST_LINE_BYTES for line in lines)
            lines = [line for line in lines if len(line) <= LONGEST_LINE_BYTES]
        if self._skipping:
            self._rest = b""
        elif len(self._rest) > LONGEST_LINE_BYTES:
            self._rest = b""
            self._skipping = True
            overlong += 1
        return lines, overlong

    def finish(self) -> bytes:
        """The line that the end of the stream cut off, empty when none was; ready for a new stream."""
        rest, self._rest, self._skipping = self._rest, b"", False
        return rest
