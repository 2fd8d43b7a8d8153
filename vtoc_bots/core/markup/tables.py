"""Tables for platforms without tables: in columns of a fixed pitch, as records, or as a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rich.cells import cell_len

from vtoc_bots.core.cards import Table
from vtoc_bots.core.markup.cells import padded, wrapped
from vtoc_bots.core.markup.clean import clean, clean_line
from vtoc_bots.core.markup.nodes import Break, CodeBlock, Inline, Node, Paragraph, Strong, Words

NARROWEST: Final = 8
"""Cells below which a column of text is not wrapped: it could not be read."""
_GAP: Final = "  "
_NUMBER: Final = re.compile(r"[+-]?[0-9][0-9 .,]*([eE][+-]?[0-9]+)?%?")
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def table_cells(table: Table) -> list[list[str]]:
    """The heads and the rows, each cell cleaned and on one line; what a row lacks is filled with empty cells."""
    count = max(len(row) for row in (table.columns, *table.rows))
    return [[clean_line(cell) for cell in row] + [""] * (count - len(row)) for row in (table.columns, *table.rows)]


def table_text(table: Table, columns: int | None = None) -> str | None:
    """Heads, a rule and the rows, two cells apart, for a fixed pitch; numeric columns end together. Nothing is cut.

    With `columns`, the width in cells: long texts are wrapped; None where it would still be wider.
    """
    block = table_block(table, columns)
    return None if block is None else block.text


def table_block(table: Table, columns: int | None = None) -> CodeBlock | None:
    """The same as a code block; where it is cut, each piece begins with the heads."""
    rows = table_cells(table)
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    if columns is not None:
        fitted = _fitted(widths, frozenset(table.numeric), columns - len(_GAP) * (len(widths) - 1))
        if fitted is None:
            return None
        widths = fitted
    heads, *body = ("\n".join(_lines(row, widths, table.numeric)) for row in rows)
    heads += "\n" + _GAP.join("-" * width for width in widths).rstrip()
    return CodeBlock("\n".join([heads, *(body or ["(no rows)"])]), again=heads)


def _lines(row: Sequence[str], widths: Sequence[int], numeric: Sequence[int]) -> Iterator[str]:
    """The lines of a row whose cells are wrapped to these widths."""
    cells = [wrapped(cell, max(2, width)) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*cells, fillvalue=""):
        yield _GAP.join(padded(part, widths[c], right=c in numeric) for c, part in enumerate(parts)).rstrip()


def _fitted(widths: Sequence[int], numeric: frozenset[int], most: int) -> list[int] | None:
    """The widths, the widest columns of text made narrower until all fit; None where they can't."""
    fitted = list(widths)
    while sum(fitted) > most:
        widest = max((c for c in range(len(fitted)) if c not in numeric), key=lambda c: fitted[c], default=None)
        if widest is None or fitted[widest] <= NARROWEST:
            return None
        fitted[widest] -= 1
    return fitted


def table_records(table: Table) -> tuple[Node, ...]:
    """The rows below each other, each a paragraph with a line ``head: value`` a cell that is not empty."""
    heads, *rows = table_cells(table)
    return tuple(Paragraph(_record(heads, row)) for row in rows) or (
        Paragraph((Words(f"{' · '.join(heads)}: no rows"),)),
    )


def _record(heads: Sequence[str], row: Sequence[str]) -> tuple[Inline, ...]:
    inlines: list[Inline] = []
    for head, cell in zip(heads, row, strict=True):
        if not cell:
            continue
        if inlines:
            inlines.append(Break())
        inlines += [Strong((Words(f"{head}:"),)), Words(f" {cell}")] if head else [Words(cell)]
    return tuple(inlines)


def table_csv(table: Table) -> bytes:
    """The table as CSV (RFC 4180) in UTF-8 with a byte order mark, which spreadsheets ask for.

    A cell that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay numbers.
    """
    text = io.StringIO()
    csv.writer(text).writerows([_unrunnable(clean(cell)) for cell in row] for row in (table.columns, *table.rows))
    return text.getvalue().encode("utf-8-sig")


def _unrunnable(cell: str) -> str:
    runs = cell.lstrip().startswith(_FORMULA) or cell.startswith(("\t", "\n"))
    return f"'{cell}" if runs and not _NUMBER.fullmatch(cell) else cell
