"""What a card says, part by part, as trees: the same words on every platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from types import MappingProxyType
from typing import Final

from vtoc_bots.core.cards import (
    Block,
    Buttons,
    Card,
    Divider,
    Fields,
    File,
    Image,
    Pair,
    Plan,
    PlanStep,
    Progress,
    Severity,
    Table,
    Text,
)
from vtoc_bots.core.markup.clean import clean_line
from vtoc_bots.core.markup.dialect import PLAIN
from vtoc_bots.core.markup.nodes import (
    Break,
    Emphasis,
    Heading,
    Inline,
    Node,
    Paragraph,
    Rule,
    Strong,
    Words,
    words,
)
from vtoc_bots.core.markup.parse import parse
from vtoc_bots.core.markup.render import render
from vtoc_bots.core.markup.tables import table_block, table_csv, table_records

EXERCISE: Final = "EXERCISE: made-up traffic, nothing in this is real"
REPEAT: Final = "(may be a repeat)"
SEVERITY_WORDS: Final = MappingProxyType({Severity.GOOD: "OK", Severity.WARNING: "WARNING", Severity.BAD: "FAILED"})
SEVERITY_SHAPES: Final = MappingProxyType({Severity.GOOD: "✅", Severity.WARNING: "⚠️", Severity.BAD: "❌"})
STEP_MARKS: Final = MappingProxyType(
    {"planned": "·", "running": "▶", "done": "✓", "skipped": "–", "waiting": "⏸", "failed": "✗"}
)
BAR_CELLS: Final = 10
TEXT_CELLS: Final = 72
MOST_RECORDS: Final = 8
"""Rows above which a table that is too wide becomes a file."""
MOST_ROWS: Final = 100
"""Rows above which any table does: nobody reads more in a chat."""


class PartKind(StrEnum):
    """What a part of a card is: its head (exercise, repeat, title), a block, or its footer."""

    EXERCISE = "exercise"
    REPEAT = "repeat"
    TITLE = "title"
    TEXT = "text"
    FIELDS = "fields"
    TABLE = "table"
    PLAN = "plan"
    PROGRESS = "progress"
    DIVIDER = "divider"
    IMAGE = "image"
    FILE = "file"
    BUTTONS = "buttons"
    FOOTER = "footer"


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table as a file that is to be sent with the card."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a card: what it says, the block it comes of, and the file its table became.

    The nodes of a picture or file are its alternative text and name, those of buttons their labels: for platforms
    and fallbacks that can't show the thing itself.
    """

    kind: PartKind
    nodes: tuple[Node, ...]
    block: Block | None = None
    file: TableFile | None = None


def parts_of_card(
    card: Card,
    *,
    columns: int,
    may_be_repeat: bool = False,
    most_records: int = MOST_RECORDS,
    most_rows: int = MOST_ROWS,
) -> tuple[Part, ...]:
    """Every part of the card in reading order.

    A table is in a fixed pitch where it is at most `columns` cells wide; else its rows are records below each other;
    else, with more than `most_records` rows, or in any case with more than `most_rows`, it is a file and the text says
    so.
    """
    return tuple(_parts(card, may_be_repeat, lambda table, nth: _table(table, nth, columns, most_records, most_rows)))


def text_of_card(card: Card, *, may_be_repeat: bool = False) -> str:
    """All that the card says as plain text: for a notification, a fallback, an alternative text."""
    parts = _parts(
        card, may_be_repeat, lambda table, nth: _table(table, nth, TEXT_CELLS, len(table.rows), len(table.rows))
    )
    return render([node for part in parts for node in part.nodes], PLAIN)


def _parts(card: Card, may_be_repeat: bool, of_table: Callable[[Table, int], Part]) -> Iterator[Part]:
    if card.exercise:
        yield Part(PartKind.EXERCISE, _line(Strong((Words(EXERCISE),))))
    if may_be_repeat:
        yield Part(PartKind.REPEAT, _line(Emphasis((Words(REPEAT),))))
    if title := title_of_card(card):
        yield Part(PartKind.TITLE, (Heading((Words(title),)),))
    tables = count(1)
    for block in card.blocks:
        yield of_table(block, next(tables)) if isinstance(block, Table) else _part(block)
    if card.footer:
        yield Part(PartKind.FOOTER, (Paragraph(words(card.footer)),))


def title_of_card(card: Card) -> str:
    """The title on one line, the severity's shape and word before it."""
    mark = (
        f"{SEVERITY_SHAPES[card.severity]} {SEVERITY_WORDS[card.severity]}" if card.severity in SEVERITY_WORDS else ""
    )
    return ": ".join(word for word in (mark, clean_line(card.title).strip()) if word)


def _part(block: Text | Fields | Plan | Progress | Divider | Image | File | Buttons) -> Part:
    kind = PartKind(block.type)
    match block:
        case Text():
            return Part(kind, parse(block.text), block)
        case Fields():
            return Part(kind, (Paragraph(_lines([_pair(pair) for pair in block.fields])),), block)
        case Plan():
            steps = [step_words(step) for step in block.steps] or ["(no steps)"]
            return Part(kind, (Paragraph(_lines([(Words(step),) for step in steps])),), block)
        case Progress():
            return Part(kind, _line(Words(f"{progress_bar(block)}{progress_words(block)}")), block)
        case Divider():
            return Part(kind, (Rule(),), block)
        case Image():
            return Part(kind, _line(Words(f"[picture] {clean_line(block.alt or block.name)}")), block)
        case File():
            return Part(kind, _line(Words(f"[file] {clean_line(block.name)}")), block)
        case Buttons():
            labels = "  ".join(f"[{clean_line(button.label)}]" for button in block.buttons)
            return Part(kind, _line(Words(labels)), block)


def _table(table: Table, nth: int, columns: int, most_records: int, most_rows: int) -> Part:
    block = table_block(table, columns) if len(table.rows) <= most_rows else None
    if block is not None:
        return Part(PartKind.TABLE, (block,), table)
    if len(table.rows) <= min(most_records, most_rows):
        return Part(PartKind.TABLE, table_records(table), table)
    heads = " · ".join(clean_line(head) for head in table.columns)
    name = "table.csv" if nth == 1 else f"table-{nth}.csv"
    note = Words(f"{len(table.rows)} rows in the file {name}: {heads}")
    return Part(PartKind.TABLE, _line(note), table, TableFile(name, "text/csv", table_csv(table)))


def step_words(step: PlanStep) -> str:
    """A step's mark, its state in words, its title and detail."""
    detail = f" – {clean_line(step.detail)}" if step.detail else ""
    return f"{STEP_MARKS[step.state]} {step.state}: {clean_line(step.title)}{detail}"


def progress_words(block: Progress) -> str:
    """The text and how much is done: of what, and in per cent, where the total is known."""
    text = clean_line(block.text)
    if block.done is None:
        return text
    if not block.total:
        return f"{text}: {block.done}"
    count, share = f"{block.done} of {block.total}", share_done(block)
    return f"{text} ({share:.0%})" if count in text else f"{text}: {count} ({share:.0%})"


def share_done(block: Progress) -> float:
    """How much is done, 0 to 1."""
    return min(1.0, max(0.0, (block.done or 0) / block.total)) if block.total else 0.0


def progress_bar(block: Progress, cells: int = BAR_CELLS, full: str = "█", empty: str = "░") -> str:
    """``████░░░░░░ ``, with a space behind it; nothing where the total is not known."""
    if not block.total or block.done is None:
        return ""
    done = round(share_done(block) * cells)
    return f"{full * done}{empty * (cells - done)} "


def _line(inline: Inline) -> tuple[Node, ...]:
    return (Paragraph((inline,)),)


def _lines(lines: Sequence[tuple[Inline, ...]]) -> tuple[Inline, ...]:
    return tuple(inline for index, line in enumerate(lines) for inline in ((Break(), *line) if index else line))


def _pair(pair: Pair) -> tuple[Inline, ...]:
    name = clean_line(pair.name).strip()
    return (*((Strong((Words(f"{name}:"),)), Words(" ")) if name else ()), *words(pair.value))
