"""A remote AgentKit: its tools, and actions that are posted once and looked at until they have ended."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import aiohttp

from vtoc_bots.core.clients.answers import Answer, Declined, Service
from vtoc_bots.core.clients.http import ServiceHttp
from vtoc_bots.core.clients.oauth import ClientCredentials
from vtoc_bots.core.clients.registry import Clients, ClientSpec
from vtoc_bots.core.errors import ActionError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.settings import Settings

NAME: Final = "agentkit"
TOOLS_SECONDS: Final = 60.0
"""How long a probe believes the list of tools before it asks again."""

Status = Literal["queued", "running", "succeeded", "failed"]
_ID = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True)
class RemoteAction:
    """An action of the remote service. `said` is what it says of its progress, or of its failure."""

    id: str
    status: Status
    result: Any = None
    said: str = ""


class AgentKit:
    """The client. `credentials` gives the bearer token, and is told of one that was refused."""

    def __init__(
        self, http: ServiceHttp, org: str, credentials: Callable[[str | None], Awaitable[str]], clock: Clock
    ) -> None:
        self._http, self._org, self._credentials, self._clock = http, org, credentials, clock
        self._known: tuple[float, int] | None = None

    async def tools(self) -> list[dict[str, Any]]:
        """The tools that the organisation offers. Raises TransientError and ActionError."""
        found = (await self._ask("GET", "tools", operation="tools")).json()
        listed = found.get("tools") if isinstance(found, dict) else found
        if not isinstance(listed, list):
            raise ActionError(f"{NAME} gave no list of tools. Is {self._http.service.address} right?")
        self._known = (self._clock.monotonic(), len(listed))
        return [tool for tool in listed if isinstance(tool, dict)]

    async def post(self, tool: str, given: Mapping[str, Any], metadata: Mapping[str, Any], key: str) -> RemoteAction:
        """Ask for an action. Under the same `key` the service does it once, however often it is asked.

        Raises TransientError where it may be asked again under this key, ActionError for good.
        """
        body = {"tool_name": tool, "action_input": dict(given), "metadata": dict(metadata)}
        return _action((await self._ask("POST", "actions", operation="post_action", json=body, key=key)).document())

    async def look(self, action_id: str) -> RemoteAction:
        """What has become of an action. Raises TransientError, Declined 404 for an unknown one, ActionError."""
        answer = await self._ask("GET", "actions", action_id, operation="look_at_action")
        return _action(answer.document(), action_id)

    async def probe(self) -> str | None:
        """A round trip, at most one a minute."""
        if self._known is None or self._clock.monotonic() - self._known[0] > TOOLS_SECONDS:
            await self.tools()
        assert self._known is not None
        return f"{self._known[1]} tools; {await self._http.probe()}"

    async def _ask(self, method: str, *path: str, operation: str, json: Any = None, key: str | None = None) -> Answer:
        """One request with the token; a token that is refused is renewed once."""
        token = await self._credentials(None)
        try:
            return await self._once(token, method, path, operation, json, key)
        except Declined as error:
            if error.status != 401:
                raise
            renewed = await self._credentials(token)
            if renewed == token:
                raise
        return await self._once(renewed, method, path, operation, json, key)

    async def _once(
        self, token: str, method: str, path: tuple[str, ...], operation: str, json: Any, key: str | None
    ) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "X-AgentKit-Org": self._org}
        whole = ("orgs", self._org, *path)
        return await self._http.request(
            method, *whole, operation=operation, json=json, headers=headers, idempotency_key=key
        )


def register_agentkit(
    settings: Settings, clients: Clients, session: Callable[[], aiohttp.ClientSession], clock: Clock, metrics: Metrics
) -> Callable[[], Awaitable[AgentKit]] | None:
    """How the client of the configured service is had; None where AGENTKIT_API_BASE_URL is not set."""
    if settings.agentkit_api_base_url is None:
        return None
    org = settings.agentkit_org_id or settings.chatkit_org_id
    client = (
        None if org is None else agentkit_of(settings, settings.agentkit_api_base_url, org, session, clock, metrics)
    )

    async def opened() -> AgentKit:
        if client is None:
            raise ActionError(f"{NAME} needs an organisation; set AGENTKIT_ORG_ID to its id there, then start again")
        return client

    async def closed(client: AgentKit) -> None:
        """The session belongs to the process."""

    async def probe(client: AgentKit) -> str | None:
        return await client.probe()

    spec = ClientSpec(NAME, opened, probe, closed)
    clients.register(spec)
    return lambda: clients.get(spec)


def agentkit_of(
    settings: Settings,
    base_url: str,
    org: str,
    session: Callable[[], aiohttp.ClientSession],
    clock: Clock,
    metrics: Metrics,
) -> AgentKit:
    """The client that the settings describe. The run that asks waits parked, so each request has one try."""
    key = settings.agentkit_api_key
    credential = "AGENTKIT_CLIENT_ID and AGENTKIT_CLIENT_SECRET" if key is None else "AGENTKIT_API_KEY"
    seconds = settings.agentkit_timeout_seconds

    def http(name: str) -> ServiceHttp:
        service = Service(name, credential, "AGENTKIT_API_BASE_URL")
        made = ServiceHttp(session, service, base_url, clock, timeout_seconds=seconds, tries=1)
        metrics.watch_client(name, made.counts)
        return made

    async def fixed(refused: str | None) -> str:
        assert key is not None
        return key.get_secret_value()

    credentials: Callable[[str | None], Awaitable[str]] = fixed
    if key is None:
        secret = settings.agentkit_client_secret
        assert settings.agentkit_client_id is not None, "start-up has made sure of it"
        assert secret is not None, "start-up has made sure of it"
        credentials = ClientCredentials(
            http(f"{NAME}.token"), ("oauth", "token"), clock, settings.agentkit_client_id, secret.get_secret_value()
        ).token
    return AgentKit(http(NAME), org, credentials, clock)


def _action(document: Mapping[str, Any], asked: str | None = None) -> RemoteAction:
    """An action as the service told it. Raises ActionError where it broke the contract."""
    found = document.get("action_id", document.get("id", asked))
    action_id = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if not _ID.fullmatch(action_id):
        raise ActionError(f"{NAME} answered without an action_id; it does not keep to the contract")
    error, message, result = document.get("error"), document.get("message"), document.get("result")
    if isinstance(error, dict):
        error = error.get("message") or error
    status = document.get("status")
    if status is None:
        status = "failed" if error else "queued" if result is None else "succeeded"
    known_status: Status | None = next((each for each in get_args(Status) if each == status), None)
    if known_status is None:
        known = ", ".join(get_args(Status))
        raise ActionError(f"{NAME} says that action {action_id} is {str(status)[:50]!r}, which is none of {known}")
    return RemoteAction(asked or action_id, known_status, result, str(error or message or ""))
