"""The composition root: puts every part of one process together, runs them, and takes them apart again."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import aiohttp
import structlog

import vtoc_bots
from vtoc_bots.core import audit
from vtoc_bots.core.access import Access, Level
from vtoc_bots.core.api_host import ApiHost
from vtoc_bots.core.asking import Asking
from vtoc_bots.core.clients.mcp.config import load_mcp
from vtoc_bots.core.clients.mcp.servers import McpServers
from vtoc_bots.core.clients.registry import Clients
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.core.commands import Commands
from vtoc_bots.core.config import channels_of
from vtoc_bots.core.database import opened_store
from vtoc_bots.core.deputy import ForPerson
from vtoc_bots.core.desk import Desk
from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.floods import Floods
from vtoc_bots.core.hands import Hands
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.inbox import TransportInbox
from vtoc_bots.core.installation import user_name
from vtoc_bots.core.leases import LeaseKeeper
from vtoc_bots.core.loader import Loaded, load
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.observers import Observers
from vtoc_bots.core.observe.watchdog import Watchdog
from vtoc_bots.core.parts import Parts
from vtoc_bots.core.people import People
from vtoc_bots.core.playbook_overlay import load_library
from vtoc_bots.core.playbooks.approvals import Approvals
from vtoc_bots.core.playbooks.progress import ProgressBoard
from vtoc_bots.core.playbooks.runs import Runner
from vtoc_bots.core.policies import load_policies
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.probes import register_probes
from vtoc_bots.core.queue import ADVANCE, DELIVER, HANDLE, Lane
from vtoc_bots.core.remote_actions import remote_agents
from vtoc_bots.core.router import Router
from vtoc_bots.core.services import SharedServices
from vtoc_bots.core.settings import Settings
from vtoc_bots.core.sources import Sources, decoder_maker
from vtoc_bots.core.store.blobs import BlobRows
from vtoc_bots.core.store.budgets import BudgetRows
from vtoc_bots.core.store.buttons import ButtonRows
from vtoc_bots.core.store.conversations import ConversationLeases, Held
from vtoc_bots.core.store.inbox import InboxRows
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.originals import OriginalRows
from vtoc_bots.core.store.outbox import OutboxRows
from vtoc_bots.core.store.partitions import keep_partitions
from vtoc_bots.core.store.run_views import RunViews
from vtoc_bots.core.store.runs import RunRows
from vtoc_bots.core.store.stations import Stations
from vtoc_bots.core.store.sweeps import Sweeps
from vtoc_bots.core.sweeper import Sweeper
from vtoc_bots.core.transport_host import TERMINAL, TransportHost
from vtoc_bots.core.transports import Transport
from vtoc_bots.core.web.health import Health
from vtoc_bots.core.web.links import links_of
from vtoc_bots.core.web.server import WebServer, make_app

logger = structlog.get_logger(__name__)

HANDLERS: Final = 64
STEPS: Final = 64


@dataclass(frozen=True, slots=True)
class Duties:
    """What this process does besides its terminal. `worker` None: only while no other process works."""

    worker: bool | None = True
    web: bool = True
    transports: bool = True
    sources: bool = True
    stdio: bool = False
    """Speak MCP on stdin and stdout, and end with stdin."""


class Runtime:
    """One process of an installation; `alone` where nothing else runs in the operating system's process."""

    def __init__(
        self,
        settings: Settings,
        duties: Duties,
        *,
        clock: Clock | None = None,
        plugins: Mapping[str, Any] | None = None,
        alone: bool = False,
    ) -> None:
        self.settings, self.duties = settings, duties
        self.clock = clock or SystemClock()
        self.holder = new_id()
        self.metrics = Metrics()
        self.exit_code = 0
        self.ready = asyncio.Event()
        self.address: str | None = None
        self._plugins, self._alone = dict(plugins or {}), alone
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End `run`: no new work, what is in hand is finished, everything is closed."""
        self._stop.set()

    async def run(self) -> int:
        """Everything, until stopped or the terminal ends; the process's exit code.

        Raises StartupError when it can't begin.
        """
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self.stop)
        async with AsyncExitStack() as stack:
            loading = loop.run_in_executor(None, self._load)
            try:
                self.store = await stack.enter_async_context(opened_store(self.settings))
            finally:
                self.loaded: Loaded = await loading
            stack.push_async_callback(self.loaded.close)
            await self._compose(stack)
            await self._begin(stack)
            if self._alone:
                # What there is now stays to the end. A full collection that walked it each time would hold the loop for
                # a tenth of a second and more.
                gc.freeze()
                gc.set_threshold(20_000, 10, 10)  # each costs what is in hand, and who is busy has much in hand
            self.ready.set()
            logger.info("ready", holder=str(self.holder), worker=self.duties.worker)
            await self._stop.wait()
            logger.info("stopping")
            await self.parts.end()
        return self.exit_code

    def _load(self) -> Loaded:
        return load(self.settings, self.settings.plugins_disabled, self._plugins)

    async def _compose(self, stack: AsyncExitStack) -> None:
        """Make every part; nothing runs yet."""
        settings, store, clock, loaded = self.settings, self.store, self.clock, self.loaded
        self.stations, self.operators = Stations(store), Operators(store)
        await self.stations.sync(settings.stations)
        channels, own = channels_of(settings.stations), settings.station.slug
        self.people = People(self.operators, self.stations, clock, channels, own, settings.operator_allowlist)
        self.library = load_library(settings, loaded)
        self.access = Access(load_policies(settings.config_dir / "policies.yml", clock.now), loaded.policies)
        self.observers = Observers(loaded.observers, self.metrics)
        self.parts = Parts(store, self.holder, clock, self.metrics, settings.lease_seconds)
        self.leases = self.parts.leases
        self.blobs = BlobRows(store)
        self.notices = Notices(store, {each.slug: each.notices for each in settings.stations}, loaded.accounts)
        await self.notices.know()
        self.http = await self._http(stack)
        specs = {spec.type: spec for spec in loaded.connectors}
        self.sources = Sources(
            settings,
            specs,
            store,
            self.people,
            self.leases,
            self.holder,
            clock,
            self.metrics,
            self.notices,
            http=lambda: self.http,
            decoder=decoder_maker(specs),
        )
        self.health = Health(clock, self.metrics)
        self.clients = Clients(self.health.register)
        stack.push_async_callback(self.clients.close)
        password = store.urls.main.password
        self.links = links_of(settings, password, self.blobs, self.clients, lambda: self.http, clock, self.metrics)
        servers = load_mcp(settings.config_dir / "mcp.yml", settings.variables)
        self.mcp = McpServers(servers, self.clients, lambda: self.http, clock, self.metrics)
        agents = remote_agents(settings, self.clients, lambda: self.http, clock, self.metrics, store, self.people)
        self.services = SharedServices(store, self.sources, self.blobs, self.library, self.notices, self.mcp, agents)
        self.approvals = Approvals(store, self.access, clock, self.notices)
        register_probes(self.health, store, self.sources, loaded, self.parts.failing, self.parts.workers, clock)
        self.commands = Commands(loaded.commands)
        self.desk = Desk(
            store,
            self.commands,
            self.access,
            self.library,
            self.approvals,
            self.notices,
            self.people,
            self.operators,
            clock,
            self.health.check,
        )
        self.services.deputy = ForPerson(self.desk, self.services, store, clock, settings.handler_timeout_seconds)
        self.api = ApiHost(
            settings,
            loaded,
            store,
            self.people,
            self.access,
            self.library,
            self.sources,
            self.notices,
            self.clients,
            clock,
            self.metrics,
            self.http,
        )
        self.asking = Asking(self.people, self.desk, ButtonRows(store), OriginalRows(store))
        self.floods = Floods(self.people, clock)
        self._compose_engine()

    def _compose_engine(self) -> None:
        settings, store, clock, lease = self.settings, self.store, self.clock, self.settings.lease_seconds
        hands = Hands(self.parts.workers)
        self.inbox_rows, self.outbox_rows = InboxRows(store, hands), OutboxRows(store, hands)
        handling = ConversationLeases(store, HANDLE, lease)
        self.delivering = ConversationLeases(store, DELIVER, lease)
        of = attrgetter("conversation")
        self.handle_keeper: LeaseKeeper[Held] = LeaseKeeper(of, handling.renew, clock, lease)
        self.deliver_keeper: LeaseKeeper[Held] = LeaseKeeper(of, self.delivering.renew, clock, lease)
        self.router = Router(
            self.inbox_rows,
            handling,
            self.handle_keeper,
            self.people,
            self.desk,
            self.services,
            BudgetRows(store),
            self.asking,
            clock,
            self.metrics,
            handler_seconds=settings.handler_timeout_seconds,
            commands_per_minute=settings.commands_per_minute,
        )
        self.host = TransportHost(
            self.parts,
            self.inbox_rows,
            self.outbox_rows,
            self.delivering,
            self.deliver_keeper,
            self.asking,
            self.floods,
            self.notices,
            self.links,
            self.commands,
            self.blobs,
            self.health,
            clock,
            self.metrics,
            self.observers,
            settings=settings,
            address=lambda: self.address,
            caller=self.api.caller,
        )
        self.board = ProgressBoard(store, clock)
        rows = RunRows(store, lease, hands)
        self.runner = Runner(
            rows,
            self.library,
            self.approvals,
            self.board,
            self.services,
            self.people,
            clock,
            self.metrics,
            self.observers,
            lease,
        )
        groups = (*self.inbox_rows.groups, *self.outbox_rows.groups, *rows.groups, *handling.groups)
        for group in (*groups, *self.delivering.groups):
            self.metrics.watch_group(group.name, group.stats)
        self.sweeper = Sweeper(
            Sweeps(store),
            self.library,
            lambda: audit.seal(store),
            clock,
            sweep_seconds=settings.sweep_seconds,
            retention_days=int(settings.retention_days),
            also=lambda: keep_partitions(store, clock.now(), settings.telemetry_retention_days),
        )

    async def _begin(self, stack: AsyncExitStack) -> None:
        """Start every part."""
        for spec in self.loaded.actions:
            if spec.lifespan is not None:
                await stack.enter_async_context(spec.lifespan(self.settings.data_dir))
        watchdog = Watchdog(self.loaded.modules, self.metrics, self.settings.blocked_seconds)
        watchdog.start()
        stack.callback(watchdog.stop)
        specs = [spec for spec in self.loaded.transports if self.duties.transports or spec.name == TERMINAL]
        await self.host.open(specs)
        if self.duties.web:
            await self._serve(stack)
        self.desk.about = self._about()
        if self.loaded.observers:
            self.parts.forever("observers", self.observers.run)
        terminal = self.host.terminal()
        if terminal is not None:
            account, transport, inbox = terminal
            await self._own_terminal(account)
            self.parts.forever(TERMINAL, lambda: self._terminal(transport, inbox))
        if self.duties.stdio:
            self.parts.forever("run_watch", self.api.watch.run)
            self.parts.forever("stdio", self._stdio)
        self.host.run()
        if self.duties.worker:
            self._work()
        elif self.duties.worker is None:
            self.parts.forever("stand_in", self._stand_in)

    async def _serve(self, stack: AsyncExitStack) -> None:
        """Start the web server, with what plugins and transports add to it."""
        settings = self.settings
        app = make_app(self.health, self.metrics, [self.links.add_routes, self.api.add_routes, *self.loaded.routes])
        app.add_routes(self.host.routes())
        server = WebServer(app, settings.listen_host, settings.api_port, take_free_port=settings.embedded)
        self.address = await server.start()
        self.parts.forever("run_watch", self.api.watch.run)
        self.parts.forever("mcp_sessions", self.api.mcp.run)
        stack.push_async_callback(server.close)

    async def _own_terminal(self, account: str) -> None:
        """Who can read the data folder's password is admin in its terminal."""
        name = user_name()
        await self.operators.own(name, TERMINAL, account, name, Level.ADMIN)
        self.router.unlimited.add((TERMINAL, account))

    async def _stdio(self) -> None:
        """MCP on stdin and stdout, for the user of the data folder, who is admin as in the terminal."""
        name = user_name()
        operator = await self.operators.own(name, "stdio", "", name, Level.ADMIN)
        try:
            await self.api.mcp.stdio(operator, await self.people.station(self.settings.station.slug))
        except VtocError as error:
            self.exit_code = 2
            logger.error("stdio_ended", error=str(error))
            print(f"vtoc-bots: {error}", file=sys.stderr)
        self.stop()
        await asyncio.Event().wait()

    async def _terminal(self, transport: Transport, inbox: TransportInbox) -> None:
        try:
            await transport.run(inbox)
        finally:  # an interrupt cancels it, and that has an exit code too
            self.exit_code = int(getattr(transport, "exit_code", 0) or 0)
        self.stop()
        await asyncio.Event().wait()

    def _work(self) -> None:
        """Handle messages, advance runs, read sources, sweep when it is our turn."""
        self.parts.forever("handle_keeper", self.handle_keeper.run)
        self.parts.forever("run_keeper", self.runner.keeper.run)
        self.parts.forever("progress", self.board.run)
        self.parts.forever("mcp", self.mcp.run)
        self.parts.forever("held", lambda: self.runner.held.run(RunViews(self.store), self.runner.advance))
        self.parts.take(Lane("handle", {HANDLE: self.router.handle}, HANDLERS))
        self.parts.take(Lane("advance", {ADVANCE: self.runner.advance}, STEPS))
        self.parts.hold(f"worker:{self.holder}", lambda epoch: asyncio.Event().wait())
        self.parts.hold("sweeper", self.sweeper.run)
        self.parts.hold("agent_actions", self.api.actions.run)
        if self.duties.sources:
            self.parts.forever("sources", self.sources.run)

    async def _stand_in(self) -> None:
        """Work as soon as nobody else does."""
        while await self.leases.live("worker:"):
            await self.clock.sleep(2.0)
        logger.info("worker_started_here")
        self._work()
        await asyncio.Event().wait()

    async def _http(self, stack: AsyncExitStack) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=30, connect=10)
        headers = {"User-Agent": f"vtoc-bots/{vtoc_bots.__version__}"}
        return await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, headers=headers))

    def _about(self) -> dict[str, str]:
        facts = {"version": vtoc_bots.__version__, "station": self.settings.station.callsign}
        facts["database"] = "embedded" if self.settings.database_url is None else "configured"
        if self.address is not None:
            facts["address"] = self.address
        return facts
