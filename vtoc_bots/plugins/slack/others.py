"""Others who use the app: connections that Slack counts and no process of ours has. They get a part of what is said."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from vtoc_bots import Card, Severity, TransportContext, new_id

logger = structlog.get_logger(__name__)

_SEAT: Final = "socket."
"""What the names of the leases begin with by which processes know of each other."""


class Others:
    """Compares Slack's count with ours, whenever a connection is opened."""

    def __init__(self, context: TransportContext) -> None:
        self._context, self._seat = context, f"{_SEAT}{new_id()}"
        self._were_there = False
        self.remark = ""
        """What health says of them."""

    async def stay(self) -> None:
        """Be known to the other processes, until cancelled."""

        async def work(epoch: int) -> None:
            await asyncio.Event().wait()

        await self._context.hold(self._seat, work)

    async def counted(self, connections: int, ours: int) -> None:
        """Slack counts so many, of which `ours` are this process's. Told the second time in a row: the first may be
        what a process has left behind that was just killed."""
        known = [name for name in await self._context.holders(_SEAT) if name != self._seat]
        strange = connections - ours - len(known)
        were_there, self._were_there = self._were_there, strange > 0
        self.remark = f"; another program has {strange} of the app's connections" if strange > 0 else ""
        if strange > 0:
            logger.warning("slack_strange_connections", count=strange, known=len(known) + ours)
        if strange > 0 and were_there:
            await self._tell(connections, ours + len(known))

    async def _tell(self, connections: int, known: int) -> None:
        text = (
            f"Slack counts {connections} Socket Mode connections of the app, and {known} are ours. Another program"
            " receives with this app's tokens, and each of us misses what the other gets. Stop it, or give it an app of"
            " its own."
        )
        card = Card.of("Two programs use one Slack app", text, severity=Severity.BAD)
        await self._context.notice(card, f"connections:{self._context.clock.now():%Y-%m-%d}")
