"""What is done with what is seen in monitored channels: stored as telemetry, alerted of, deleted on request."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import orjson

from vtoc_bots import Card, Context, Fields, Severity, command
from vtoc_bots.plugins.slack.signals import highest
from vtoc_bots.plugins.slack.wire import TRANSPORT

QUIET: Final = timedelta(minutes=10)
"""The same signal alerts once in this time."""
SUMMARY: Final = 500
SOURCE: Final = "slack"
_NAMESPACE: Final = UUID("6f0c2f0e-7a55-5d0e-9b55-0d6f6f1b6a11")
_SIGNALS: Final = "slack.signal"

_SOURCE: Final = """
INSERT INTO {schema}.telemetry_sources AS s (station_id, name, slug, source_type, connection_mode, description)
VALUES ($1, $2, $2, 'slack', 'chatkit', 'Monitored Slack channels')
ON CONFLICT (station_id, slug) DO UPDATE SET last_ingested_at = now() RETURNING id
"""
_STORE: Final = """
INSERT INTO {schema}.telemetry_events
    (id, source_id, station_id, event_time, entity_id, entity_namespace, category, payload)
VALUES ($1, $2, $3, $4, $5, 'slack', $6, $7) ON CONFLICT (id, event_time) DO NOTHING
"""
# The row says when a signal was alerted of last, and by which message: that one may do it again, if it was cut off.
_CLAIM: Final = """
INSERT INTO {schema}.telemetry_latest AS l
    (source_id, station_id, entity_namespace, entity_id, event_time, payload)
VALUES ($1, $2, $3, $4, $5, jsonb_build_object('message', $6::text))
ON CONFLICT (source_id, entity_namespace, entity_id) DO UPDATE
    SET event_time = excluded.event_time, payload = excluded.payload, received_at = now()
    WHERE l.event_time <= $7 OR l.payload ->> 'message' = $6::text
RETURNING entity_id
"""
_WORKSPACES: Final = """
SELECT DISTINCT e.payload ->> 'workspace' AS workspace
FROM {schema}.telemetry_events e JOIN {schema}.telemetry_sources s ON s.id = e.source_id
WHERE s.source_type = 'slack' AND e.entity_namespace = 'slack' AND e.entity_id = $1
"""
_FORGET_EVENTS: Final = """
DELETE FROM {schema}.telemetry_events e USING {schema}.telemetry_sources s
WHERE s.id = e.source_id AND s.source_type = 'slack' AND e.entity_namespace = 'slack' AND e.entity_id = $1
"""
_ALERTS: Final = "SELECT key FROM {schema}.alerts WHERE starts_with(key, $1)"
_FORGET_ALERTS: Final = "DELETE FROM {schema}.alerts WHERE starts_with(key, $1)"


@command("slack event", level=None, event=True)
async def slack_event(ctx: Context, document: str) -> Card | None:
    """Store what happened in a monitored channel, and alert of what is severe."""
    seen = orjson.loads(document)
    at = datetime.fromisoformat(seen["at"])
    async with ctx.services.session(ctx.station) as session:
        schema = session.schema
        source = await session.fetchval(_SOURCE.format(schema=schema), ctx.station.id, SOURCE)
        await session.execute(
            _STORE.format(schema=schema),
            uuid5(_NAMESPACE, f"{seen['workspace']}:{seen['event_id']}"),
            source,
            ctx.station.id,
            at,
            seen["actor"],
            seen["type"],
            seen,
        )
        severe = [signal for signal in seen["detected_signals"] if signal["severity"] == "high"]
        fresh = []
        for signal in severe:
            name = f"{seen['channel']}:{signal['signal']}:{'|'.join(map(str.casefold, signal['values']))}"[:200]
            claimed = await session.fetchval(
                _CLAIM.format(schema=schema),
                source,
                ctx.station.id,
                _SIGNALS,
                name,
                ctx.clock.now(),
                str(ctx.message_id),
                ctx.clock.now() - QUIET,
            )
            if claimed is not None:
                fresh.append(signal)
    if fresh:
        key = f"{_of_user(seen['actor'])}{seen['workspace']}:{seen['event_id']}"
        await ctx.services.alert(ctx.station, alert_card(seen, fresh), key)
    return None


@command("slack forget", level="admin", private=True, examples=("slack forget U0123456789",))
async def slack_forget(ctx: Context, user: str) -> Card:
    """Delete everything that was stored of a Slack user in monitored channels, at a workspace admin's request."""
    user_id = user.strip().removeprefix("@").upper()
    async with ctx.services.session(ctx.station) as session:
        rows = await session.fetch(_WORKSPACES.format(schema=session.schema), user_id)
        told = await session.fetch(_ALERTS.format(schema=session.schema), _of_user(user_id))
    for workspace in {row["workspace"] for row in rows} | {ctx.message.sender.workspace}:
        await ctx.services.forget(TRANSPORT, workspace, user_id, [row["key"] for row in told])
    # Last, so that a command that was cut off finds them when it is handled again.
    async with ctx.services.session(ctx.station) as session:
        count = await session.execute(_FORGET_EVENTS.format(schema=session.schema), user_id)
        await session.execute(_FORGET_ALERTS.format(schema=session.schema), _of_user(user_id))
    records = "record" if count == 1 else "records"
    return Card.of("Deleted", f"{count} {records} of {user_id} at {ctx.station.callsign}.", severity=Severity.GOOD)


def _of_user(user_id: str) -> str:
    """How the keys of alerts of somebody's messages begin."""
    return f"slack:{user_id}:"


def alert_card(seen: dict[str, Any], signals: list[dict[str, Any]]) -> Card:
    """What is said of a severe message: the signals, who and where, its first words, and its address."""
    text = str(seen.get("text", ""))
    summary = text if len(text) <= SUMMARY else f"{text[: SUMMARY - 1]}…"
    quoted = "\n".join(f"    {line}" for line in summary.splitlines())
    names = ", ".join(f"{signal['signal']} ({', '.join(signal['values'])})" for signal in signals)
    return Card.of(
        f"Slack: {signals[0]['signal']} in a monitored channel",
        Fields.of(
            signals=names,
            severity=highest(signals) or "",
            channel=seen["channel"],
            by=seen["actor"],
            at=f"{datetime.fromisoformat(seen['at']):%Y-%m-%d %H:%M:%SZ}",
        ),
        quoted or "(no text)",
        f"[Open the message]({seen['permalink']})",
        severity=Severity.BAD,
    )
