"""Alerts: raised once, told where their station is told of things, acknowledged by one person and closed everywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from vtoc_bots.core.access import Station
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.cards import Block, Button, Buttons, Card, Fields, Severity, Text
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.ids import new_id, parse_short_id, short_id
from vtoc_bots.core.messages import OutboundKind
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.outbox import add_outbound
from vtoc_bots.core.store.alerts import (
    Acknowledger,
    AlertRow,
    NewAlert,
    acknowledge_alert,
    alerts_of,
    find_alert,
    is_raised,
    open_alerts,
    raise_alert,
    raised_lately,
)
from vtoc_bots.core.store.effects import Effects
from vtoc_bots.core.store.missions import NewEntry, add_entry
from vtoc_bots.core.store.pool import Store

if TYPE_CHECKING:
    from vtoc_bots.core.context import Context

BUTTON_SECONDS: Final = 30 * 24 * 3600.0
AUTHOR: Final = "vtoc-bots"


class Alerts:
    """Raises, lists and acknowledges alerts."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._store, self._notices = store, notices

    async def alert(
        self, station: Station, card: Card, key: str, *, unless: str | None = None, within: timedelta = timedelta()
    ) -> None:
        """Raise an alert and tell the station of it, once for each key, however often that is cut off.

        Nothing is done where another whose key begins with `unless` was raised `within` this time.
        """
        title = ("EXERCISE: " if card.exercise else "") + (card.title or "Alert")  # in lists and the log too
        new = NewAlert(new_id(), key, title, card.model_dump(mode="json"), card.severity.value)
        async with self._store.session(station) as session:
            if (
                unless is not None
                and await raised_lately(session, unless, within)
                and not await is_raised(session, key)
            ):
                return
            row = await raise_alert(session, new)
            line = NewEntry(
                uuid5(row.id, "raised"),
                logged_at=row.raised_at,
                author=AUTHOR,
                entry=f"Alert {short_id(row.id)}: {row.title}",
                payload={"event": "alert.raised", "alert": str(row.id)},
            )
            await add_entry(session, line)
        await self._notices.know_these(self._conversations(station))
        effects = Effects()
        self._tell(effects, station, row, row.id, only_revise=False)
        await self._notices.write(row.id, effects)

    async def listed(self, ctx: Context, limit: int, offset: int = 0, *, every: bool = False) -> list[AlertRow]:
        """The station's alerts, the newest first: the open ones, or every one."""
        async with self._store.session(ctx.station) as session:
            return await alerts_of(session, limit, offset, every=every)

    async def open_count(self, ctx: Context) -> int:
        """How many nobody has acknowledged."""
        async with self._store.session(ctx.station) as session:
            return await open_alerts(session)

    async def acknowledge(self, ctx: Context, short: str) -> tuple[AlertRow, bool]:
        """The alert as it is now, and whether this message acknowledged it: of several people the first does.

        With it, every card that tells of the alert shows by whom. Raises NotFound.
        """
        operator, bits = ctx.known(), parse_short_id(short)
        async with self._store.session(ctx.station) as session:
            found = None if bits is None else await find_alert(session, bits)
            if found is None:
                raise NotFound(f"no alert {short.upper()} at station {ctx.station.callsign}; /alerts lists them")
            given = Acknowledger(ctx.clock.now(), operator.name, operator.id, ctx.message_id)
            row = await acknowledge_alert(session, found.id, given)
            if row.acknowledged_at is None or row.acknowledgement != ctx.message_id:
                return row, False
            line = NewEntry(
                uuid5(row.id, "acknowledged"),
                logged_at=row.acknowledged_at,
                author=operator.name,
                operator_id=operator.id,
                entry=f"Acknowledged alert {short_id(row.id)}: {row.title}",
                payload={"event": "alert.acknowledged", "alert": str(row.id)},
                correlation_id=ctx.correlation_id,
            )
            await add_entry(session, line)
        self._tell(ctx.effects, ctx.station, row, ctx.correlation_id, only_revise=True)
        ctx.effects.audit.append(
            audit_row(
                actor=f"operator:{operator.id}",
                event="alert.acknowledged",
                subject=f"alert:{row.id}",
                station=ctx.station.slug,
                detail={"name": operator.name, "title": row.title},
                correlation_id=ctx.correlation_id,
                at=row.acknowledged_at,
            )
        )
        return row, True

    def _conversations(self, station: Station) -> tuple[str, ...]:
        """Where a station's alerts are told: its notice conversations, and its ChatKit channel, where each has a
        thread."""
        channel = self._notices.channel(station.slug)
        named = (*self._notices.of(station.slug), *([] if channel is None else [channel]))
        return tuple(dict.fromkeys(named))

    def _tell(
        self, effects: Effects, station: Station, row: AlertRow, correlation_id: UUID, *, only_revise: bool
    ) -> None:
        card = alert_card(row)
        for conversation in self._conversations(station):
            add_outbound(
                effects,
                key=f"alert:{row.key}:{station.slug}@{conversation}",
                kind=OutboundKind.APPROVAL,
                conversation=conversation,
                card=card,
                correlation_id=correlation_id,
                button_seconds=BUTTON_SECONDS,
                only_revise=only_revise,
                though_unsent=True,
            )


def alert_card(row: AlertRow) -> Card:
    """An alert as it was raised, with its button; or, once it is, with who acknowledged it."""
    card, short = Card.model_validate(row.card), short_id(row.id)
    blocks: list[Block] = [*card.blocks, Fields.of(alert=short)]
    if row.is_open:
        button = Button(label="Acknowledge", command=f"/acknowledge {short}", style="good")
        return card.model_copy(update={"blocks": (*blocks, Buttons(buttons=(button,)))})
    blocks.append(Text(text=acknowledged(row)))
    return card.model_copy(update={"blocks": tuple(blocks), "severity": Severity.PLAIN})


def acknowledged(row: AlertRow) -> str:
    """Who acknowledged it, and when."""
    return f"Acknowledged by {row.acknowledged_by} at {row.acknowledged_at:%Y-%m-%d %H:%M:%SZ}."
