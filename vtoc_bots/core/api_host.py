"""Puts the HTTP API together: what its operations are given, and its routes."""

from __future__ import annotations

import base64
import hashlib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson
from aiohttp import web

import vtoc_bots
from vtoc_bots.core.access import Access
from vtoc_bots.core.agent_actions import AgentActions
from vtoc_bots.core.clients.answers import Service
from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.clients.registry import Clients, ClientSpec
from vtoc_bots.core.emergencies import Emergencies
from vtoc_bots.core.loader import Loaded
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.people import People
from vtoc_bots.core.playbooks.library import Library
from vtoc_bots.core.ports import Clock, Telemetry
from vtoc_bots.core.settings import Settings
from vtoc_bots.core.store.api_tokens import ApiTokens
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.run_pages import RunPages
from vtoc_bots.core.store.run_views import RunViews
from vtoc_bots.core.store.stations import Stations
from vtoc_bots.core.transports import Caller
from vtoc_bots.core.web.api import agent_actions, chatkit, events, runs, sources, stations, views
from vtoc_bots.core.web.auth import Authenticator
from vtoc_bots.core.web.context import station_named, station_of
from vtoc_bots.core.web.cors import Cors
from vtoc_bots.core.web.endpoint import Endpoint
from vtoc_bots.core.web.mcp.host import PATH as MCP_PATH
from vtoc_bots.core.web.mcp.host import McpHost
from vtoc_bots.core.web.openapi import docs_page, openapi
from vtoc_bots.core.web.parts import Parts
from vtoc_bots.core.web.run_watch import RunWatch
from vtoc_bots.core.web.settings import ApiSettings
from vtoc_bots.core.web.typed import PREFIX, Operation

if TYPE_CHECKING:
    from vtoc_bots.core.web.jwks import KeySet
    from vtoc_bots.core.web.signed_users import SignedUsers

OPERATIONS: Final[tuple[Operation, ...]] = (
    *stations.OPERATIONS,
    *views.OPERATIONS,
    *runs.OPERATIONS,
    *agent_actions.OPERATIONS,
    *sources.OPERATIONS,
    *events.OPERATIONS,
    *chatkit.OPERATIONS,
)
_SUPABASE: Final = Service("supabase", "SUPABASE_URL", "SUPABASE_URL")
"""Its published keys, which are read without any key of ours."""


class ApiHost:
    """The API of one process. `session` gives the process's HTTP session."""

    def __init__(
        self,
        settings: Settings,
        loaded: Loaded,
        store: Store,
        people: People,
        access: Access,
        library: Library,
        telemetry: Telemetry,
        notices: Notices,
        clients: Clients,
        clock: Clock,
        metrics: Metrics,
        session: aiohttp.ClientSession,
    ) -> None:
        own = settings.read(ApiSettings)
        self.users = _users(own, clients, clock, metrics, session)
        pages = RunPages(store)
        self.actions = AgentActions(store, people, clock)
        self.watch = RunWatch(pages, clock)
        claims = None if self.users is None else self.users.claims
        self.authenticator = Authenticator(ApiTokens(store), Stations(store), clock, claims)
        self._parts = Parts(
            store=store,
            clock=clock,
            people=people,
            access=access,
            library=library,
            telemetry=telemetry,
            connectors={spec.type: spec for spec in loaded.connectors},
            authenticator=self.authenticator,
            settings=own,
            runs=RunViews(store),
            pages=pages,
            watch=self.watch,
            actions=self.actions,
            notices=notices,
            emergencies=Emergencies(store, notices),
            own_station=settings.station.slug,
        )
        self.mcp = McpHost(settings, self._parts, metrics.queue_drops.labels("mcp_events").inc)

    async def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who sends a request that is for no operation of ours. Raises Refusal: 401, 403 for another's station."""
        principal = await self.authenticator.principal(headers.get("Authorization"))
        named = station_named(None, headers)
        station = station_of(principal, named, await self._parts.people.stations())
        operator = principal.operator
        level = operator.level_at(station.slug)
        vouched = {"id": str(operator.id), "name": operator.name, "station": station.slug, "level": str(level)}
        return Caller(principal.actor, operator.name, station, vouched)

    def add_routes(self, app: web.Application) -> None:
        """Serve the operations, their description, and the page that shows it."""
        origins = frozenset(self._parts.settings.cors_origins)
        named = dict.fromkeys((PREFIX, "/chatkit") if origins else (), lambda origin, request: origin in origins)
        Cors({**named, MCP_PATH: self.mcp.allows}).add(app)
        app.add_routes([Endpoint(operation, self._parts).route for operation in OPERATIONS])
        self.mcp.add_routes(app)
        document = openapi(OPERATIONS, vtoc_bots.__version__)
        encoded, page = orjson.dumps(document), docs_page(document).encode()
        # The page's one style is allowed by its hash; nothing else may run or load there.
        style = page.split(b"<style>")[1].split(b"</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
        policy = {"Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"}

        async def described(request: web.Request) -> web.Response:
            return web.Response(body=encoded, content_type="application/json")

        async def shown(request: web.Request) -> web.Response:
            return web.Response(body=page, content_type="text/html", charset="utf-8", headers=policy)

        app.router.add_get(f"{PREFIX}/openapi.json", described)
        app.router.add_get(f"{PREFIX}/docs", shown)


def _users(
    own: ApiSettings, clients: Clients, clock: Clock, metrics: Metrics, session: aiohttp.ClientSession
) -> SignedUsers | None:
    """What checks the tokens of a Supabase project's users; None where no project is set, whose library costs much."""
    if own.supabase_url is None and own.supabase_jwt_secret is None:
        return None
    secret = None if own.supabase_jwt_secret is None else own.supabase_jwt_secret.get_secret_value()
    made = importlib.import_module("vtoc_bots.core.web.signed_users")
    if own.supabase_url is None:
        users: SignedUsers = made.SignedUsers(secret, None, None)
        return users
    http = ServiceHttp(lambda: session, _SUPABASE, own.supabase_url, clock)
    metrics.watch_client(_SUPABASE.name, http.counts)
    keys: KeySet = made.KeySet(http, clock)

    async def opened() -> KeySet:
        return keys

    async def closed(client: KeySet) -> None:
        """The session belongs to the process."""

    async def probe(client: KeySet) -> str | None:
        return await client.probe()

    clients.register(ClientSpec(_SUPABASE.name, opened, probe, closed))
    with_keys: SignedUsers = made.SignedUsers(secret, keys, f"{own.supabase_url}/auth/v1")
    return with_keys
