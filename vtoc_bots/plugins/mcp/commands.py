"""The command about systems that MCP servers can check."""

from __future__ import annotations

from typing import Annotated

from vtoc_bots import Card, Context, command


@command("diagnostics", private=True, examples=("diagnostics radar", "diagnostics"))
async def diagnostics(
    ctx: Context, system: Annotated[str, "The system, one that config/mcp.yml names; without it they are listed"] = ""
) -> Card | None:
    """Check a system with the tools configured for it; only you see what they found."""
    if system:
        return await ctx.desk.start(ctx, "diagnostics", {"system": system.lower()}, dry_run=False)
    systems = ctx.services.tools.systems
    if not systems:
        return Card.of("Diagnostics", "No MCP server has any; config/mcp.yml names them under diagnostics.")
    return Card.of("Diagnostics", "\n".join(f"- `/diagnostics {each}`" for each in systems))
