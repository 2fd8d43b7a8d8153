"""Functions of custom sources, as somebody would write them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from vtoc_bots import Card, TelemetryEvent, TransientError
from vtoc_bots.plugins.connectors.custom import CustomContext


async def patrol(context: CustomContext) -> Any:
    """Collects a boat, and says what it was asked in whose sector."""
    if context.verb == "collect":
        return [boat(context, "b-1")]
    where = None if context.station is None else context.station.slug
    said = f"{context.verb} {context.options['sector']} at {where}, asked <{context.prompt}>"
    if context.verb == "broadcast":
        return Card.of("Boats", said)
    return {"sector": context.options["sector"]} if context.prompt == "as data" else said


async def patient(context: CustomContext) -> Any:
    """Collects one boat each time it is asked, named by the time that it was asked for."""
    return [boat(context, context.idempotency_key.rpartition("T")[2][:5])]


async def distress(context: CustomContext) -> Any:
    """Collects one that squawks an emergency."""
    return [boat(context, "b-9")._replace(squawk="7700")]


async def failing(context: CustomContext) -> Any:
    """Fails."""
    raise TransientError("the harbour does not answer")


async def stream(context: CustomContext) -> AsyncIterator[TelemetryEvent]:
    """Yields boats."""
    for number in range(3):
        yield boat(context, f"b-{number}")


async def wrong(context: CustomContext) -> Any:
    """Gives what nobody can use."""
    return 7 if context.verb == "analyze" else [{"id": "b-1"}]


def blocking(context: CustomContext) -> Any:
    """Is no asynchronous function."""
    return []


def boat(context: CustomContext, name: str) -> TelemetryEvent:
    """A boat where the station is."""
    now = context.clock.now()
    return TelemetryEvent(name, "harbour", "another", "custom", event_time=now, latitude=43.6, longitude=1.4)
