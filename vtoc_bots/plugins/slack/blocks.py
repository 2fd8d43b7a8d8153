"""Cards as Block Kit, within its limits: pure conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import orjson

from vtoc_bots import Button, Buttons, Card, Fields, File, Image, Pair, Table, markup
from vtoc_bots.plugins.slack.mrkdwn import MRKDWN, escaped, is_plain

SECTION: Final = 3000
HEADER: Final = 150
FIELD: Final = 2000
FIELDS: Final = 10
BUTTON: Final = 75
BUTTONS: Final = 5
OPTIONS: Final = 100
CONTEXT: Final = 2000
MESSAGE_BLOCKS: Final = 50
VIEW_BLOCKS: Final = 100
VIEW_BYTES: Final = 240_000
MESSAGE_TEXT: Final = 12_000
"""Characters of a message's blocks together. Slack refuses what is a little longer (`msg_blocks_too_long`)."""
TABLE_ROWS: Final = 100
TABLE_COLUMNS: Final = 20
TABLE_TEXT: Final = 10_000
FALLBACK: Final = 1000
MESSAGES: Final = 3
"""Messages that one card may become; of what is longer, all is in a file."""
COLUMNS: Final = 80
"""Cells of fixed pitch that a message's width holds."""
NOTHING: Final = "–"
_EMPTY_CELL: Final = "\u00a0"
_LONG: Final = "📎 This is long: all of it is in the file that follows."

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A card as messages, each a list of blocks.

    `text` is what notifications show, `files` (name, bytes) are what parts of the card became.
    """

    messages: tuple[tuple[Block, ...], ...]
    text: str
    files: tuple[tuple[str, bytes], ...] = ()
    has_table: bool = False


@dataclass(slots=True)
class _Page:
    """What is gathered beside the blocks."""

    tables: bool
    thread: str
    notes: Mapping[str, str]
    number: int = 0
    has_table: bool = False
    files: list[tuple[str, bytes]] = field(default_factory=list)


def messages_from_card(
    card: Card,
    *,
    may_be_repeat: bool = False,
    tables: bool = True,
    thread: str = "",
    notes: Mapping[str, str] = MappingProxyType({}),
) -> Rendered:
    """The card as messages.

    `notes` say by blob what became of its picture or file; `thread` is the thread they are in, which buttons carry;
    `tables` whether the API has the table block.
    """
    page = _Page(tables, thread, notes)
    parts = markup.parts_of_card(card, columns=COLUMNS, may_be_repeat=may_be_repeat)
    messages = list(_split([block for part in parts for block in _blocks(part, page)]))
    if len(messages) > MESSAGES:
        messages = _shortened(messages)
        page.files.append(("reply.txt", markup.text_of_card(card).encode()))
    return Rendered(tuple(messages), fallback_text(card), tuple(page.files), page.has_table)


def home_from_card(card: Card) -> Block:
    """The card as an App Home, which has neither tables nor files."""
    page = _Page(False, "", {})
    parts = markup.parts_of_card(card, columns=COLUMNS, most_records=VIEW_BLOCKS)
    blocks = [block for part in parts for block in _blocks(part, page)] or [_section(NOTHING, plain=True)]
    kept, room = len(blocks), VIEW_BYTES - len(orjson.dumps(blocks))
    while kept > VIEW_BLOCKS or room < 0:
        kept -= 1
        room += len(orjson.dumps(blocks[kept]))
    if kept < len(blocks):
        note = _context("… the rest does not fit here; ask for it in a message")
        blocks = [*blocks[: min(kept, VIEW_BLOCKS - 1)], note]
    return {"type": "home", "blocks": blocks}


def fallback_text(card: Card) -> str:
    """What notifications and screen readers get."""
    text = markup.text_of_card(card).strip()
    return escaped(text if len(text) <= FALLBACK else f"{text[: FALLBACK - 1]}…") or NOTHING


def _blocks(part: markup.Part, page: _Page) -> Iterable[Block]:
    match part.block:
        case Buttons() as buttons:
            return _actions(buttons, page)
        case Fields(fields=pairs):
            return _fields(pairs)
        case Table() as table:
            return _table(table, part, page)
        case Image() | File() as file:
            return _file(file, page.notes.get(file.blob, ""))
    match part.kind:
        case markup.PartKind.TITLE:
            title = markup.render(part.nodes, markup.PLAIN)
            return [_header(title)] if len(title) <= HEADER else _sections(part.nodes)
        case markup.PartKind.EXERCISE | markup.PartKind.REPEAT | markup.PartKind.FOOTER:
            return map(_context, markup.pieces(part.nodes, markup.PLAIN, CONTEXT))
        case markup.PartKind.DIVIDER:
            return [{"type": "divider"}]
    return _sections(part.nodes)


def _sections(nodes: Sequence[markup.Node]) -> Iterator[Block]:
    plain = is_plain(nodes)
    for piece in markup.pieces(nodes, markup.PLAIN if plain else MRKDWN, SECTION):
        yield _section(piece, plain=plain)


def _section(text: str, *, plain: bool = False) -> Block:
    return {"type": "section", "text": _plain(text) if plain else {"type": "mrkdwn", "text": text, "verbatim": True}}


def _header(text: str) -> Block:
    return {"type": "header", "text": {**_plain(text), "emoji": True}}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text)]}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _fields(pairs: Sequence[Pair]) -> Iterator[Block]:
    """Short pairs side by side, ten a section; a long one is a section of its own."""
    row: list[Block] = []
    for pair in pairs:
        name = markup.clean_line(pair.name).strip()
        nodes = (
            *((markup.Strong((markup.Words(name),)), markup.Break()) if name else ()),
            *(markup.words(pair.value) or markup.words(NOTHING)),
        )
        texts = markup.pieces((markup.Paragraph(nodes),), MRKDWN, FIELD)
        if len(row) == FIELDS or (row and len(texts) > 1):
            yield {"type": "section", "fields": row}
            row = []
        if len(texts) > 1:
            yield from map(_section, texts)
        else:
            row += [{"type": "mrkdwn", "text": text, "verbatim": True} for text in texts]
    if row:
        yield {"type": "section", "fields": row}


def _table(table: Table, part: markup.Part, page: _Page) -> Iterable[Block]:
    """A message may have one table block; another table is as it is on platforms that have none."""
    made = table_block(table) if page.tables and not page.has_table else None
    if made is not None:
        page.has_table = True
        return [made]
    if part.file is not None:
        page.files.append((part.file.name, part.file.data))
    return _sections(part.nodes)


def table_block(table: Table) -> Block | None:
    """The table block, None where the table is larger than one may be."""
    rows = markup.table_cells(table)
    width = len(rows[0])
    if not 0 < width <= TABLE_COLUMNS or len(rows) > TABLE_ROWS:
        return None
    cells = [[{"type": "raw_text", "text": cell if cell.strip() else _EMPTY_CELL} for cell in row] for row in rows]
    if sum(len(cell["text"]) for row in cells for cell in row) > TABLE_TEXT:
        return None
    columns = [{"align": "right" if column in table.numeric else "left", "is_wrapped": True} for column in range(width)]
    return {"type": "table", "column_settings": columns, "rows": cells}


def _file(block: Image | File, note: str) -> Iterable[Block]:
    """What the picture or file that follows is, or where it is instead."""
    name = markup.clean_line(block.name).strip()
    about = markup.clean_line(block.alt).strip() if isinstance(block, Image) else ""
    line = f"{'🖼' if isinstance(block, Image) else '📎'} {f'{about} ({name})' if about else name}"
    words = markup.words(f"{line}: " if note else line)
    if note.startswith("http"):
        link = (markup.Link(markup.words("open it here"), note),)
        return _sections((markup.Paragraph((*words, *link)),))
    text = (markup.Paragraph((*words, *markup.words(note))),)
    return map(_context, markup.pieces(text, markup.PLAIN, CONTEXT))


def _actions(block: Buttons, page: _Page) -> Iterator[Block]:
    """Up to five buttons in a row, more as a menu; their values are tokens.

    The block's id carries the thread, which Slack does not always tell of an ephemeral message.
    """
    buttons = [button for button in block.buttons if button.token]
    long = [label for label in map(_label, buttons) if len(label) > BUTTON]
    for label in long:
        yield from map(_context, markup.pieces((markup.Paragraph(markup.words(f"• {label}")),), markup.PLAIN, CONTEXT))
    if len(buttons) <= BUTTONS:
        groups = [[_button(button, page) for button in buttons]] if buttons else []
    else:
        starts = range(0, len(buttons), OPTIONS)
        groups = [[_menu(buttons[start : start + OPTIONS], page)] for start in starts]
    for elements in groups:
        page.number += 1
        yield {"type": "actions", "block_id": f"vtoc{page.number}|{page.thread}", "elements": elements}


def _button(button: Button, page: _Page) -> Block:
    page.number += 1
    made = {
        "type": "button",
        "action_id": f"vtoc:{page.number}",
        "text": _short(_label(button)),
        "value": button.token,
    }
    style = {"good": "primary", "bad": "danger"}.get(button.style)
    return {**made, "style": style} if style else made


def _menu(buttons: Sequence[Button], page: _Page) -> Block:
    page.number += 1
    return {
        "type": "static_select",
        "action_id": f"vtoc:{page.number}",
        "placeholder": _plain("Choose…"),
        "options": [{"text": _short(_label(button)), "value": button.token} for button in buttons],
    }


def _label(button: Button) -> str:
    return markup.clean_line(button.label).strip() or NOTHING


def _short(label: str) -> Block:
    return {**_plain(label if len(label) <= BUTTON else f"{label[: BUTTON - 1]}…"), "emoji": True}


def size_of(block: Block) -> int:
    """Characters that a block shows."""
    match block["type"]:
        case "table":
            return sum(len(cell["text"]) for row in block["rows"] for cell in row)
        case "section":
            texts = [*block.get("fields", ()), *([block["text"]] if "text" in block else [])]
            return sum(len(text["text"]) for text in texts)
        case "header":
            return len(block["text"]["text"])
        case "context":
            return sum(len(element["text"]) for element in block["elements"])
    return 0


def _split(blocks: Sequence[Block]) -> Iterator[tuple[Block, ...]]:
    """Messages of so many blocks and characters; a card of nothing is one message."""
    message: list[Block] = []
    size = 0
    for block in blocks:
        more = size_of(block)
        if message and (len(message) == MESSAGE_BLOCKS or size + more > MESSAGE_TEXT):
            yield tuple(message)
            message, size = [], 0
        message.append(block)
        size += more
    yield tuple(message) if message else (_section(NOTHING, plain=True),)


def _shortened(messages: Sequence[tuple[Block, ...]]) -> list[tuple[Block, ...]]:
    """The first messages, then that the rest is in a file, with the buttons and the footer of what is left out."""
    left_out = [block for message in messages[MESSAGES:] for block in message]
    actions = [block for block in left_out if block["type"] == "actions"][: MESSAGE_BLOCKS // 2]
    footer = [block for block in left_out[-1:] if block["type"] == "context"]
    end = [_context(_LONG), *actions, *footer]
    last, size = list(messages[MESSAGES - 1]), sum(map(size_of, (*messages[MESSAGES - 1], *end)))
    while last and (len(last) + len(end) > MESSAGE_BLOCKS or size > MESSAGE_TEXT):
        size -= size_of(last.pop())
    return [*messages[: MESSAGES - 1], (*last, *end)]
