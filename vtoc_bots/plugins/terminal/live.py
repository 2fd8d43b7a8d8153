"""The runs that are under way, as the few lines above the prompt."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from vtoc_bots import Card, Outbound, OutboundKind, Plan, Progress
from vtoc_bots.plugins.terminal.neutral import neutral_line
from vtoc_bots.plugins.terminal.painted import bar
from vtoc_bots.plugins.terminal.wire import progress_line, step_line

MOST_ENDED: Final = 200
_UNFINISHED: Final = ("running", "waiting", "failed")


class LiveBoard:
    """The newest progress of each run; one leaves when its result is shown or it says that it ended."""

    def __init__(self) -> None:
        self._cards: dict[str, tuple[UUID, Card]] = {}
        self._ended: deque[UUID] = deque(maxlen=MOST_ENDED)

    def __len__(self) -> int:
        return len(self._cards)

    def update(self, outbound: Outbound) -> None:
        """Show this progress in place of the run's last. What comes late, after the result, is not shown."""
        ended = not any(isinstance(block, Progress) for block in outbound.card.blocks)
        if ended or outbound.correlation_id in self._ended:
            self._cards.pop(outbound.key, None)
        else:
            self._cards[outbound.key] = (outbound.correlation_id, outbound.card)

    def shown(self, outbound: Outbound) -> None:
        """A card was printed; a result ends the progress of what it came of."""
        if outbound.kind is OutboundKind.RESULT:
            self._ended.append(outbound.correlation_id)
            self._cards = {key: live for key, live in self._cards.items() if live[0] != outbound.correlation_id}

    def lines(self, most: int) -> list[str]:
        """At most so many lines: every run's title and bar, and its steps where there is room."""
        cards = [card for _, card in self._cards.values()]
        lines = [line for card in cards for line in _lines(card, steps=True)]
        if len(lines) > most:
            lines = [line for card in cards for line in _lines(card, steps=False)]
        if len(lines) > most:
            lines = [*lines[: max(0, most - 1)], f"… and more: {len(cards)} runs are under way"]
        return lines[:most]


def _lines(card: Card, *, steps: bool) -> Iterator[str]:
    head = neutral_line(card.title)
    for block in card.blocks:
        if isinstance(block, Progress):
            yield f"{head}  {bar(block)}{progress_line(block)}"
    for block in card.blocks:
        if isinstance(block, Plan):
            yield from (f"  {step_line(step)}" for step in block.steps if steps or step.state in _UNFINISHED)
