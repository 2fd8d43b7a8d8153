"""A card in words: what tests look for in it, with no platform's markup."""

from __future__ import annotations

from collections.abc import Iterator

from vtoc_bots.core.cards import (
    Block,
    Buttons,
    Card,
    Divider,
    Fields,
    File,
    Image,
    Plan,
    Progress,
    Severity,
    Table,
    Text,
)


def words_of(card: Card) -> str:
    """Everything that a card says, a line for each of its parts; labels of buttons are not among it."""
    return "\n".join(_lines(card))


def _lines(card: Card) -> Iterator[str]:
    if card.exercise:
        yield "EXERCISE"
    severity = "" if card.severity is Severity.PLAIN else f"{card.severity.value.upper()}: "
    if severity or card.title:
        yield f"{severity}{card.title}"
    for block in card.blocks:
        yield from _block(block)
    if card.footer:
        yield card.footer


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text():
            yield block.text
        case Fields():
            yield from (f"{pair.name}: {pair.value}" for pair in block.fields)
        case Table():
            yield from (" | ".join(row) for row in (block.columns, *block.rows))
        case Plan():
            yield from (f"{step.state}: {step.title} {step.detail}".rstrip() for step in block.steps)
        case Progress():
            total = "" if block.total is None else f" of {block.total}"
            yield f"{block.text}{'' if block.done is None else f' ({block.done}{total})'}"
        case Image():
            yield block.alt
        case File():
            yield block.name
        case Buttons() | Divider():
            pass
