"""Markup: a text of 4,000 characters and a table of 63 rows, read, written in a dialect and split; CPU time."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable

from markdown_it import MarkdownIt

from vtoc_bots import Card, Table, markup

ROUNDS = 9
CALLS = 10
BAR_MS = 10.0
LIMIT = 2000
TEXT = (
    """## Situation at 12:00Z

Two tracks within **40 nm**, both *descending*; the nearer one is `A1B2C3`, a Dash 8 that was not seen before today.
The tower asked twice and got no answer, so the duty officer wants a callback by 12:30Z on the second line.

- heading 270, 12,000 ft, 310 kt, last seen 11:58:20Z by the roof receiver
- heading 090, 3,000 ft, 120 kt, last seen 11:57:41Z by [the hill](https://hill.example/r?x=1)

> The pilot reported icing below 4,000 ft and asked for lower.

"""
    * 9
)[:4000]
ROWS = tuple((f"RA{number}", str(number * 500), f"by the roof and the hill, {number} s ago") for number in range(63))
CARD = Card.of("Tracks", Table(columns=("callsign", "ft", "note"), rows=ROWS, numeric=(1,)), footer="as of 12:00Z")


class _Html(markup.Dialect):
    """HTML as chat platforms take it."""

    indents_code = False

    def measure(self, rendered: str) -> int:
        return len(html.unescape(re.sub(r"<[^>]*>", "", rendered)))

    def text(self, value: str, *, starts_line: bool) -> str:
        return html.escape(value)

    def strong(self, inner: str) -> str:
        return f"<b>{inner}</b>"

    def emphasis(self, inner: str) -> str:
        return f"<i>{inner}</i>"

    def code(self, value: str) -> str:
        return f"<code>{html.escape(value)}</code>"

    def link(self, inner: str, url: str) -> str:
        return f'<a href="{html.escape(url)}">{inner}</a>'

    def code_block(self, value: str, language: str) -> str:
        return f"<pre>{html.escape(value)}</pre>"


async def run() -> list[str]:
    """Markdown rows: what, milliseconds of CPU, the bar or the floor, the ratio."""
    dialect = _Html()
    text = _ms(lambda: markup.pieces(markup.parse(TEXT), dialect, LIMIT))
    floor = _ms(lambda: MarkdownIt("commonmark").parse(TEXT))
    table = _ms(lambda: [markup.pieces(part.nodes, dialect, LIMIT) for part in markup.parts_of_card(CARD, columns=40)])
    what = f"a text of 4,000 characters in pieces of {LIMIT:,}, ms CPU"
    rows = "a card with a table of 63 rows in 40 columns, ms CPU"
    return [
        f"| {what} | {text:.1f} | {BAR_MS:.0f} (bar) | {text / BAR_MS:.2f} |",
        f"| the same | {text:.1f} | {floor:.1f} (markdown-it reading it) | {text / floor:.1f} |",
        f"| {rows} | {table:.1f} | {BAR_MS:.0f} (bar) | {table / BAR_MS:.2f} |",
    ]


def _ms(work: Callable[[], object]) -> float:
    """The best of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            work()
        best = min(best, (time.process_time() - began) / CALLS * 1000)
    return best
