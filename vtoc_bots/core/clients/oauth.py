"""OAuth2 client credentials (RFC 6749 §4.4): a token fetched when needed, and renewed shortly before it expires."""

from __future__ import annotations

import asyncio
from typing import Final

from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.errors import ActionError
from vtoc_bots.core.ports import Clock

RENEW_BEFORE_SECONDS: Final = 30.0
USUAL_LIFE_SECONDS: Final = 300.0
"""Of a token whose endpoint does not say how long it lives."""


class ClientCredentials:
    """The token of one client; `path` is that of the token endpoint under the service's address."""

    def __init__(
        self,
        http: ServiceHttp,
        path: tuple[str, ...],
        clock: Clock,
        client_id: str,
        secret: str,
        *,
        scope: str | None = None,
    ) -> None:
        """`scope` are those to ask for, separated by spaces; None: the client's usual ones."""
        self._http, self._path, self._clock = http, path, clock
        self._client_id, self._secret, self._scope = client_id, secret, scope
        self._lock = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def token(self, refused: str | None = None) -> str:
        """The token, fetched anew where it is `refused` or about to expire; however many ask, it is fetched once.

        Raises TransientError, and ActionError with what a person can do.
        """
        async with self._lock:
            if not self._token or self._token == refused or self._clock.monotonic() >= self._until:
                await self._fetch()
            return self._token

    async def _fetch(self) -> None:
        form = {"grant_type": "client_credentials", "client_id": self._client_id, "client_secret": self._secret}
        if self._scope is not None:
            form["scope"] = self._scope
        answer = await self._http.request("POST", *self._path, operation="token", form=form, repeatable=True)
        document = answer.document()
        token, life = document.get("access_token"), document.get("expires_in", USUAL_LIFE_SECONDS)
        if not isinstance(token, str) or not token or not isinstance(life, int | float):
            raise ActionError(f"{self._http.service.name} gave no access_token. Is {self._http.service.address} right?")
        # One that lives for less than the margin is used for half its life.
        self._token = token
        self._until = self._clock.monotonic() + max(life / 2, life - RENEW_BEFORE_SECONDS)
