"""Commands about alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from vtoc_bots import AlertId, AlertRow, Button, Buttons, Card, Context, Fields, Severity, Table, command, short_id
from vtoc_bots.plugins.catalogue.pages import Page, page_buttons

LISTED = 5
"""A page has a button for each."""


@command("alerts", level="observer", agents="use", examples=("alerts", "alerts --every"))
async def alerts(ctx: Context, *, every: Annotated[bool, "acknowledged ones, too"] = False, page: Page = 1) -> Card:
    """List the alerts that nobody has acknowledged, the newest first."""
    found = await ctx.desk.alerts.listed(ctx, LISTED + 1, (page - 1) * LISTED, every=every)
    if not found:
        none = "There are no more." if page > 1 else "There was none." if every else "Every alert is acknowledged."
        return Card.of("Alerts", none)
    shown = found[:LISTED]
    waiting = any(each.is_open for each in shown)
    buttons = tuple(
        Button(label=f"Acknowledge {short_id(each.id)}", command=f"/acknowledge {short_id(each.id)}", style="good")
        for each in shown
        if each.is_open
    )
    again = "/alerts --every" if every else "/alerts"
    return Card.of(
        "Alerts",
        alerts_table(shown),
        *([Buttons(buttons=buttons)] if buttons else []),
        *page_buttons(again, page, more=len(found) > LISTED),
        severity=Severity.WARNING if waiting else Severity.PLAIN,
    )


@command("acknowledge", agents="never", aliases=("ack",), examples=("acknowledge 7Z3K9QPM",))
async def acknowledge(ctx: Context, alert: AlertId) -> Card:
    """Acknowledge an alert, so that everybody sees that it is yours."""
    row, mine = await ctx.desk.alerts.acknowledge(ctx, alert)
    at = f"{row.acknowledged_at:%Y-%m-%d %H:%M:%SZ}"
    if not mine:
        text = f"{row.title}: {row.acknowledged_by} did at {at}."
        return Card.of("Acknowledged already", text, severity=Severity.WARNING)
    facts = Fields.of(alert=short_id(row.id), by=row.acknowledged_by, at=at)
    return Card.of(f"Acknowledged: {row.title}", facts, severity=Severity.GOOD)


def alerts_table(found: Sequence[AlertRow]) -> Table:
    """Alerts as a table: id, when, what, how bad, and who acknowledged it."""
    rows = tuple(
        (
            short_id(each.id),
            f"{each.raised_at:%Y-%m-%d %H:%M:%SZ}",
            each.title,
            each.severity,
            "open" if each.acknowledged_at is None else f"{each.acknowledged_by} {each.acknowledged_at:%m-%d %H:%MZ}",
        )
        for each in found
    )
    return Table(columns=("alert", "raised", "what", "severity", "acknowledged"), rows=rows)
