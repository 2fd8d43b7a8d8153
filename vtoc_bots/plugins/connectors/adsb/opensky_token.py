"""Proving to OpenSky who asks: OAuth2 client credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import aiohttp
import orjson

from vtoc_bots import Clock, TransientError
from vtoc_bots.plugins.connectors.adsb.settings import OpenSkyAccount

_EARLY_SECONDS = 60.0
_USUAL_LIFE_SECONDS = 1800.0


class OpenSkyToken:
    """Fetches a bearer token and renews it a minute before it expires, or when it was refused."""

    def __init__(
        self,
        source: str,
        account: OpenSkyAccount,
        clock: Clock,
        http: Callable[[], aiohttp.ClientSession],
        timeout_seconds: float,
    ) -> None:
        self._source, self._account, self._clock, self._http = source, account, clock, http
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._token = ""
        self._until = float("-inf")

    async def headers(self, refused: bool) -> Mapping[str, str]:
        """The Authorization header; `refused` when the last request was answered 401. Raises TransientError."""
        if refused or self._clock.monotonic() >= self._until:
            self._token, life = await self._fetch()
            self._until = self._clock.monotonic() + max(life - _EARLY_SECONDS, 0.0)
        return {"Authorization": f"Bearer {self._token}"}

    async def _fetch(self) -> tuple[str, float]:
        secret = self._account.client_secret
        form = {
            "grant_type": "client_credentials",
            "client_id": self._account.client_id or "",
            "client_secret": secret.get_secret_value() if secret else "",
        }
        async with self._http().post(self._account.token_url, data=form, timeout=self._timeout) as response:
            if response.status != 200:
                raise TransientError(
                    f"{self._source}: OpenSky's token service answered {response.status}. "
                    "Check OPENSKY_CLIENT_ID and OPENSKY_CLIENT_SECRET."
                )
            try:
                answer = orjson.loads(await response.read())
                return str(answer["access_token"]), float(answer.get("expires_in", _USUAL_LIFE_SECONDS))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise TransientError(
                    f"{self._source}: OpenSky's token service gave no token. It is tried again."
                ) from error
