"""What a program writes to its standard error: logged line by line, its last lines kept for error texts."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import Final, TextIO

import structlog

logger = structlog.get_logger(__name__)

KEPT_LINES: Final = 5
LONGEST_LINE: Final = 500
MOST_BYTES: Final = 64 * 1024


class Stderr(asyncio.Protocol):
    """A pipe whose end `file` is for the program."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._rest = b""
        self._transport: asyncio.ReadTransport | None = None
        self.file: TextIO | None = None

    async def open(self) -> TextIO:
        """The end to give to the program."""
        reading, writing = os.pipe()
        self.file = os.fdopen(writing, "w")
        loop = asyncio.get_running_loop()
        # The transport closes the file; opened without a buffer, so that nothing is lost between the two.
        self._transport, _ = await loop.connect_read_pipe(lambda: self, os.fdopen(reading, "rb", buffering=0))
        return self.file

    def close(self) -> None:
        """Read no more."""
        if self.file is not None:
            self.file.close()
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Log what is a whole line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-MOST_BYTES:]
        for line in lines:
            text = line.decode("utf-8", "replace").strip()[:LONGEST_LINE]
            if text:
                self._lines.append(text)
                logger.debug("mcp_server_said", server=self._server, text=text)

    def last_words(self) -> str:
        """The end of what it wrote, as a part of a sentence; empty where it wrote nothing."""
        return f"; it wrote: {' / '.join(self._lines)[-LONGEST_LINE:]}" if self._lines else ""
