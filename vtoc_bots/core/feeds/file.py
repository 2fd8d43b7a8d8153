"""Reading a file that another program rewrites or appends to while we watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path

from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.ports import Clock

_LARGEST_DOCUMENT_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 65_536


class FilePoller:
    """Looks at `path` every `interval_seconds`; `source` is named in error texts.

    With `documents` the file is a document that is replaced: each new version is read whole. Otherwise it is a log that
    grows: what is appended from now on is read; of one that was cut or replaced, all.
    """

    def __init__(self, source: str, path: Path, clock: Clock, *, interval_seconds: float, documents: bool) -> None:
        self._source, self._path, self._clock = source, path, clock
        self._interval, self._documents = interval_seconds, documents
        self._version: tuple[int, int] | None = None
        self._inode: int | None = None
        self._offset = 0

    async def chunks(self) -> AsyncGenerator[tuple[bytes, datetime]]:
        """Yield (bytes, when they were read) without end. Raises TransientError when the file can't be read."""
        look = self._replaced if self._documents else self._appended
        while True:
            try:
                data = await asyncio.to_thread(look)
            except OSError as error:
                what = error.strerror or str(error)
                raise TransientError(
                    f"{self._source}: can't read {self._path}: {what}. Check the source's url."
                ) from error
            if data:
                yield data, self._clock.now()
            if self._documents or len(data) < _CHUNK_BYTES:
                await self._clock.sleep(self._interval)

    def _replaced(self) -> bytes:
        status = self._path.stat()
        version = (status.st_ino, status.st_mtime_ns)
        if version == self._version:
            return b""
        with self._path.open("rb") as file:
            data = file.read(_LARGEST_DOCUMENT_BYTES)
        self._version = version
        return data

    def _appended(self) -> bytes:
        status = self._path.stat()
        if self._inode is None:
            self._offset = status.st_size
        elif self._inode != status.st_ino or status.st_size < self._offset:
            self._offset = 0
        self._inode = status.st_ino
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(_CHUNK_BYTES)
        self._offset += len(data)
        return data
