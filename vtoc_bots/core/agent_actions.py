"""Follows agent actions: what their runs come to is noted, audited, and copied to the table of their station."""

from __future__ import annotations

from typing import Final

import structlog

from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.errors import NotFound, TransientError
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.people import People
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.agent_actions import (
    FINAL,
    PRIVATE,
    ActionRow,
    copy_action,
    failed_in_private,
    find_action,
    follow_runs,
    told_action,
    untold_actions,
    withdraw_copy,
)
from vtoc_bots.core.store.effects import Effects, Row, write_effects
from vtoc_bots.core.store.pool import Connection, Store

logger = structlog.get_logger(__name__)

FOLLOW_SECONDS: Final = 1.0


class AgentActions:
    """The follower. Whatever a crash leaves undone, the next look finds by the rows alone."""

    def __init__(self, store: Store, people: People, clock: Clock) -> None:
        self._store, self._people, self._clock = store, people, clock

    async def run(self, epoch: int) -> None:
        """Follow, until cancelled; what fails is tried again at the next look."""
        while True:
            try:
                await self.follow()
            except Exception as error:
                logger.warning("agent_actions_not_followed", error=f"{type(error).__name__}: {error}")
            await self._clock.sleep(FOLLOW_SECONDS)

    async def follow(self) -> None:
        """One look at everything."""

        async def work(connection: Connection) -> None:
            moved = await follow_runs(connection)
            ended = [self.audit(action, f"run:{action.run_id}") for action in moved if action.status in FINAL]
            if ended:
                await write_effects(connection, new_id(), Effects(audit=ended))

        await self._store.run(work, transaction=True)
        await self._copy()

    async def _copy(self) -> None:
        """Copy what is behind. A station that takes nothing now holds up no other, however much it lacks."""
        away: set[str] = set()
        while True:
            known = len(away)
            for action in await untold_actions(self._store, sorted(away)):
                if action.station not in away and not await self._tell(action):
                    away.add(action.station)
            if len(away) == known:
                return

    async def tell(self, action_id: str) -> None:
        """Copy one action now, so that whoever asked finds it; where that fails the follower does it."""
        action = await find_action(self._store, action_id)
        if action is not None:
            await self._tell(action)

    async def belongs(self, action_id: str, station: str) -> None:
        """Withdraw the copy that a webhook, which came before anybody knew whose the action is, left at another
        station. Raises TransientError."""
        action = await find_action(self._store, action_id)
        if action is not None and action.run_id is None and action.station != station:
            async with self._store.session(await self._people.station(action.station)) as session:
                await withdraw_copy(session, action_id)

    async def _tell(self, action: ActionRow) -> bool:
        """Copy an action; where its station's database does not take it, the next look does it again. False where there
        is no point in trying another of the station's now."""
        try:
            station = await self._people.station(action.station)
            hidden = await failed_in_private(self._store, action)
            async with self._store.session(station) as session:
                await copy_action(session, action._replace(error=PRIVATE) if hidden else action)
            await told_action(self._store, action)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            logger.warning("agent_action_not_told", action=action.action_id, station=action.station, error=told)
            return not isinstance(error, TransientError | NotFound)
        return True

    def audit(self, action: ActionRow, actor: str) -> Row:
        """The row of the audit log that says what became of an action."""
        return audit_row(
            actor=actor,
            event=f"agent_action.{action.status}",
            subject=f"agent_action:{action.action_id}",
            station=action.station,
            detail={"tool": action.tool_name, "error": action.error},
            correlation_id=action.correlation_id,
            at=self._clock.now(),
        )
