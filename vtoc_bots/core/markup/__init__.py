"""Markup for transports: CommonMark and cards as one tree, written in any platform's dialect, in pieces that fit.

A transport declares its `Dialect`; `parts_of_card` says what a card says, `pieces` writes it within a limit.
"""

from vtoc_bots.core.markup.cells import padded, wrapped
from vtoc_bots.core.markup.clean import clean, clean_line
from vtoc_bots.core.markup.dialect import PLAIN, Dialect
from vtoc_bots.core.markup.nodes import (
    Break,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Inline,
    Item,
    Link,
    Listing,
    Node,
    Paragraph,
    Quote,
    Rule,
    Strike,
    Strong,
    Words,
    words,
)
from vtoc_bots.core.markup.parse import parse
from vtoc_bots.core.markup.parts import (
    EXERCISE,
    REPEAT,
    SEVERITY_SHAPES,
    SEVERITY_WORDS,
    STEP_MARKS,
    Part,
    PartKind,
    TableFile,
    parts_of_card,
    progress_bar,
    progress_words,
    share_done,
    step_words,
    text_of_card,
    title_of_card,
)
from vtoc_bots.core.markup.render import render
from vtoc_bots.core.markup.split import pieces
from vtoc_bots.core.markup.tables import table_block, table_cells, table_csv, table_records, table_text

__all__ = [
    "EXERCISE",
    "PLAIN",
    "REPEAT",
    "SEVERITY_SHAPES",
    "SEVERITY_WORDS",
    "STEP_MARKS",
    "Break",
    "Code",
    "CodeBlock",
    "Dialect",
    "Emphasis",
    "Heading",
    "Inline",
    "Item",
    "Link",
    "Listing",
    "Node",
    "Paragraph",
    "Part",
    "PartKind",
    "Quote",
    "Rule",
    "Strike",
    "Strong",
    "TableFile",
    "Words",
    "clean",
    "clean_line",
    "padded",
    "parse",
    "parts_of_card",
    "pieces",
    "progress_bar",
    "progress_words",
    "render",
    "share_done",
    "step_words",
    "table_block",
    "table_cells",
    "table_csv",
    "table_records",
    "table_text",
    "text_of_card",
    "title_of_card",
    "words",
    "wrapped",
]
