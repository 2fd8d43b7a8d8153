"""Buttons and menus: at most five rows, each button's id its token and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from vtoc_bots import Button, Buttons, Card, markup
from vtoc_bots.plugins.discord.answers import cut

MOST_ROWS: Final = 5
MOST_IN_ROW: Final = 5
MOST_IN_MENU: Final = 25
LABEL_CHARACTERS: Final = 80
ID_CHARACTERS: Final = 100
_STYLES: Final = {"plain": 2, "good": 3, "bad": 4}


def rows_of_card(card: Card) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a card's choices, and the labels that found no room.

    Up to five choices are a row of buttons, more are a menu; where there would be more than five rows, the choices of
    all blocks are put into menus together.
    """
    groups = _usable(block.buttons for block in card.blocks if isinstance(block, Buttons))
    if sum(_rows(group) for group in groups) > MOST_ROWS:
        groups = [[button for group in groups for button in group]]
    made: list[dict[str, Any]] = []
    for group in groups:
        if len(group) <= MOST_IN_ROW:
            made.append(_row([_button(button) for button in group]))
        else:
            made += [_row([_menu(part, at)]) for at, part in enumerate(_parts(group))]
    lost = [option["label"] for row in made[MOST_ROWS:] for option in _options(row)]
    return made[:MOST_ROWS], lost


def _usable(blocks: Iterable[Iterable[Button]]) -> list[list[Button]]:
    """The choices of each block that can be made, each once."""
    taken: set[str] = set()
    groups: list[list[Button]] = []
    for buttons in blocks:
        group = []
        for button in buttons:
            if button.token and len(button.token) < ID_CHARACTERS and button.token not in taken:
                taken.add(button.token)
                group.append(button)
        if group:
            groups.append(group)
    return groups


def _rows(group: Sequence[Button]) -> int:
    return 1 if len(group) <= MOST_IN_ROW else len(list(_parts(group)))


def _parts(group: Sequence[Button]) -> Iterable[Sequence[Button]]:
    return (group[at : at + MOST_IN_MENU] for at in range(0, len(group), MOST_IN_MENU))


def _row(components: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": 1, "components": components}


def _button(button: Button) -> dict[str, Any]:
    label = cut(markup.clean_line(button.label), LABEL_CHARACTERS)
    return {"type": 2, "style": _STYLES[button.style], "label": label, "custom_id": button.token}


def _menu(part: Sequence[Button], at: int) -> dict[str, Any]:
    # A menu's own id means nothing: what is chosen comes with the token as its value.
    options = [{"label": cut(markup.clean_line(each.label), 100), "value": each.token} for each in part]
    return {
        "type": 3,
        "custom_id": f"menu:{at}:{part[0].token}"[:ID_CHARACTERS],
        "options": options,
        "placeholder": "Choose…",
    }


def _options(row: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for component in row["components"]:
        yield from component.get("options") or (component,)
