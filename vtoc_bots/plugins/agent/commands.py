"""The command that free text stands for."""

from __future__ import annotations

from typing import Annotated

from vtoc_bots import Card, Context, Rest, command

PLAYBOOK = "agent_answer"


@command("ask", level="observer", agents="never", examples=("ask what is flying within 20nm?",))
async def ask(ctx: Context, question: Annotated[Rest, "What you want to know or have done"]) -> Card | None:
    """Ask in your own words; a text that is no command is asked this way too.

    The agent looks things up as you may, and proposes what does more: nothing of that happens before you press its
    button.
    """
    return await ctx.desk.start(ctx, PLAYBOOK, {"question": question}, dry_run=False)
