"""What Tab offers: core's choices for the line so far."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Final

import structlog
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from vtoc_bots.plugins.terminal.neutral import neutral_line

logger = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 1.0

Offer = Callable[[str], Awaitable[tuple[tuple[str, str], ...]]]
"""Gives (value, label) for a line that is being typed."""


class OfferCompleter(Completer):
    """Completes from an offer; one that fails or is slow offers nothing and disturbs nobody."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Nothing: the offer is asynchronous."""
        return iter(())

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """One completion a choice."""
        line = document.text_before_cursor
        if not line.strip():
            return
        try:
            offered = await asyncio.wait_for(self._offer(line), WAIT_SECONDS)
        except Exception as error:  # a convenience: whatever goes wrong must not take the prompt down
            logger.info("completion_failed", error=f"{type(error).__name__}: {error}")
            return
        for value, label in offered:
            yield completion_of(line, neutral_line(value), neutral_line(label))


def completion_of(line: str, value: str, label: str) -> Completion:
    """A choice as a completion: its value is the whole line to be, or the word that replaces the one being typed."""
    head, space, word = line.rpartition(" ")
    head += space
    if head and value.startswith(head):
        value = value[len(head) :]
    return Completion(value, start_position=-len(word), display=value, display_meta="" if label == value else label)
