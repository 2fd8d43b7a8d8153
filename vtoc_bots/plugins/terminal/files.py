"""Pictures and files of cards, saved where the operator finds them."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from vtoc_bots import Card, File, Image, NotFound
from vtoc_bots.plugins.terminal.wire import Saved

NAME_LENGTH: Final = 80
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def safe_name(name: str, blob: str, marks: int = 8) -> str:
    """``map.png`` as ``map-<first marks of the blob's hash>.png``: no folders, no leading dot, no odd letters.

    The same picture has the same name each time; another one of the same name has another.
    """
    stem, dot, suffix = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    stem = _UNSAFE.sub("_", stem).strip("._-")[:NAME_LENGTH] or "file"
    suffix = _UNSAFE.sub("", suffix)[:16]
    return f"{stem}-{_UNSAFE.sub('', blob)[:marks]}{'.' if suffix else ''}{suffix}"


class FileSaver:
    """Saves what cards need in one folder, which is made when it is first needed.

    `fetch` gives the bytes of a SHA-256, as `Blobs.get` does.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]], out_dir: Path) -> None:
        self._fetch, self._out_dir = fetch, out_dir.absolute()

    async def save(self, card: Card) -> dict[str, Saved]:
        """By blob: the path it was saved at, or why it could not be. Raises TransientError when the store is away."""
        blocks = {block.blob: block for block in card.blocks if isinstance(block, Image | File)}
        return {blob: await self._save(block) for blob, block in blocks.items()}

    async def _save(self, block: Image | File) -> Saved:
        try:
            data = await self._fetch(block.blob)
            path = await asyncio.to_thread(write_once, self._out_dir, block.name, block.blob, data)
        except NotFound:
            return Saved(problem="no longer stored")
        except OSError as error:
            return Saved(problem=f"not saved in {self._out_dir}: {error.strerror or error}")
        return Saved(str(path), size=len(data))


def write_once(folder: Path, name: str, blob: str, data: bytes) -> Path:
    """Write the bytes whole or not at all; a file that holds them already is left alone. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / safe_name(name, blob)
    if path.exists() and path.read_bytes() != data:
        path = folder / safe_name(name, blob, marks=64)  # somebody else's file stays theirs
    if path.exists() and path.read_bytes() == data:
        return path
    draft = folder / f".{secrets.token_hex(8)}.draft"
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path
