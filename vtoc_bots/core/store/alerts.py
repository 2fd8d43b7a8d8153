"""What a station was alerted of, in its role's schema: raised once a key, acknowledged once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.store.clean import clean_text
from vtoc_bots.core.store.pool import Session

_COLUMNS: Final = "id, key, title, card, severity, raised_at, acknowledged_at, acknowledged_by, acknowledgement"
_RAISE: Final = """
INSERT INTO {schema}.alerts (id, station_id, key, title, card, severity)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (station_id, key) DO NOTHING
"""
_LATELY: Final = """
SELECT count(*) > 0 FROM {schema}.alerts WHERE raised_at > now() - $2::interval AND starts_with(key, $1)
"""
_BY_KEY: Final = f"SELECT {_COLUMNS} FROM {{schema}}.alerts WHERE key = $1"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM {{schema}}.alerts WHERE id = $1"
# A short id is the last forty bits of an id.
_BY_SHORT: Final = f"""
SELECT {_COLUMNS} FROM {{schema}}.alerts WHERE right(replace(id::text, '-', ''), 10) = $1
ORDER BY raised_at DESC LIMIT 1
"""
_LISTED: Final = f"""
SELECT {_COLUMNS} FROM {{schema}}.alerts WHERE $1 OR acknowledged_at IS NULL
ORDER BY raised_at DESC, id DESC LIMIT $2 OFFSET $3
"""
_ACKNOWLEDGE: Final = """
UPDATE {schema}.alerts SET acknowledged_at = $2, acknowledged_by = $3, acknowledger_id = $4, acknowledgement = $5
WHERE id = $1 AND acknowledged_at IS NULL
"""
_OPEN: Final = "SELECT count(*) FROM {schema}.alerts WHERE acknowledged_at IS NULL"


class AlertRow(NamedTuple):
    """An alert. `card` is what was said, as a card's JSON; `acknowledgement` the message that acknowledged it."""

    id: UUID
    key: str
    title: str
    card: Any
    severity: str
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledgement: UUID | None

    @property
    def is_open(self) -> bool:
        """Whether nobody has acknowledged it."""
        return self.acknowledged_at is None


class NewAlert(NamedTuple):
    """An alert to be raised; a second one of its station with the same key is not."""

    id: UUID
    key: str
    title: str
    card: Any
    severity: str


class Acknowledger(NamedTuple):
    """Who acknowledges, when, and by which message."""

    at: datetime
    by: str
    operator_id: UUID
    message_id: UUID


async def raise_alert(session: Session, new: NewAlert) -> AlertRow:
    """The alert of that key, made where there is none."""
    first, *rest = new._replace(key=clean_text(new.key), title=clean_text(new.title))
    await session.execute(_RAISE.format(schema=session.schema), first, session.station.id, *rest)
    found = await _one(session, _BY_KEY, clean_text(new.key))
    assert found is not None
    return found


async def is_raised(session: Session, key: str) -> bool:
    """Whether there is an alert of that key."""
    return await _one(session, _BY_KEY, clean_text(key)) is not None


async def raised_lately(session: Session, start: str, within: timedelta) -> bool:
    """Whether an alert whose key begins so was raised in this time."""
    return bool(await session.fetchval(_LATELY.format(schema=session.schema), start, within))


async def find_alert(session: Session, bits: int) -> AlertRow | None:
    """The alert of a short id, given as its bits."""
    return await _one(session, _BY_SHORT, f"{bits:010x}")


async def alerts_of(session: Session, limit: int, offset: int = 0, *, every: bool = False) -> list[AlertRow]:
    """The station's alerts, the newest first: the open ones, or every one."""
    rows = await session.fetch(_LISTED.format(schema=session.schema), every, limit, offset)
    return [AlertRow(*row.values()) for row in rows]


async def open_alerts(session: Session) -> int:
    """How many nobody has acknowledged."""
    return int(await session.fetchval(_OPEN.format(schema=session.schema)))


async def acknowledge_alert(session: Session, alert_id: UUID, given: Acknowledger) -> AlertRow:
    """Acknowledge it, unless somebody has; the alert as it is then. Of two at once the first stays."""
    await session.execute(_ACKNOWLEDGE.format(schema=session.schema), alert_id, *given)
    found = await _one(session, _BY_ID, alert_id)
    assert found is not None
    return found


async def _one(session: Session, sql: str, *arguments: Any) -> AlertRow | None:
    row = await session.fetchrow(sql.format(schema=session.schema), *arguments)
    return None if row is None else AlertRow(*row.values())
