"""A strict AgentKit over a real socket: it refuses what breaks the contract, and can be told to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

ORG, CLIENT, SECRET = "vtoc-org", "bots", "a-client-secret"
Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeAgentKit:
    """`faults` are answers to come before the right ones, by ``METHOD place``; they are used up in order.

    A fault named in `after` comes once the action was stored: the service did it and its answer was lost.
    """

    def __init__(self) -> None:
        self.url = ""
        self.actions: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}
        self.faults: dict[str, list[Fault]] = {"token": [], "post": [], "look": []}
        self.after: list[Fault] = []
        self.tokens: list[str] = []
        self.valid: set[str] = set()
        self.posts = self.looks = 0
        self.breaches: list[str] = []
        self.life: Any = 3600
        self.hanging = asyncio.Event()
        self.lags = False
        """Whether looks find no action yet: where it is asked lags behind where it was taken."""

    def end(self, action_id: str, status: str = "succeeded", **more: Any) -> None:
        """Let an action end."""
        self.actions[action_id].update(status=status, **more)

    async def token(self, request: web.Request) -> web.StreamResponse:
        """POST /oauth/token."""
        form = await request.post()
        wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        if dict(form) != wanted:
            self.breaches.append(f"token: {dict(form)}")
            return web.json_response({"error": "invalid_client"}, status=401)
        if self.faults["token"]:
            return await self.faults["token"].pop(0)(request)
        self.tokens.append(f"token-{len(self.tokens)}")
        self.valid = {self.tokens[-1]}
        return web.json_response({"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": self.life})

    async def list_tools(self, request: web.Request) -> web.StreamResponse:
        """GET /orgs/{org}/tools."""
        return self._refusal(request) or web.json_response({"tools": [{"name": "survey"}, {"name": "report"}]})

    async def post(self, request: web.Request) -> web.StreamResponse:
        """POST /orgs/{org}/actions."""
        self.posts += 1
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if self.faults["post"]:
            return await self.faults["post"].pop(0)(request)
        body, key = await request.json(), request.headers.get("Idempotency-Key", "")
        if not key or not {"tool_name", "action_input"} <= body.keys() <= {"tool_name", "action_input", "metadata"}:
            self.breaches.append(f"post: {key!r} {body}")
            return web.json_response({"error": "bad request"}, status=400)
        if key not in self.by_key:
            action_id = f"ak-{len(self.actions) + 1}"
            self.by_key[key] = action_id
            self.actions[action_id] = {"action_id": action_id, "status": "queued", "body": body}
        if self.after:
            return await self.after.pop(0)(request)
        return web.json_response(self._shown(self.by_key[key]), status=202)

    async def look(self, request: web.Request) -> web.StreamResponse:
        """GET /orgs/{org}/actions/{id}."""
        self.looks += 1
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if self.faults["look"]:
            return await self.faults["look"].pop(0)(request)
        action_id = request.match_info["id"]
        if self.lags or action_id not in self.actions:
            return web.json_response({"error": "no such action"}, status=404)
        return web.json_response(self._shown(action_id))

    def _shown(self, action_id: str) -> dict[str, Any]:
        return {name: value for name, value in self.actions[action_id].items() if name != "body"}

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.match_info["org"] != ORG or request.headers.get("X-AgentKit-Org") != ORG:
            self.breaches.append(f"organisation of {request.path}")
            return web.json_response({"error": "another organisation"}, status=403)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.valid:
            return web.json_response({"error": "expired"}, status=401)
        return None


def status(code: int, body: str = '{"error": "a fault"}', **headers: str) -> Fault:
    """Answer with a status."""

    async def fault(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=body, content_type="application/json", headers=headers)

    return fault


def garbage() -> Fault:
    """Answer 200 with a page."""

    async def fault(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>welcome</html>", content_type="text/html")

    return fault


def half() -> Fault:
    """Cut the connection in the middle of the body."""

    async def fault(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "200", "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"action_id": "ak')
        assert request.transport is not None
        request.transport.close()
        return response

    return fault


def hang(service: FakeAgentKit) -> Fault:
    """Say nothing."""

    async def fault(request: web.Request) -> web.StreamResponse:
        await service.hanging.wait()
        return web.Response(status=500)

    return fault


@asynccontextmanager
async def fake_agentkit() -> AsyncIterator[FakeAgentKit]:
    """The service, listening."""
    service = FakeAgentKit()
    app = web.Application()
    app.add_routes(
        [
            web.post("/oauth/token", service.token),
            web.get("/orgs/{org}/tools", service.list_tools),
            web.post("/orgs/{org}/actions", service.post),
            web.get("/orgs/{org}/actions/{id}", service.look),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield service
    finally:
        service.hanging.set()
        await runner.cleanup()


def variables(service: FakeAgentKit) -> dict[str, str]:
    """The settings of a centre that uses it with an OAuth2 client."""
    return {
        "AGENTKIT_API_BASE_URL": service.url,
        "AGENTKIT_CLIENT_ID": CLIENT,
        "AGENTKIT_CLIENT_SECRET": SECRET,
        "AGENTKIT_ORG_ID": ORG,
        "AGENTKIT_TIMEOUT_SECONDS": "0.7",
        "STATION_CALLSIGN": "TOC-S1",
        "POSTGRES_STATION_ROLE": "ops",
    }
