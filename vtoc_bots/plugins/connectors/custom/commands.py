"""The command that calls a source."""

from __future__ import annotations

from typing import Annotated, Literal

from vtoc_bots import Card, Context, Rest, command


@command("connector", examples=("connector patrol collect", "connector patrol analyze which boats are new?"))
async def connector_command(
    ctx: Context,
    source: Annotated[str, "A source that can be called, see /sources"],
    verb: Literal["collect", "analyze"] = "collect",
    prompt: Rest = "",
) -> Card:
    """Have a source collect or analyze now; what you write behind that reaches it as you wrote it."""
    if verb == "collect":
        found = await ctx.act("connector.collect", source=source, prompt=prompt)
        return Card.of(source, f"{found.count:,} reports collected.", exercise=found.exercise)
    said = await ctx.act("connector.analyze", source=source, prompt=prompt)
    return Card.of(source, said.shown or "It has nothing to say.")
