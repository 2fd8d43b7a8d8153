"""The lines of a file descriptor, read without blocking the loop, and without a thread left behind."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator
from typing import Final

CHUNK_BYTES: Final = 65_536
LINE_BYTES: Final = 1_000_000


async def lines_of(descriptor: int) -> AsyncIterator[str]:
    """Lines of UTF-8 without their ends; what is not UTF-8 is replaced. Pipes, files and terminals alike.

    A line longer than a megabyte comes in pieces.
    """
    loop = asyncio.get_running_loop()
    wake_reader, wake_writer = os.pipe()
    pending, reading = b"", None
    try:
        while True:
            # A thread, because a loop can't watch ordinary files; the pipe ends its wait when no lines are wanted.
            reading = loop.run_in_executor(None, _chunk, descriptor, wake_reader)
            chunk = await asyncio.shield(reading)
            if not chunk:
                break
            *whole, pending = (pending + chunk).split(b"\n")
            for line in whole:
                yield _text(line)
            while len(pending) > LINE_BYTES:
                yield _text(pending[:LINE_BYTES])
                pending = pending[LINE_BYTES:]
        if pending:
            yield _text(pending)
    finally:
        os.close(wake_writer)
        if reading is not None:
            await asyncio.wait([reading])
        os.close(wake_reader)


def _chunk(descriptor: int, wake: int) -> bytes:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.register(wake, select.POLLIN)
    ready = {number for number, _ in poll.poll()}
    return b"" if wake in ready else os.read(descriptor, CHUNK_BYTES)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace").removeprefix("\ufeff")
