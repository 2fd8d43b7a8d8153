"""Every route of a whole server, from its router: who is let in, and what stands open on purpose."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiohttp import web

from tests.api_kit import Api
from tests.mcp_caller_kit import open_quiet_api
from vtoc_bots.core import runtime
from vtoc_bots.core.access import Level
from vtoc_bots.core.store.urls import DatabaseUrls

OPEN = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /api/v1/openapi.json",
    "GET /api/v1/docs",
}
"""For anybody."""
SIGNED = {
    "POST /api/v1/chatkit/webhook",
    "POST /api/v1/agent-actions/webhook",
    "POST /telegram/webhook",
    "POST /slack/events",
    "POST /discord/interactions",
}
"""Whose signature or secret stands for the credential; their own tests forge them."""
LINKED = re.compile(r"GET /files/|(GET|PUT) /chatkit/files/")
"""Whose address is signed."""


@pytest_asyncio.fixture
async def served(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Api, list[tuple[str, str]]]]:
    """A running server, and its routes: method and path."""
    made: list[web.Application] = []
    make_app = runtime.make_app

    def kept(*given: Any, **named: Any) -> web.Application:
        made.append(make_app(*given, **named))
        return made[-1]

    monkeypatch.setattr(runtime, "make_app", kept)
    async with open_quiet_api(database_urls, tmp_path) as api:
        await api.make_token("expired", "toc-s1", Level.ADMIN, days=1)
        await api.centre.runtime.store.execute(
            "UPDATE vtoc.api_tokens SET expires_at = now() - interval '1 s' WHERE name = 'expired'"
        )
        routes = [
            (route.method, route.resource.canonical)
            for route in made[0].router.routes()
            if route.resource is not None and route.method != "HEAD"
        ]
        yield api, routes


async def test_every_route_wants_a_credential_or_is_named_here(served: tuple[Api, list[tuple[str, str]]]) -> None:
    api, routes = served
    names = {f"{method} {path}" for method, path in routes}
    assert names >= OPEN
    assert len(names) > 30, "the router was read"
    for method, path in routes:
        name = f"{method} {path}"
        if name in OPEN | SIGNED:
            continue
        url = f"{api.centre.runtime.address}{_filled(path)}"
        if LINKED.match(name):
            async with api.session.request(method, url) as answer:
                assert answer.status in (403, 404), name
            continue
        for given in (None, "x", "vtoc_" + "A" * 43, api.tokens["operator"] + "x", api.tokens["expired"], "a.b.c"):
            headers = {} if given is None else {"Authorization": f"Bearer {given}"}
            async with api.session.request(method, url, headers=headers, json={}) as answer:
                assert answer.status == 401, (name, given)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer"), name
        for header in ("X-Station-Slug", "X-ChatKit-Station"):
            headers = {"Authorization": f"Bearer {api.tokens['lead']}", header: "TOC_S2"}
            async with api.session.request(method, url.replace("toc-s1", "toc-s2"), headers=headers, json={}) as answer:
                assert answer.status == 403, (name, header)
    for table in ("runs", "inbox", "outbox"):
        assert await api.centre.row(f"SELECT count(*) AS n FROM vtoc_engine.{table}") == {"n": 0}


async def test_a_webhook_without_a_signature_is_refused_whatever_it_says(
    served: tuple[Api, list[tuple[str, str]]],
) -> None:
    api, routes = served
    for method, path in routes:
        if f"{method} {path}" in SIGNED:
            async with api.session.request(method, f"{api.centre.runtime.address}{path}", json={"id": "1"}) as answer:
                assert answer.status == 401, path


def _filled(path: str) -> str:
    return re.sub(r"\{\w+\}", str(uuid4()), path.replace("{slug}", "toc-s1").replace("{source}", "radar"))
