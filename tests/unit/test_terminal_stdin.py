"""Lines of a file descriptor."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from vtoc_bots.plugins.terminal import stdin
from vtoc_bots.plugins.terminal.stdin import lines_of


async def all_lines(descriptor: int) -> list[str]:
    return [line async for line in lines_of(descriptor)]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\n\r\nno end", ["one", "", "no end"]),
        ("\ufeff/log é\n".encode(), ["/log é"]),
        (b"\xff\xfe\n", ["\ufffd\ufffd"]),
    ],
)
async def test_a_file_is_read_to_its_end(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    path = tmp_path / "input"
    await asyncio.to_thread(path.write_bytes, data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert await all_lines(descriptor) == lines
    finally:
        os.close(descriptor)


async def test_a_line_is_there_as_soon_as_it_is_written() -> None:
    reader, writer = os.pipe()
    lines = lines_of(reader)
    try:
        os.write(writer, b"one\ntw")
        assert await anext(lines) == "one"
        following = asyncio.ensure_future(anext(lines))
        os.write(writer, b"o\n")
        assert await following == "two"
    finally:
        await lines.aclose()
        os.close(writer)
        os.close(reader)


async def test_nobody_waits_for_input_that_is_not_wanted_any_more() -> None:
    reader, writer = os.pipe()
    reading = asyncio.create_task(all_lines(reader))
    try:
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        # The thread that waited is free again: all of a small pool's threads would be taken otherwise.
        await asyncio.to_thread(threading.current_thread)
        os.write(writer, b"later\n")
        assert os.read(reader, 10) == b"later\n"
    finally:
        os.close(writer)
        os.close(reader)


async def test_an_endless_line_comes_in_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stdin, "LINE_BYTES", 10)
    monkeypatch.setattr(stdin, "CHUNK_BYTES", 8)
    path = tmp_path / "input"
    await asyncio.to_thread(path.write_bytes, b"x" * 25)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert await all_lines(descriptor) == ["x" * 10, "x" * 10, "x" * 5]
    finally:
        os.close(descriptor)
