"""Cards as plain text: for notifications, screen readers, and files of what is too long for a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from vtoc_bots import Buttons, Card, Divider, Fields, File, Image, Plan, Progress, Severity, Table, Text

NO_VALUE: Final = "–"
_WORDS: Final = {Severity.GOOD: "OK: ", Severity.WARNING: "Warning: ", Severity.BAD: "Failed: "}
# Controls, surrogates and what hides or turns text around: Slack refuses some and shows none.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without what a person can't see; line ends and tabs stay."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def text_from_card(card: Card, *, short: bool = False) -> str:
    """The card as lines of text; `short`: its title and first words only."""
    head = f"{_WORDS.get(card.severity, '')}{clean(card.title)}".strip()
    parts = ["EXERCISE"] if card.exercise else []
    parts += [head] if head else []
    for block in card.blocks:
        lines = [line for line in _lines(block, short) if line.strip()]
        parts += ["\n".join(lines)] if lines else []
        if short and lines:
            break
    if card.footer and not short:
        parts.append(clean(card.footer))
    return ("\n" if short else "\n\n").join(parts)


def _lines(block: Any, short: bool) -> Iterator[str]:
    match block:
        case Text():
            yield clean(block.text)
        case Fields():
            yield from (f"{clean(pair.name)}: {clean(pair.value)}" for pair in block.fields)
        case Table():
            yield "\t".join(map(clean, block.columns))
            for row in block.rows[: 3 if short else None]:
                yield "\t".join(clean(cell).replace("\n", " ") for cell in row)
        case Image():
            yield f"[picture] {clean(block.alt)} ({clean(block.name)})"
        case File():
            yield f"[file] {clean(block.name)}"
        case Plan():
            yield from (f"{step.state}: {clean(step.title)} {clean(step.detail)}".strip() for step in block.steps)
        case Progress():
            done = "" if block.done is None else f" {block.done}{f' of {block.total}' if block.total else ''}"
            yield f"{clean(block.text)}{done}"
        case Buttons() if not short:
            yield " ".join(f"[{clean(button.label)}]" for button in block.buttons)
        case Divider() if not short:
            yield "-" * 20
