"""The numbered choices of a card: what a person types instead of pressing a button."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vtoc_bots import Button, Buttons, Card


class Choice(NamedTuple):
    """One button that can be chosen by its number."""

    number: int
    label: str
    token: str


def numbered(card: Card) -> Iterator[tuple[Buttons, tuple[tuple[int | None, Button], ...]]]:
    """The card's button rows; buttons count from 1 through the card. One without a token can't be chosen: None."""
    number = 0
    for block in card.blocks:
        if isinstance(block, Buttons):
            row: list[tuple[int | None, Button]] = []
            for button in block.buttons:
                number += button.token is not None
                row.append((number if button.token is not None else None, button))
            yield block, tuple(row)


def choices_of_card(card: Card) -> tuple[Choice, ...]:
    """Every button of the card that can be chosen."""
    return tuple(
        Choice(number, button.label, button.token)
        for _, row in numbered(card)
        for number, button in row
        if number is not None and button.token is not None
    )
