"""Every MCP server of this installation: called by name, probed, diagnosed. Knows no SDK until one is needed."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import structlog

from vtoc_bots.core.clients.http import HttpCounts
from vtoc_bots.core.clients.mcp.caller import Caller, PartOf
from vtoc_bots.core.clients.mcp.config import Check, ServerConfig
from vtoc_bots.core.clients.registry import Clients, ClientSpec
from vtoc_bots.core.documents import nearest
from vtoc_bots.core.errors import ActionError, NotFound, VtocError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import ActionContext, Clock
from vtoc_bots.core.questions import PersonNeeded
from vtoc_bots.core.tools import Diagnosis, ToolResult

if TYPE_CHECKING:
    from vtoc_bots.core.clients.mcp.pool import Pool

logger = structlog.get_logger(__name__)

POOL: Final = "vtoc_bots.core.clients.mcp.pool"
TIDY_SECONDS: Final = 5.0
INSTALL: Final = "it needs the package mcp: pip install 'vtoc-bots[mcp]', then start again"
LONGEST_SAID: Final = 600
BAD: Final = ("fail", "failed", "failing", "error", "critical", "down", "unhealthy")


class McpServers:
    """The servers, each a client of the registry. Implements ports.Tools."""

    def __init__(
        self,
        servers: Sequence[ServerConfig],
        clients: Clients,
        session: Callable[[], aiohttp.ClientSession],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._servers = {server.name: server for server in servers}
        self._clients, self._session, self._clock = clients, session, clock
        self._specs: dict[str, ClientSpec[Pool]] = {}
        self._pools: dict[str, Pool] = {}
        for server in servers:
            counts = HttpCounts()
            metrics.watch_client(f"mcp.{server.name}", counts)
            spec = ClientSpec(f"mcp.{server.name}", self._opens(server, counts), _probe, _close, server.entry.required)
            self._specs[server.name] = spec
            clients.register(spec)

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that have diagnostics."""
        return tuple(sorted({system for server in self._servers.values() for system in server.entry.diagnostics}))

    async def call(self, ctx: Caller, server: str, tool: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Call a tool of a server.

        Raises PersonNeeded while it waits for an answer, TransientError where trying again may help and does no harm,
        NotFound for a server that is not configured, and ActionError with the tool's own words where it failed.
        """
        config = self._servers.get(server)
        if config is None:
            known = ", ".join(self._servers) or "none"
            hint = nearest(server, self._servers)
            raise NotFound(f"there is no MCP server {server}; config/mcp.yml has {known}.{hint}")
        if not config.entry.allows(tool):
            raise ActionError(f"{server}.{tool} is not allowed; add it to servers.{server}.tools in config/mcp.yml")
        return await (await self._clients.get(self._specs[server])).call(ctx, tool, arguments)

    async def diagnose(self, ctx: ActionContext, system: str) -> list[Diagnosis]:
        """Call every tool configured for a system, side by side; what each found. Raises NotFound."""
        checks = [
            (server.name, check)
            for server in self._servers.values()
            for check in server.entry.diagnostics.get(system, ())
        ]
        if not checks:
            known = ", ".join(self.systems) or "none"
            hint = nearest(system, self.systems)
            raise NotFound(f"no MCP server has diagnostics of {system}; there are {known}.{hint}")
        made = (self._checked(PartOf(ctx, number), server, check) for number, (server, check) in enumerate(checks))
        return list(await asyncio.gather(*made))

    async def run(self) -> None:
        """Give up calls whose answer does not come, until cancelled."""
        while True:
            await self._clock.sleep(TIDY_SECONDS)
            for pool in list(self._pools.values()):
                await pool.tidy()

    async def _checked(self, ctx: Caller, server: str, check: Check) -> Diagnosis:
        title = check.title or check.tool
        remedy = check.remedy or ""
        try:
            result = await self.call(ctx, server, check.tool, check.arguments)
        except PersonNeeded:
            await self._pools[server].give_up(ctx.idempotency_key)
            said = "it asks a question; diagnostics can't be asked anything, call it in a playbook"
            return Diagnosis(server=server, title=title, ok=False, said=said, remedy=remedy)
        except VtocError as error:
            return Diagnosis(server=server, title=title, ok=False, said=str(error)[:LONGEST_SAID], remedy=remedy)
        ok, hint = judged(result.data)
        said = " ".join(result.text.split())[:LONGEST_SAID]
        return Diagnosis(server=server, title=title, ok=ok, said=said, remedy=hint or ("" if ok else remedy))

    def _opens(self, server: ServerConfig, counts: HttpCounts) -> Any:
        async def opened() -> Pool:
            try:
                # In a thread: it takes most of a second, in which others are served.
                loop = asyncio.get_running_loop()
                module = await loop.run_in_executor(None, importlib.import_module, POOL)
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "httpx2", "anyio"):
                    raise
                raise ActionError(f"MCP server {server.name}: {INSTALL}") from error
            pool: Pool = module.Pool(server, self._session, self._clock, counts)
            self._pools[server.name] = pool
            return pool

        return opened


async def _probe(pool: Pool) -> str | None:
    return await pool.probe()


async def _close(pool: Pool) -> None:
    await pool.close()


def judged(data: Any) -> tuple[bool, str]:
    """Whether a check's data says that all is well, and what it says to do, by the members that tools usually have."""
    if not isinstance(data, dict):
        return True, ""
    ok = True
    for name in ("ok", "healthy", "success", "passed"):
        if isinstance(data.get(name), bool):
            ok = ok and data[name]
    for name in ("status", "state", "severity"):
        if isinstance(data.get(name), str):
            ok = ok and data[name].lower() not in BAD
    for name in ("remediation", "remedy", "hint", "hints", "suggestion", "fix"):
        value = data.get(name)
        if isinstance(value, str) and value.strip():
            return ok, value.strip()[:LONGEST_SAID]
        if isinstance(value, list) and value:
            return ok, "; ".join(str(each) for each in value)[:LONGEST_SAID]
    return ok, ""
