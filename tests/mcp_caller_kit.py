"""Clients of our own MCP server: the SDK's, in both eras of the protocol, and bare requests of a session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.api_kit import Api, open_api
from vtoc_bots.core.store.urls import DatabaseUrls

ERAS = ("legacy", "2026-07-28")
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
QUIET = "sources: {quiet: {type: adsb, mode: chatkit, url: 'readsb+http://127.0.0.1:9/aircraft.json'}}"
"""A source that nobody answers for: without any there is the exercise, for whose first report `tracks` waits."""


@asynccontextmanager
async def open_quiet_api(urls: DatabaseUrls, folder: Path, *given: Any, **environ: str) -> AsyncIterator[Api]:
    """`open_api` without traffic."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "connectors.yml").write_text(QUIET)
    async with open_api(urls, folder, *given, **environ) as opened:
        yield opened


def endpoint(api: Api) -> str:
    """Where MCP is served."""
    return f"{api.centre.runtime.address}/mcp"


@asynccontextmanager
async def client(api: Api, era: str, token: str = "operator", **options: Any) -> AsyncIterator[Client]:
    """A client with the token of that name."""
    headers = {"Authorization": f"Bearer {api.tokens[token]}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(endpoint(api), http_client=http), mode=era, cache=None, **options) as opened,
    ):
        yield opened


async def session_headers(api: Api, token: str = "operator") -> dict[str, str]:
    """The headers of a new session before 2026."""
    mine = {**HEADERS, "Authorization": f"Bearer {api.tokens[token]}"}
    async with api.session.post(endpoint(api), json=INITIALIZE, headers=mine) as answer:
        session = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
    headers = {**mine, **session}
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    async with api.session.post(endpoint(api), json=initialized, headers=headers) as answer:
        assert answer.status == 202
    return headers


async def audited(api: Api, event: str, subject: str) -> dict[str, Any]:
    """The newest audit row of an event about a subject."""
    row = await api.centre.row(
        """SELECT actor, station, detail FROM vtoc_engine.audit
        WHERE event = $1 AND subject = $2 ORDER BY at DESC LIMIT 1""",
        event,
        subject,
    )
    assert row is not None
    return dict(row)
