"""Credentials of HTTP servers: a bearer token, or one that is fetched with client credentials and renewed in time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import aiohttp
import httpx2

from vtoc_bots.core.clients.answers import Service
from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.clients.mcp.config import FILE, ServerConfig
from vtoc_bots.core.clients.oauth import ClientCredentials
from vtoc_bots.core.ports import Clock


class Bearer(httpx2.Auth):
    """A token that does not change."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send it along."""
        request.headers["Authorization"] = self._header
        yield request


class Renewed(httpx2.Auth):
    """A token of OAuth2 client credentials. One that is refused before its time is renewed once, and the request sent
    again."""

    def __init__(self, credentials: ClientCredentials) -> None:
        self._credentials = credentials

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send a token along that should hold, and a new one where it did not."""
        token = await self._credentials.token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {await self._credentials.token(token)}"
            yield request


def auth_of(config: ServerConfig, session: Callable[[], aiohttp.ClientSession], clock: Clock) -> httpx2.Auth | None:
    """What a server's requests carry; None for one that needs nothing."""
    if config.token is not None:
        return Bearer(config.token)
    oauth = config.entry.oauth
    if oauth is None:
        return None
    http = ServiceHttp(session, token_service(config), oauth.token_url, clock)
    client = (config.client_id or "", config.client_secret or "")
    return Renewed(ClientCredentials(http, (), clock, *client, scope=oauth.scope))


def token_service(config: ServerConfig) -> Service:
    """The token endpoint as people know it."""
    place = f"servers.{config.name}.oauth in config/{FILE}"
    return Service(f"the token endpoint of MCP server {config.name}", place, f"{place} (token_url)")
