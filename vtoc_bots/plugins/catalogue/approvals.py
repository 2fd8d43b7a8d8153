"""Commands about approvals."""

from __future__ import annotations

from vtoc_bots import ApprovalId, Block, Button, Buttons, Card, Context, Rest, Table, command, short_id


@command("approvals", level="observer", agents="use")
async def approvals(ctx: Context) -> Card:
    """List what waits for a decision at this station."""
    blocks = await waiting(ctx)
    if not blocks:
        return Card.of("Approvals", "Nothing waits for a decision at this station.")
    return Card.of("Approvals", *blocks)


async def waiting(ctx: Context) -> tuple[Block, ...]:
    """What waits for a decision at the station, with buttons that decide it; nothing where nothing does."""
    found = await ctx.desk.approvals(ctx)
    if not found:
        return ()
    rows = []
    buttons = []
    for record, votes in found:
        short = short_id(record.id)
        given = sum(vote.verdict == "approve" for vote in votes)
        until = f"{record.expires_at:%Y-%m-%d %H:%MZ}" if record.expires_at else "no limit"
        arguments = ", ".join(f"{name}={value}" for name, value in (record.detail.get("arguments") or {}).items())
        rows.append((short, record.title, arguments, f"{given} of {record.quorum}", record.level, until))
        buttons.append(Button(label=f"Approve {short}", command=f"/approve {short}", style="good"))
        buttons.append(Button(label=f"Deny {short}", command=f"/deny {short}", style="bad"))
    columns = ("approval", "for", "with", "votes", "level", "until")
    return Table(columns=columns, rows=tuple(rows)), Buttons(buttons=tuple(buttons[:10]))


@command("approve", agents="never", examples=("approve 7Z3K9QPM",))
async def approve(ctx: Context, approval: ApprovalId, reason: Rest = "") -> Card:
    """Approve what a run waits for."""
    return await ctx.desk.decide(ctx, approval, "approve", reason or None)


@command("deny", agents="never", examples=("deny 7Z3K9QPM the weather is too bad",))
async def deny(ctx: Context, approval: ApprovalId, reason: Rest = "") -> Card:
    """Deny what a run waits for; say why."""
    return await ctx.desk.decide(ctx, approval, "deny", reason or None)
