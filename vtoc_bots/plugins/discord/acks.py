"""How interactions were acknowledged by this process, for the replies that it sends to them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Literal

MOST: Final = 5_000
WAIT_SECONDS: Final = 3.0

Kind = Literal["deferred", "private", "update", "form", "told", "none"]
"""A message that waits for its answer (seen by all, or by the sender alone), an edit to come, a form, a few words."""


@dataclass(slots=True)
class _Ack:
    kind: Kind | None = None
    made: asyncio.Event = field(default_factory=asyncio.Event)


class Acks:
    """The latest acknowledgements, by interaction; the oldest are forgotten."""

    def __init__(self) -> None:
        self._acks: OrderedDict[str, _Ack] = OrderedDict()

    def begin(self, interaction: str) -> None:
        """An interaction is being taken: its reply may be ready before it is acknowledged."""
        self._acks.setdefault(interaction, _Ack())
        if len(self._acks) > MOST:
            self._acks.popitem(last=False)

    def end(self, interaction: str, kind: Kind) -> None:
        """It was acknowledged."""
        ack = self._acks.get(interaction)
        if ack is not None:
            ack.kind = kind
            ack.made.set()

    async def kind(self, interaction: str) -> Kind | None:
        """How it was acknowledged, after waiting for that to happen; None where this process doesn't know."""
        ack = self._acks.get(interaction)
        if ack is None:
            return None
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await ack.made.wait()
        except TimeoutError:
            return None
        return ack.kind
