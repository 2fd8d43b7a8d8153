"""The command for one's own desk: my runs, and what waits for a decision."""

from __future__ import annotations

from vtoc_bots import Block, Card, Context, Text, command
from vtoc_bots.plugins.catalogue.approvals import waiting
from vtoc_bots.plugins.catalogue.playbooks import runs_table

SHOWN = 10


@command("home", level="observer", private=True)
async def home(ctx: Context) -> Card:
    """Show your own newest runs, and what waits for a decision at your station."""
    mine = await ctx.desk.runs(ctx, SHOWN, mine=True)
    open_approvals = await waiting(ctx)
    blocks: list[Block] = [Text(text="**My runs**" if mine else "You have run nothing at this station yet.")]
    if mine:
        blocks.append(runs_table(mine))
    blocks.append(Text(text="**Approvals**" if open_approvals else "Nothing waits for a decision."))
    return Card.of(f"{ctx.station.callsign}: {ctx.known().name}", *blocks, *open_approvals)
