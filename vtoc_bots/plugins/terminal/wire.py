"""Cards as plain text: what a piped terminal prints and a script reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rich.cells import cell_len

from vtoc_bots import (
    Button,
    Buttons,
    Card,
    Divider,
    Fields,
    File,
    Image,
    Plan,
    PlanStep,
    Progress,
    Table,
    Text,
    markup,
)
from vtoc_bots.plugins.terminal.choices import numbered
from vtoc_bots.plugins.terminal.markdown import RULE, lines_of_markdown
from vtoc_bots.plugins.terminal.neutral import neutral_line, neutral_lines

HINT: Final = "(type the number)"
_STATE_CELLS: Final = max(len(state) for state in markup.STEP_MARKS)
_GAP: Final = "  "
_FILE_MARKS: Final = ("[image]", "[file]")


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a card's picture or file: its path and size in bytes, or why there is none."""

    path: str | None = None
    size: int = 0
    problem: str = ""


def text_from_card(
    card: Card, saved: Mapping[str, Saved] = MappingProxyType({}), *, may_be_repeat: bool = False
) -> str:
    """The card as lines of text without control characters.

    `saved` says by blob where its pictures and files are; each is a line of its own, ``[image] PATH`` or ``[file]
    PATH``, and no other line begins so. Blocks are parted by an empty line, the footer begins with ``-- ``.
    """
    head = [*([markup.EXERCISE] if card.exercise else []), *([markup.REPEAT] if may_be_repeat else [])]
    heading = ": ".join(word for word in (markup.SEVERITY_WORDS.get(card.severity), neutral_line(card.title)) if word)
    parts = [[*head, *([heading] if heading else [])], *_parts(card, saved)]
    if card.footer:
        parts.append([f"-- {neutral_line(card.footer)}"])
    return "\n\n".join("\n".join(line.rstrip() for line in part) for part in parts if part)


def _parts(card: Card, saved: Mapping[str, Saved]) -> Iterator[list[str]]:
    rows = numbered(card)
    for block in card.blocks:
        match block:
            case Image() | File():
                yield _file_lines(block, saved.get(block.blob, Saved(problem="not fetched")))
            case Buttons():
                yield [buttons_line(next(rows)[1])]
            case _:
                yield [f" {line}" if line.startswith(_FILE_MARKS) else line for line in _lines(block)]


def _lines(block: Text | Fields | Table | Plan | Progress | Divider) -> list[str]:
    match block:
        case Text():
            return [str(line) for line in lines_of_markdown(block.text)]
        case Fields():
            return field_lines([(pair.name, pair.value) for pair in block.fields])
        case Table():
            return table_lines(block)
        case Plan():
            return [step_line(step) for step in block.steps] or ["(no steps)"]
        case Progress():
            return [progress_line(block)]
        case Divider():
            return [RULE]


def field_lines(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """``name: value``, the values in one column; further lines of a value stand below its first."""
    names = [f"{neutral_line(name)}:" for name, _ in pairs]
    width = max((cell_len(name) for name in names), default=0)
    lines: list[str] = []
    for name, (_, value) in zip(names, pairs, strict=True):
        first, *others = neutral_lines(value)
        lines.append(f"{markup.padded(name, width)} {first}")
        lines += [" " * (width + 1) + other for other in others]
    return lines


def table_lines(table: Table) -> list[str]:
    """Heads, a rule and the rows, in columns two spaces apart; numeric columns end together. Nothing is cut."""
    return (markup.table_text(neutral_table(table)) or "").split("\n")


def neutral_table(table: Table) -> Table:
    """The table with every cell on one line and harmless."""
    heads, *rows = (tuple(neutral_line(cell) for cell in row) for row in (table.columns, *table.rows))
    return table.model_copy(update={"columns": heads, "rows": tuple(rows)})


def step_line(step: PlanStep) -> str:
    """A step's mark, its state in words, its title and detail."""
    detail = f" – {neutral_line(step.detail)}" if step.detail else ""
    return (
        f"{markup.STEP_MARKS[step.state]} {markup.padded(step.state, _STATE_CELLS)}  {neutral_line(step.title)}{detail}"
    )


def progress_line(block: Progress) -> str:
    """The text and how much is done: of what, and in per cent, where the total is known."""
    return neutral_line(markup.progress_words(block))


def buttons_line(row: Sequence[tuple[int | None, Button]]) -> str:
    """``[1] Approve  [2] Deny  (type the number)``; a button that can't be chosen has ``[-]``."""
    labels = [f"[{'-' if number is None else number}] {neutral_line(button.label)}" for number, button in row]
    return _GAP.join([*labels, HINT])


def _file_lines(block: Image | File, saved: Saved) -> list[str]:
    mark, about = ("[image]", block.alt) if isinstance(block, Image) else ("[file]", "")
    if saved.path is None:
        # A colon, so that nobody takes the reason for a path.
        return [f"{mark[:-1]}: {neutral_line(saved.problem)}] {neutral_line(about or block.name)}"]
    return [f"{mark} {saved.path}", *([f"({neutral_line(about)})"] if about else [])]
