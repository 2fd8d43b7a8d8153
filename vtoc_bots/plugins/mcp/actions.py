"""Actions on MCP servers: call a tool, and diagnose a system by the tools configured for it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from vtoc_bots import ActionContext, Card, Diagnosis, Severity, Table, ToolResult, action


class Findings(BaseModel):
    """What the checks of a system found."""

    system: str
    ok: bool
    checks: list[Diagnosis]


@action("mcp.call", level="lead", sends="the arguments, to the MCP server that is named")
async def call(ctx: ActionContext, server: str, tool: str, arguments: dict[str, Any] | None = None) -> ToolResult:
    """Call a tool of an MCP server."""
    return await ctx.services.tools.call(ctx, server, tool, arguments or {})


@action("mcp.diagnose", sends="the checks of config/mcp.yml, to the MCP servers that have them")
async def diagnose(ctx: ActionContext, system: str) -> Findings:
    """Run the checks of a system."""
    checks = await ctx.services.tools.diagnose(ctx, system)
    return Findings(system=system, ok=all(check.ok for check in checks), checks=checks)


@action("mcp.diagnosis_card")
async def diagnosis_card(ctx: ActionContext, findings: Findings) -> Card:
    """Show what checks found, what is wrong first, with what to do about it."""
    checks = findings.checks
    bad = [check for check in checks if not check.ok]
    rows = tuple(
        ("ok" if check.ok else "FAILED", check.title, check.server, check.said[:200])
        for check in sorted(checks, key=lambda check: check.ok)
    )
    table = Table(columns=("state", "check", "server", "what it said"), rows=rows)
    todo = [f"- **{check.title}**: {check.remedy}" for check in checks if check.remedy]
    advice = ("What to do:\n" + "\n".join(todo),) if todo else ()
    count = f"{len(bad)} of {len(checks)} checks failed." if bad else f"All {len(checks)} checks are good."
    severity = Severity.BAD if bad else Severity.GOOD
    return Card.of(f"Diagnostics: {findings.system}", count, table, *advice, severity=severity, private=True)
