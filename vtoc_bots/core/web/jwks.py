"""The published keys of a Supabase project, kept for some minutes and read anew for an unknown one."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import jwt
import structlog

from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.errors import ActionError
from vtoc_bots.core.ports import Clock

logger = structlog.get_logger(__name__)

KEPT_SECONDS: Final = 600.0
AGAIN_SECONDS: Final = 30.0
"""How often at most the keys are read because a token names an unknown one: anybody can make up a key's name."""
PROBE_SECONDS: Final = 60.0
ALGORITHMS: Final = ("ES256", "RS256", "EdDSA")
_PATH: Final = ("auth", "v1", ".well-known", "jwks.json")


class KeySet:
    """Public keys by their ids. A key that was known is used on while the project can't be reached."""

    def __init__(self, http: ServiceHttp, clock: Clock) -> None:
        self._http, self._clock = http, clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def key(self, key_id: str, algorithm: str) -> Any | None:
        """The key of that id for that algorithm, None where the project publishes none.

        Raises TransientError where the keys can't be read and this one is not known.
        """
        age = self._clock.monotonic() - self._read_at
        if age > (KEPT_SECONDS if key_id in self._keys else AGAIN_SECONDS):
            await self._read(key_id)
        found = self._keys.get(key_id)
        return found.key if found is not None and found.algorithm_name == algorithm else None

    async def probe(self) -> str | None:
        """What `/readyz` shows: reads the keys where that was not done in this minute. Raises what reading raises."""
        if self._clock.monotonic() - self._read_at > PROBE_SECONDS:
            await self._read("")
        return f"{len(self._keys)} keys"

    async def _read(self, key_id: str) -> None:
        began = self._read_at
        async with self._reading:
            if self._read_at != began:
                return  # another did meanwhile
            try:
                answer = await self._http.request("GET", *_PATH, operation="jwks")
                keys = keys_of(answer.document())
            except Exception:
                if key_id not in self._keys:
                    raise
                logger.warning("jwks_not_read", service=self._http.service.name)
                self._read_at = self._clock.monotonic() - KEPT_SECONDS + AGAIN_SECONDS
                return
            self._keys, self._read_at = keys, self._clock.monotonic()


def keys_of(document: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """The usable signing keys of a JWK Set (RFC 7517 §5); symmetric and unknown ones are left out.

    Raises ActionError for a document that is none.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ActionError("the project's key set has no list of keys. Is SUPABASE_URL right?")
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries:
        try:
            key = jwt.PyJWK.from_dict(entry)
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
            continue
        if key.key_id is not None and key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig"):
            keys[key.key_id] = key
    return keys
