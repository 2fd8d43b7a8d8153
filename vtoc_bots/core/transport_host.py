"""Opens transports, gives each what core gives it, and runs them side by side: one that fails leaves the others be."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final

import structlog
from aiohttp.web import RouteDef

from vtoc_bots.core.alarms import Alarms
from vtoc_bots.core.asking import Asking
from vtoc_bots.core.cards import Card
from vtoc_bots.core.commands import Commands
from vtoc_bots.core.errors import NotSent, VtocError
from vtoc_bots.core.floods import Floods
from vtoc_bots.core.inbox import TransportInbox
from vtoc_bots.core.leases import LeaseKeeper
from vtoc_bots.core.messages import Outbound
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.observers import Observers
from vtoc_bots.core.outbox import Deliverer
from vtoc_bots.core.parts import Parts
from vtoc_bots.core.ports import Blobs, Clock
from vtoc_bots.core.probes import MENU, TRANSPORT, register_transport
from vtoc_bots.core.queue import DELIVER, Hint, Lane
from vtoc_bots.core.settings import Settings
from vtoc_bots.core.store.conversations import ConversationLeases, Held
from vtoc_bots.core.store.inbox import InboxRows
from vtoc_bots.core.store.outbox import OutboxRows
from vtoc_bots.core.store.remembered import Remembered
from vtoc_bots.core.store.station_views import thread_of_mission
from vtoc_bots.core.store.stations import Stations
from vtoc_bots.core.store.threads import ThreadRows
from vtoc_bots.core.transports import (
    Caller,
    PublishesCommands,
    ServesRoutes,
    Transport,
    TransportContext,
    TransportSpec,
)
from vtoc_bots.core.web.health import Health
from vtoc_bots.core.web.links import Links

logger = structlog.get_logger(__name__)

DELIVERIES: Final = 64
TERMINAL: Final = "terminal"


class TransportHost:
    """The transports of one process."""

    def __init__(
        self,
        parts: Parts,
        inbox_rows: InboxRows,
        outbox_rows: OutboxRows,
        delivering: ConversationLeases,
        keeper: LeaseKeeper[Held],
        asking: Asking,
        floods: Floods,
        notices: Notices,
        links: Links,
        commands: Commands,
        blobs: Blobs,
        health: Health,
        clock: Clock,
        metrics: Metrics,
        observers: Observers,
        *,
        settings: Settings,
        address: Callable[[], str | None],
        caller: Callable[[Mapping[str, str]], Awaitable[Caller]],
    ) -> None:
        self._parts = parts
        self._inbox_rows, self._outbox_rows, self._delivering, self._keeper = (
            inbox_rows,
            outbox_rows,
            delivering,
            keeper,
        )
        self._asking, self._floods, self._notices, self._links = asking, floods, notices, links
        self._commands, self._blobs, self._health, self._clock = commands, blobs, health, clock
        self._metrics, self._observers, self._settings = metrics, observers, settings
        self._address, self._caller = address, caller
        self._open: list[tuple[TransportSpec, Transport]] = []

    async def open(self, specs: Sequence[TransportSpec]) -> None:
        """Open them, each by itself. Raises what a terminal's opening raises: nobody could use the process then."""
        for spec in specs:
            try:
                if spec.imports is not None:
                    await asyncio.to_thread(importlib.import_module, spec.imports)
                self._open.append((spec, spec.open(self._context(spec))))
            except Exception as error:
                if spec.name == TERMINAL:
                    raise
                known = isinstance(error, VtocError)
                name = f"{TRANSPORT}{spec.name}"
                self._parts.failing[name] = str(error) if known else f"{type(error).__name__}: {error}"
                log = logger.error if known else logger.exception
                log("transport_not_opened", transport=spec.name, error=str(error))
                register_transport(self._health, spec.name, None, self._parts.failing)

    def terminal(self) -> tuple[str, Transport, TransportInbox] | None:
        """The account, transport and inbox of this process's terminal, if it has one."""
        return next(((s.account, t, self._inbox(s, t)) for s, t in self._open if s.name == TERMINAL), None)

    def routes(self) -> Iterator[RouteDef]:
        """What they receive by HTTP."""
        for _, transport in self._open:
            if isinstance(transport, ServesRoutes):
                yield from transport.routes()

    def run(self) -> None:
        """Deliver their replies, and run all but the terminal."""
        if not self._open:
            return
        self._parts.forever("deliver_keeper", self._keeper.run)
        if self._links.tidies:
            self._parts.forever("links", self._links.run)
        work = {_entrypoint(spec): self._deliverer(spec, transport) for spec, transport in self._open}
        self._parts.take(Lane("deliver", work, DELIVERIES))
        for spec, transport in self._open:
            if spec.name != TERMINAL:
                self._run(spec, transport)

    def _run(self, spec: TransportSpec, transport: Transport) -> None:
        inbox = self._inbox(spec, transport)
        name = f"{TRANSPORT}{spec.name}"
        self._parts.forever(name, lambda: transport.run(inbox))
        register_transport(self._health, spec.name, transport, self._parts.failing)
        if isinstance(transport, PublishesCommands):
            publisher = transport

            async def publish(epoch: int) -> None:
                try:
                    await publisher.publish(tuple(self._commands))
                except VtocError:
                    broken = self._parts.failing.get(name)
                    if broken is None:
                        raise
                    raise NotSent(broken) from None  # the platform itself is out: that is why
                await asyncio.Event().wait()  # and keep others from doing it too

            held = self._parts.singleton(f"publish.{spec.name}", publish)
            self._parts.forever(f"{name}{MENU}", held.run)

    def _inbox(self, spec: TransportSpec, transport: Transport) -> TransportInbox:
        queue = spec.queue or spec.name
        rows, caps = self._inbox_rows, transport.caps
        return TransportInbox(rows, queue, caps, self._asking, self._floods, self._metrics, self._observers)

    def _deliverer(self, spec: TransportSpec, transport: Transport) -> Callable[[str], Awaitable[None]]:
        def ring(conversation: str) -> None:
            hint = Hint(_entrypoint(spec), conversation)
            any(worker.take(hint) for worker in self._parts.workers)

        alarms = Alarms(self._clock, ring)
        self._parts.forever(f"alarms.{spec.name}", alarms.run)
        rows, leases, keeper = self._outbox_rows, self._delivering, self._keeper
        deliverer = Deliverer(transport, rows, leases, keeper, self._clock, self._metrics, self._sent, alarms.set)
        return deliverer.deliver

    def _context(self, spec: TransportSpec) -> TransportContext:
        async def hold(name: str, work: Callable[[int], Awaitable[None]]) -> None:
            await self._parts.singleton(f"{TRANSPORT}{spec.name}.{name}", work).run()

        async def holders(prefix: str) -> Sequence[str]:
            whole = f"{TRANSPORT}{spec.name}."
            return [row.name.removeprefix(whole) for row in await self._parts.leases.live(whole + prefix)]

        async def notice(card: Card, key: str) -> None:
            await self._notices.send(self._settings.station.slug, card, f"notice:{spec.name}:{key}")

        async def mission_thread(slug: str, code: str) -> str | None:
            station = await Stations(self._parts.store).get(slug)
            if station is None:
                return None
            async with self._parts.store.session(station) as session:
                return await thread_of_mission(session, code)

        return TransportContext(
            account=spec.account,
            clock=self._clock,
            blobs=self._blobs,
            data_dir=self._settings.data_dir,
            hold=hold,
            holders=holders,
            notice=notice,
            link=self._links.address,
            address=self._address,
            recall=Remembered(self._parts.store, spec.name, spec.account).recall,
            caller=self._caller,
            threads=ThreadRows(self._parts.store),
            knows=self._asking.knows,
            mission_thread=mission_thread,
        )

    async def _sent(self, outbound: Outbound) -> None:
        self._observers.tell("reply_sent", key=outbound.key, conversation=str(outbound.conversation))


def _entrypoint(spec: TransportSpec) -> str:
    """The jobs that deliver a transport's conversations."""
    return f"{DELIVER}.{spec.queue or spec.name}"
