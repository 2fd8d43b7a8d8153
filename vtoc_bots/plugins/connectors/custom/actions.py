"""The verbs of sources that are called: collect, analyze and broadcast, as actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from vtoc_bots import ActionContext, Card, EventSet, Verb, action, markup, store_events


class Said(BaseModel):
    """What a source says; both are empty where it has nothing to say."""

    text: str = ""
    data: Any = None
    """A mapping that it gave."""

    @property
    def shown(self) -> str:
        """It as people read it (CommonMark)."""
        if self.text or not isinstance(self.data, Mapping):
            return self.text
        return "\n".join(f"- **{name}**: {value}" for name, value in self.data.items())


@action("connector.collect", summary="Have a source collect now")
async def collect(ctx: ActionContext, source: str, prompt: str | None = None) -> EventSet:
    """What a source collects when it is called; it is stored as telemetry, too."""
    return await store_events(ctx.blobs, await _called(ctx, source, "collect", prompt), ctx.clock.now())


@action("connector.analyze", summary="Ask a source for its analysis")
async def analyze(ctx: ActionContext, source: str, prompt: str | None = None) -> Said:
    """What a source makes of what it has."""
    return _said(await _called(ctx, source, "analyze", prompt))


@action("connector.broadcast", level="lead", sends="what the source says, to its station's notice conversations")
async def broadcast(ctx: ActionContext, source: str, prompt: str | None = None) -> Said:
    """Have a source say something to everybody at the station; nothing is sent where it has nothing to say."""
    given = await _called(ctx, source, "broadcast", prompt)
    said = _said(given)
    if given is not None:
        card = given if isinstance(given, Card) else Card.of(source, said.shown)
        await ctx.services.notice(ctx.station, card, f"broadcast:{ctx.idempotency_key}")
    return said


async def _called(ctx: ActionContext, source: str, verb: Verb, prompt: str | None) -> Any:
    words = ctx.prompt if prompt is None else prompt
    return await ctx.services.telemetry.call(
        ctx.station, source, verb, prompt=words, idempotency_key=ctx.idempotency_key
    )


def _said(given: Any) -> Said:
    if isinstance(given, Card):
        return Said(text=markup.text_of_card(given))
    if isinstance(given, Mapping):
        return Said(data=dict(given))
    return Said(text=given or "")
