"""Missions: opened and closed by people, each with its log and its thread in the station's ChatKit channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID, uuid5

from vtoc_bots.core.access import Station
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.cards import Card, Severity
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.messages import OutboundKind
from vtoc_bots.core.notices import CHATKIT, Notices
from vtoc_bots.core.outbox import add_outbound
from vtoc_bots.core.store import missions as rows
from vtoc_bots.core.store.missions import Ended, LogEntry, Mission, NewEntry, Priority
from vtoc_bots.core.store.pool import Session, Store

if TYPE_CHECKING:
    from vtoc_bots.core.context import Context

OPENED: Final = "mission.opened"
CLOSED: Final = "mission.closed"


class Story(NamedTuple):
    """A mission with its newest log lines, the newest first, and who opened and closed it, where that is known."""

    mission: Mission
    entries: Sequence[LogEntry]
    opened: LogEntry | None
    closed: LogEntry | None


class Missions:
    """The missions and the log of the caller's station. What is written is named by the message that asks for it, so a
    message that is handled again writes nothing again."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._store, self._notices = store, notices

    async def listed(self, ctx: Context, limit: int, offset: int = 0, *, closed: bool = False) -> list[Mission]:
        """The missions, the newest first: the open ones, or every one."""
        async with self._store.session(ctx.station) as session:
            return await rows.missions_of(session, limit, offset, closed=closed)

    async def story(self, ctx: Context, code: str, limit: int) -> Story:
        """One mission. Raises NotFound."""
        async with self._store.session(ctx.station) as session:
            mission = await self._found(ctx, session, code)
            return Story(
                mission,
                await rows.last_entries(session, mission.id, limit),
                await rows.last_event(session, mission.id, OPENED),
                await rows.last_event(session, mission.id, CLOSED),
            )

    async def open(self, ctx: Context, name: str, description: str, priority: Priority) -> tuple[Mission, bool]:
        """The new mission and True; or the open one that has this name already, and False."""
        async with self._store.session(ctx.station) as session:
            mission, mine = await rows.open_mission(session, ctx.message_id, name, description, priority)
            if not mine:
                return mission, False
            await rows.add_entry(session, self._line(ctx, mission.id, f"Opened: {mission.name}", {"event": OPENED}))
        text = f"Opened by {ctx.known().name}, priority {mission.priority}."
        card = Card.of(mission.name, text, *([mission.description] if mission.description else []))
        await self._told(ctx, mission, OPENED, card)
        return mission, True

    async def close(
        self, ctx: Context, code: str, status: Ended, outcome: str
    ) -> tuple[Mission, LogEntry | None, bool]:
        """The mission, the line that tells who closed it, and whether this message did. Raises NotFound."""
        async with self._store.session(ctx.station) as session:
            mission = await self._found(ctx, session, code)
            text = f"Closed: {status}" + (f". {outcome}" if outcome else "")
            line = self._line(ctx, mission.id, text, {"event": CLOSED, "status": status})
            if await rows.close_mission(session, mission.id, status):
                mission = mission._replace(status=status)
                await rows.add_entry(session, line)
            else:  # somebody was quicker
                mission = await self._found(ctx, session, code)
            closed = await rows.last_event(session, mission.id, CLOSED)
        mine = closed is not None and closed.id == line.id
        if mine:
            text = f"Closed by {ctx.known().name}: {status}."
            card = Card.of(f"{mission.name} is closed", text, *([outcome] if outcome else []), severity=Severity.GOOD)
            await self._told(ctx, mission, CLOSED, card)
        return mission, closed, mine

    async def log(self, ctx: Context, text: str, code: str | None) -> LogEntry:
        """The line as it stands in the log: of the mission that is named, else of that whose thread this is, else of
        the only open one, else of the station. Raises NotFound."""
        async with self._store.session(ctx.station) as session:
            entry_id = self._line(ctx, None, text).id
            if await rows.entry_by_id(session, entry_id) is None:
                mission = await self._meant(ctx, session, code)
                await rows.add_entry(session, self._line(ctx, None if mission is None else mission.id, text))
            found = await rows.entry_by_id(session, entry_id)
        assert found is not None
        return found

    async def open_count(self, ctx: Context) -> int:
        """How many are open."""
        async with self._store.session(ctx.station) as session:
            return await rows.open_missions(session)

    async def names(self, station: Station, limit: int) -> tuple[tuple[str, str], ...]:
        """(code, label) of the open missions, for completion."""
        async with self._store.session(station) as session:
            return tuple((each.code, each.label) for each in await rows.missions_of(session, limit))

    async def _meant(self, ctx: Context, session: Session, code: str | None) -> Mission | None:
        if code is not None:
            return await self._found(ctx, session, code)
        at = ctx.message.conversation
        if at.transport == CHATKIT and at.thread is not None:
            mission = await rows.mission_of_thread(session, at.thread)
            if mission is not None:
                return mission
        going_on = await rows.missions_of(session, 2)
        return going_on[0] if len(going_on) == 1 else None

    async def _found(self, ctx: Context, session: Session, code: str) -> Mission:
        mission = await rows.find_mission(session, code)
        if mission is None:
            raise NotFound(f"no mission {code} at station {ctx.station.callsign}; /mission lists them")
        return mission

    def _line(
        self, ctx: Context, mission_id: UUID | None, text: str, payload: dict[str, Any] | None = None
    ) -> NewEntry:
        operator, channel = ctx.known(), ctx.message.conversation
        return NewEntry(
            uuid5(ctx.message_id, "log"),
            mission_id=mission_id,
            logged_at=ctx.message.sent_at or ctx.clock.now(),
            author=operator.name,
            operator_id=operator.id,
            channel=channel.channel if channel.transport == CHATKIT else None,
            entry=text,
            payload=payload or {},
            correlation_id=ctx.correlation_id,
        )

    async def _told(self, ctx: Context, mission: Mission, event: str, card: Card) -> None:
        """Say it in the mission's thread, which is made with the first card, and in the audit log."""
        ctx.effects.audit.append(
            audit_row(
                actor=f"operator:{ctx.known().id}",
                event=event,
                subject=f"mission:{mission.id}",
                station=ctx.station.slug,
                detail={"name": ctx.known().name, "mission": mission.label, "status": mission.status},
                correlation_id=ctx.correlation_id,
                at=ctx.clock.now(),
            )
        )
        conversation = self._notices.channel(ctx.station.slug, f"mission:{mission.code}")
        if conversation is None:
            return
        await self._notices.know_these([conversation])
        add_outbound(
            ctx.effects,
            key=f"{event}:{mission.id}",
            kind=OutboundKind.NOTICE,
            conversation=conversation,
            card=card,
            correlation_id=ctx.correlation_id,
        )
