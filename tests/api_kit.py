"""The HTTP API of a whole runtime over a real socket, with tokens of two stations."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson

from tests.centre_kit import Centre, open_centre
from vtoc_bots.core.access import Level, Station
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.api_tokens import ApiTokens
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.core.web.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature_of

JWT_SECRET = "a-shared-secret-of-sixty-four-bytes-which-is-enough-for-sha-512-too"
WEBHOOK_SECRET = "a-webhook-secret"
STATIONS = """
stations:
  toc-s1: {callsign: TOC-S1, role: ops}
  toc-s2: {callsign: TOC-S2, role: ops}
  toc-i1: {callsign: TOC-I1, role: intel}
"""
PLAYBOOKS = {
    "count": (
        "inputs: {what: {type: string, default: salt}, n: {type: int, default: 1}}\n"
        "steps:\n  - {id: one, uses: centre.count, with: {what: '${{ inputs.what }}'}}\n"
        "reply: {card: {title: 'Counted ${{ inputs.what }}'}}\n"
    ),
    "waiting": "steps:\n  - {id: one, uses: centre.count}\n  - {id: two, uses: centre.wait, needs: [one]}\n",
    "guarded": (
        "approval: {quorum: 1, level: lead, exclude_requester: true}\n"
        "steps:\n  - {id: one, uses: centre.count, with: {what: guarded}}\n"
    ),
}


class Said(NamedTuple):
    """An answer of the API."""

    status: int
    body: Any
    headers: dict[str, str]


class Api:
    """The API as a client sees it."""

    def __init__(self, centre: Centre, session: aiohttp.ClientSession, tokens: dict[str, str]) -> None:
        self.centre, self.session, self.tokens = centre, session, tokens
        assert centre.runtime.address is not None
        self.base = f"{centre.runtime.address}/api/v1"

    async def call(self, method: str, path: str, *, token: str | None = "operator", **options: Any) -> Said:
        """Ask with the token of that name, None for none."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens.get(token, token)}")
        if len(options.get("data") or b"") > 2**20:
            options["data"] = io.BytesIO(options["data"])
        async with self.session.request(method, self.base + path, headers=headers, **options) as response:
            data = await response.read()
            body = orjson.loads(data) if "json" in response.content_type else data
            return Said(response.status, body, dict(response.headers))

    async def get(self, path: str, **options: Any) -> Said:
        """GET."""
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Said:
        """POST, JSON where there is a body."""
        return await self.call("POST", path, **({"json": body} if body is not None else {}), **options)

    async def webhook(self, path: str, body: bytes, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> Said:
        """POST a signed webhook, with a timestamp where `at` is given (0: now)."""
        timestamp = None if at is None else str(int(at or time.time()))
        headers = {SIGNATURE_HEADER: signature_of(secret, body, timestamp), "Content-Type": "application/json"}
        if timestamp is not None:
            headers[TIMESTAMP_HEADER] = timestamp
        return await self.call("POST", path, token=None, data=body, headers=headers)

    async def station(self, slug: str) -> Station:
        """A station."""
        return await self.centre.runtime.people.station(slug)

    async def make_token(self, name: str, station: str, level: Level, days: int | None = None) -> str:
        """A token, known to `call` by its name."""

        def audit(token_id: Any) -> Any:
            return audit_row(
                actor="test",
                event="token.created",
                subject=f"token:{token_id}",
                station=station,
                detail={},
                correlation_id=new_id(),
                at=datetime.now(UTC),
            )

        tokens = ApiTokens(self.centre.runtime.store)
        made, _, _ = await tokens.create(await self.station(station), name, level, days, audit)
        self.tokens[name] = made
        return made

    async def revoke(self, name: str) -> None:
        """End a token, as of now."""
        await self.centre.runtime.store.execute("UPDATE vtoc.api_tokens SET revoked_at = now() WHERE name = $1", name)
        self.centre.runtime.api.authenticator.forget()


@asynccontextmanager
async def open_api(
    urls: DatabaseUrls,
    folder: Path,
    playbooks: dict[str, str] | None = None,
    plugins: Mapping[str, Any] | None = None,
    **environ: str,
) -> AsyncIterator[Api]:
    """A running centre with its API, and the tokens `observer`, `operator`, `lead`, `other` and `intel`."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "stations.yml").write_text(STATIONS)
    variables = {
        "API_PORT": "0",
        "VTOC_API_HOST": "127.0.0.1",
        "SUPABASE_JWT_SECRET": JWT_SECRET,
        "CHATKIT_WEBHOOK_SECRET": WEBHOOK_SECRET,
        **environ,
    }
    made = PLAYBOOKS if playbooks is None else playbooks
    async with (
        open_centre(urls, folder, made, variables, plugins=plugins, web=True) as centre,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        api = Api(centre, session, {})
        for name, station, level in (
            ("observer", "toc-s1", Level.OBSERVER),
            ("operator", "toc-s1", Level.OPERATOR),
            ("lead", "toc-s1", Level.LEAD),
            ("other", "toc-s2", Level.LEAD),
            ("intel", "toc-i1", Level.LEAD),
        ):
            await api.make_token(name, station, level)
        yield api
