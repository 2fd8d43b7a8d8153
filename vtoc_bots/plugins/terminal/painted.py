"""Cards for a person's terminal: the same words as the plain text, with tables, frames and colours around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text as RichText

from vtoc_bots import Button, Buttons, Card, Divider, Fields, File, Image, Plan, Progress, Severity, Table, Text, markup
from vtoc_bots.plugins.terminal.choices import numbered
from vtoc_bots.plugins.terminal.markdown import Line, Style, lines_of_markdown
from vtoc_bots.plugins.terminal.neutral import neutral_line, neutral_lines
from vtoc_bots.plugins.terminal.wire import HINT, Saved, neutral_table, progress_line, step_line

COLOURS: Final = MappingProxyType({Severity.GOOD: "green", Severity.WARNING: "yellow", Severity.BAD: "red"})
STEP_STYLES: Final = MappingProxyType(
    {
        "done": "green",
        "running": "bold cyan",
        "waiting": "yellow",
        "failed": "bold red",
        "planned": "dim",
        "skipped": "",
    }
)
SPAN_STYLES: Final = MappingProxyType(
    {
        Style.STRONG: "bold",
        Style.EMPHASIS: "italic",
        Style.CODE: "cyan",
        Style.HEADING: "bold underline",
        Style.LINK: "blue",
    }
)
BUTTON_STYLES: Final = MappingProxyType({"plain": "bold", "good": "bold green", "bad": "bold red"})
BAR_CELLS: Final = 24
_CELLS_A_COLUMN: Final = 8
"""A column narrower than its content and than this can't be read."""
_FRAME_CELLS: Final = 4


def painted_card(card: Card, saved: Mapping[str, Saved], width: int, *, may_be_repeat: bool = False) -> RenderableType:
    """What Rich prints for a card in a terminal of that width. Nothing depends on colours; no content is cut."""
    framed = card.severity in COLOURS
    inner = width - _FRAME_CELLS if framed else width
    parts: list[RenderableType] = [RichText(mark, "bold reverse") for mark in _marks(card, may_be_repeat)]
    if card.title:
        parts.append(RichText(neutral_line(card.title), "bold", overflow="fold"))
    for part in _blocks(card, saved, inner):
        parts += [RichText(), part] if parts else [part]
    body: RenderableType = Group(*parts)
    if framed:
        word = markup.SEVERITY_WORDS[card.severity]
        body = Panel(body, title=word, title_align="left", border_style=COLOURS[card.severity], box=box.ROUNDED)
    footer = [RichText(f"-- {neutral_line(card.footer)}", "dim", overflow="fold")] if card.footer else []
    return Group(body, *footer)


def _marks(card: Card, may_be_repeat: bool) -> Iterator[str]:
    if card.exercise:
        yield markup.EXERCISE
    if may_be_repeat:
        yield markup.REPEAT


def _blocks(card: Card, saved: Mapping[str, Saved], width: int) -> Iterator[RenderableType]:
    rows = numbered(card)
    for block in card.blocks:
        match block:
            case Text():
                yield Group(*(_line(line) for line in lines_of_markdown(block.text)))
            case Fields():
                yield _pairs([(pair.name, pair.value) for pair in block.fields])
            case Table():
                yield _table(block, width)
            case Plan():
                steps = (RichText(step_line(step), STEP_STYLES[step.state], overflow="fold") for step in block.steps)
                yield Group(*steps) if block.steps else RichText("(no steps)", "dim")
            case Progress():
                yield RichText(f"{bar(block)}{progress_line(block)}", overflow="fold")
            case Image() | File():
                yield _file(block, saved.get(block.blob, Saved(problem="not fetched")))
            case Buttons():
                yield _buttons(next(rows)[1])
            case Divider():
                yield RichText("─" * width, "dim", no_wrap=True)


def bar(block: Progress) -> str:
    """``[######..........] ``, nothing where the total is not known."""
    cells = markup.progress_bar(block, BAR_CELLS, "#", ".").strip()
    return f"[{cells}] " if cells else ""


def _line(line: Line) -> RenderableType:
    text = RichText(overflow="fold")
    for span in line.spans:
        text.append(span.text, SPAN_STYLES.get(span.style))
    if not line.prefix:
        return text
    hanging = RichTable.grid()  # so that what wraps stays behind its list mark
    hanging.add_column(no_wrap=True, min_width=cell_len(line.prefix))
    hanging.add_column(overflow="fold")
    hanging.add_row(RichText(line.prefix), text)
    return hanging


def _pairs(pairs: list[tuple[str, str]]) -> RenderableType:
    grid = RichTable.grid(padding=(0, 1))
    grid.add_column(style="bold", overflow="fold")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(RichText(f"{neutral_line(name)}:"), RichText("\n".join(neutral_lines(value))))
    return grid


def _table(table: Table, width: int) -> RenderableType:
    heads, *rows = markup.table_cells(neutral_table(table))
    if not rows:
        return RichText(f"{' · '.join(heads)}: no rows", "dim", overflow="fold")
    needed = [max(cell_len(cells) for cells in column) for column in zip(heads, *rows, strict=True)]
    if sum(min(cells, _CELLS_A_COLUMN) + 2 for cells in needed) > width:
        return _records(heads, rows)
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, head in enumerate(heads):
        shown.add_column(RichText(head), justify="right" if index in table.numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(RichText(cell) for cell in row))
    return shown


def _records(heads: list[str], rows: list[list[str]]) -> RenderableType:
    """A table too wide for this terminal: its rows below each other, each cell with its head."""
    return Group(*(Group(_pairs(list(zip(heads, row, strict=True))), RichText()) for row in rows))


def _file(block: Image | File, saved: Saved) -> RenderableType:
    mark, about = ("[image]", block.alt) if isinstance(block, Image) else ("[file]", block.name)
    if saved.path is None:
        return RichText(f"{mark[:-1]}: {neutral_line(saved.problem)}] {neutral_line(about)}", "yellow", overflow="fold")
    text = RichText(f"{mark} {saved.path}", overflow="fold")
    return text.append(f"\n{_size(saved.size)} · {neutral_line(about)}", "dim")


def _size(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 1_000_000 else f"{size / 1000:.1f} kB"


def _buttons(row: Sequence[tuple[int | None, Button]]) -> RenderableType:
    text = RichText(overflow="fold")
    for number, button in row:
        text.append(f"[{'-' if number is None else number}] {neutral_line(button.label)}", BUTTON_STYLES[button.style])
        text.append("  ")
    return text.append(HINT, "dim")
