"""What ChatKit reports by itself: texts for the mission log, and threads that missions have now."""

from __future__ import annotations

from vtoc_bots import Context, command

_LOG = """INSERT INTO {schema}.mission_logs
    (id, station_id, mission_id, logged_at, author, operator_id, channel_slug, entry, correlation_id)
    SELECT $1, $2, (SELECT m.id FROM {schema}.missions m WHERE m.chatkit_thread_id = $3 LIMIT 1), $4, $5, $6, $7, $8, $9
    ON CONFLICT (id) DO NOTHING"""
_HAS_THREAD = """UPDATE {schema}.missions SET chatkit_thread_id = $2
    WHERE code = $1 AND chatkit_thread_id IS NULL"""


@command("chatkit said", event=True)
async def said(ctx: Context, text: str, channel: str, thread: str = "") -> None:
    """Write what somebody said in a channel to the station's mission log; in a mission's thread, to that mission's."""
    message = ctx.message
    async with ctx.services.session(ctx.station) as session:
        await session.execute(
            _LOG.format(schema=session.schema),
            ctx.message_id,
            ctx.station.id,
            thread or None,
            message.sent_at or ctx.clock.now(),
            message.sender.name or message.sender.user_id,
            ctx.operator.id if ctx.operator else None,
            channel,
            text,
            ctx.correlation_id,
        )


@command("chatkit thread", event=True)
async def thread_made(ctx: Context, mission: str, thread: str) -> None:
    """Note the thread that a mission has now."""
    async with ctx.services.session(ctx.station) as session:
        await session.execute(_HAS_THREAD.format(schema=session.schema), mission, thread)
