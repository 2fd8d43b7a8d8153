"""Tables as Slack's table block where they fit one, else in fixed pitch: pure conversion."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from vtoc_bots import Table
from vtoc_bots.plugins.slack.mrkdwn import escaped
from vtoc_bots.plugins.slack.plain import clean

ROWS: Final = 100
COLUMNS: Final = 20
CHARACTERS: Final = 10_000
WIDEST: Final = 40
"""A column is not made wider than this by a longer cell."""
_FENCE: Final = "```"
_GAP: Final = "  "
_EMPTY: Final = "\u00a0"
"""Slack takes no empty cell."""


def table_block(table: Table) -> dict[str, Any] | None:
    """The table block, None where the table is larger than one may be."""
    rows = _cells(table)
    width = len(rows[0])
    if not 0 < width <= COLUMNS or len(rows) > ROWS or sum(len(cell) for row in rows for cell in row) > CHARACTERS:
        return None
    return {
        "type": "table",
        "column_settings": [
            {"align": "right" if column in table.numeric else "left", "is_wrapped": True} for column in range(width)
        ],
        "rows": [[{"type": "raw_text", "text": cell or _EMPTY} for cell in row] for row in rows],
    }


def monospace_pieces(table: Table, limit: int) -> Iterator[str]:
    """The table in fixed pitch, in texts of at most `limit` characters, its heads above each; no row is cut in two
    unless it alone is too long."""
    rows = _cells(table)
    widths = [min(WIDEST, max(map(_width, column))) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths, table.numeric) for row in rows]
    head = [lines[0], _GAP.join("-" * width for width in widths)]
    room = limit - 2 * len(_FENCE) - 2
    if sum(map(len, head)) + 2 > room // 2:
        head = []
        lines.insert(0, "")
    body = [piece for line in lines[1:] for piece in _cut(line, room - sum(len(line) + 1 for line in head))]
    text: list[str] = []
    size = 0
    for line in body or [""]:
        if text and size + len(line) + 1 > room:
            yield _fenced(text)
            text, size = [], 0
        if not text:
            text, size = list(head), sum(len(line) + 1 for line in head)
        text.append(line)
        size += len(line) + 1
    yield _fenced(text)


def _fenced(lines: list[str]) -> str:
    return f"{_FENCE}\n" + "\n".join(lines) + f"\n{_FENCE}"


def _cells(table: Table) -> list[list[str]]:
    """Heads and rows, each cell on one line; what a row lacks is empty."""
    count = max((len(row) for row in (table.columns, *table.rows)), default=0)
    return [
        [" ".join(clean(cell).split()) for cell in row] + [""] * (count - len(row))
        for row in (table.columns, *table.rows)
    ]


def _line(row: list[str], widths: list[int], numeric: tuple[int, ...]) -> str:
    cells = []
    for column, cell in enumerate(row):
        space = " " * (widths[column] - _width(cell))
        # A fence in a cell would end ours.
        text = escaped(cell).replace(_FENCE, "'''")
        cells.append(space + text if column in numeric else text + space)
    return _GAP.join(cells).rstrip()


def _cut(line: str, room: int) -> Iterator[str]:
    while len(line) > room:
        at = line.rfind(" ", room // 2, room)
        if at < 0:
            entity = line.rfind("&", room - 5, room)
            at = entity if entity >= 0 and ";" not in line[entity:room] else room
        yield line[:at]
        line = line[at:]
    yield line


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
