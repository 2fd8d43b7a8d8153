"""Bytes by their SHA-256: workers share no disk."""

from __future__ import annotations

import hashlib
from typing import Final

from vtoc_bots.core.errors import ActionError, NotFound
from vtoc_bots.core.store.pool import Store

LARGEST_BYTES: Final = 64 * 1024 * 1024

# A blob that is used again is young again: what refers to it may just have been made.
_PUT: Final = """
INSERT INTO vtoc_engine.blobs (sha256, bytes, type) VALUES ($1, $2, $3)
ON CONFLICT (sha256) DO UPDATE SET created_at = now()
"""
_GET: Final = "SELECT bytes FROM vtoc_engine.blobs WHERE sha256 = $1"


class BlobRows:
    """Stores and gives blobs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, data: bytes, content_type: str) -> str:
        """Store and return the hexadecimal SHA-256. Raises ActionError past LARGEST_BYTES."""
        if len(data) > LARGEST_BYTES:
            raise ActionError(f"{len(data):,} bytes are too many to store; {LARGEST_BYTES:,} at most")
        sha256 = hashlib.sha256(data).hexdigest()
        await self._store.execute(_PUT, sha256, data, content_type, timeout=30, idempotent=True)
        return sha256

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound when retention has removed them."""
        data = await self._store.fetchval(_GET, sha256, timeout=30, idempotent=True)
        if data is None:
            raise NotFound(f"the file {sha256[:12]}… is no longer kept")
        return bytes(data)
