"""Credentials of HTTP servers: a bearer token, or one that is fetched with client credentials and renewed in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import httpx2

from vtoc_bots.core.clients.answers import Service
from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.clients.mcp.config import FILE, ServerConfig
from vtoc_bots.core.errors import ActionError
from vtoc_bots.core.ports import Clock

RENEW_BEFORE_SECONDS: Final = 30.0
USUAL_LIFE_SECONDS: Final = 300.0
"""Of a token whose endpoint does not say how long it lives."""


class Bearer(httpx2.Auth):
    """A token that does not change."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send it along."""
        request.headers["Authorization"] = self._header
        yield request


class ClientCredentials(httpx2.Auth):
    """A token of OAuth2 client credentials (RFC 6749 §4.4): fetched when needed, renewed shortly before it expires.

    One that is refused before its time is renewed once, and the request sent again.
    """

    def __init__(self, config: ServerConfig, http: ServiceHttp, clock: Clock) -> None:
        self._config, self._http, self._clock = config, http, clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send a token along that should hold, and a new one where it did not."""
        token = await self._held()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {await self._held(refused=token)}"
            yield request

    async def _held(self, refused: str | None = None) -> str:
        """The token, fetched anew where it is `refused` or about to expire."""
        async with self._lock:
            if self._token == refused or self._clock.monotonic() >= self._until:
                await self._fetch()
            return self._token

    async def _fetch(self) -> None:
        oauth = self._config.entry.oauth
        assert oauth is not None
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id or "",
            "client_secret": self._config.client_secret or "",
        }
        if oauth.scope is not None:
            form["scope"] = oauth.scope
        document = (await self._http.request("POST", operation="token", form=form)).document()
        token, life = document.get("access_token"), document.get("expires_in", USUAL_LIFE_SECONDS)
        if not isinstance(token, str) or not token or not isinstance(life, int | float):
            raise ActionError(f"{self._http.service.name} gave no access_token; check {self._http.service.address}")
        self._token = token
        self._until = self._clock.monotonic() + max(1.0, life - RENEW_BEFORE_SECONDS)


def token_service(config: ServerConfig) -> Service:
    """The token endpoint as people know it."""
    place = f"servers.{config.name}.oauth in config/{FILE}"
    return Service(f"the token endpoint of MCP server {config.name}", place, f"{place} (token_url)")
