"""Actions at a remote AgentKit: call a tool there while the run is parked, and show what came of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from vtoc_bots import ActionContext, Card, RemoteResult, Severity, action

LONGEST = 3_000
"""Characters of a result that a card shows."""
WORDS = ("text", "summary", "message", "output")
"""Members of a result that are likely to be words for people."""


@action("agentkit.call", level="lead", sends="the input, to the remote AgentKit")
async def call(
    ctx: ActionContext, tool: str, input: dict[str, Any] | None = None, within: timedelta = timedelta(hours=1)
) -> RemoteResult:
    """Call a tool of the remote AgentKit; the run is parked until it has ended."""
    return await ctx.services.agents.call(ctx, tool, input or {}, within.total_seconds())


@action("agentkit.card")
async def result_card(ctx: ActionContext, title: str, outcome: RemoteResult, private: bool = False) -> Card:
    """Show what a remote action came to: its words where it has some, else its data."""
    words = outcome.result if isinstance(outcome.result, str) else None
    if isinstance(outcome.result, dict):
        words = next((outcome.result[name] for name in WORDS if isinstance(outcome.result.get(name), str)), None)
    if words is None and outcome.result is not None:
        words = f"```json\n{json.dumps(outcome.result, ensure_ascii=False, indent=2)[:LONGEST]}\n```"
    blocks = [words[:LONGEST] if words else outcome.said or "Done."]
    blocks += [f"The result is large: {file.size:,} bytes, kept as {file.blob[:12]}." for file in outcome.files]
    return Card.of(title, *blocks, severity=Severity.GOOD, private=private)
