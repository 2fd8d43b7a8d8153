"""Cards as Block Kit, within its limits: pure conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from vtoc_bots import (
    Button,
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
from vtoc_bots.plugins.slack.mrkdwn import escaped, mrkdwn_pieces
from vtoc_bots.plugins.slack.plain import NO_VALUE, clean, text_from_card
from vtoc_bots.plugins.slack.tables import monospace_pieces, table_block

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
MESSAGE_TEXT: Final = 12_000
"""Characters of a message's blocks together. Slack refuses what is a little longer (`msg_blocks_too_long`)."""
FALLBACK: Final = 1000
MESSAGES: Final = 3
"""Messages that one card may become; what is longer is a file."""

EXERCISE: Final = "🟠 EXERCISE: made-up traffic, nothing in this is real"
REPEAT: Final = "↻ May be a repeat"
SEVERITY: Final = MappingProxyType({Severity.GOOD: "✅ ", Severity.WARNING: "⚠️ ", Severity.BAD: "⛔ "})
STEPS: Final = MappingProxyType(
    {"planned": "▫️", "running": "▶️", "done": "✅", "skipped": "➖", "waiting": "⏸️", "failed": "⛔"}
)
BAR: Final = 12

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A card as messages, each a list of blocks; `text` is what notifications show, `rest` what did not fit."""

    messages: tuple[tuple[Block, ...], ...]
    text: str
    rest: str | None = None
    has_table: bool = False


@dataclass(slots=True)
class _Page:
    """Blocks being gathered, and whether they hold the one table that a message may have."""

    tables: bool
    thread: str
    notes: Mapping[str, str]
    number: int = 0
    used_table: bool = field(default=False)


def messages_from_card(
    card: Card,
    *,
    may_be_repeat: bool = False,
    tables: bool = True,
    thread: str = "",
    notes: Mapping[str, str] = MappingProxyType({}),
) -> Rendered:
    """The card as messages. `notes` say by blob what became of its picture or file; `thread` is the thread they are in,
    which buttons carry. `tables`: whether the API has the table block."""
    page = _Page(tables, thread, notes)
    blocks = list(_card_blocks(card, page, may_be_repeat))
    messages = list(_split(blocks))
    text, rest = fallback_text(card), None
    if len(messages) > MESSAGES:
        messages, rest = _shortened(messages, card), text_from_card(card)
    return Rendered(tuple(messages), text, rest, page.used_table)


def home_from_card(card: Card, notes: Mapping[str, str] = MappingProxyType({})) -> Block:
    """The card as an App Home."""
    blocks = list(_card_blocks(card, _Page(False, "", notes), False))
    if len(blocks) > VIEW_BLOCKS:
        blocks = [*blocks[: VIEW_BLOCKS - 1], _context("… the rest does not fit here; give the command in a message")]
    return {"type": "home", "blocks": blocks}


def fallback_text(card: Card) -> str:
    """What notifications and screen readers get."""
    text = text_from_card(card, short=True).strip()
    return escaped(text if len(text) <= FALLBACK else f"{text[: FALLBACK - 1]}…") or NO_VALUE


def _card_blocks(card: Card, page: _Page, may_be_repeat: bool) -> Iterator[Block]:
    marks = [mark for mark, shown in ((EXERCISE, card.exercise), (REPEAT, may_be_repeat)) if shown]
    if marks:
        yield _context(" · ".join(marks))
    title = f"{SEVERITY.get(card.severity, '')}{clean(card.title)}".strip()
    if 0 < len(title) <= HEADER and "\n" not in title:
        yield {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": True}}
    elif title:
        yield from map(_section, mrkdwn_pieces(f"**{title}**", SECTION))
    for block in card.blocks:
        yield from _blocks(block, page)
    if card.footer:
        yield from map(_small, _chunks(escaped(clean(card.footer)), CONTEXT))


def _blocks(block: Any, page: _Page) -> Iterable[Block]:
    match block:
        case Text():
            return map(_section, mrkdwn_pieces(block.text, SECTION))
        case Fields():
            return _fields(block.fields)
        case Table():
            return _table(block, page)
        case Image() | File():
            return map(_context, _chunks(_file_line(block, page.notes.get(block.blob, "")), CONTEXT))
        case Plan():
            return map(_section, _joined((_step_line(step) for step in block.steps), SECTION))
        case Progress():
            return map(_section, _chunks(_progress_line(block), SECTION))
        case Buttons():
            return _actions(block, page)
        case Divider():
            return [{"type": "divider"}]
    raise TypeError(f"a card has no block {type(block).__name__}")


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "plain_text", "text": text, "emoji": True}]}


def _small(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _fields(pairs: Sequence[Pair]) -> Iterator[Block]:
    """Short pairs side by side, ten a section; a long one is a section of its own."""
    row: list[dict[str, str]] = []
    for pair in pairs:
        name, value = escaped(clean(pair.name)), escaped(clean(pair.value)) or NO_VALUE
        text = f"*{name}*\n{value}"
        if len(text) > FIELD:
            if row:
                yield {"type": "section", "fields": row}
            row = []
            yield from map(_section, _chunks(text, SECTION))
            continue
        row.append({"type": "mrkdwn", "text": text})
        if len(row) == FIELDS:
            yield {"type": "section", "fields": row}
            row = []
    if row:
        yield {"type": "section", "fields": row}


def _table(table: Table, page: _Page) -> Iterable[Block]:
    made = table_block(table) if page.tables and not page.used_table else None
    if made is not None:
        page.used_table = True
        return [made]
    return map(_section, monospace_pieces(table, SECTION))


def _file_line(block: Image | File, note: str) -> str:
    name = clean(block.name)
    what = f"🖼 {clean(block.alt)} ({name})" if isinstance(block, Image) else f"📎 {name}"
    return f"{what}: {note}" if note else what


def _step_line(step: PlanStep) -> str:
    detail = f" – {escaped(clean(step.detail))}" if step.detail else ""
    return f"{STEPS[step.state]} {step.state}: {escaped(clean(step.title))}{detail}"


def _progress_line(block: Progress) -> str:
    text = escaped(clean(block.text)) or NO_VALUE
    if block.done is None:
        return text
    if not block.total:
        return f"{text}: {block.done}"
    share = min(1.0, max(0.0, block.done / block.total))
    full = round(share * BAR)
    return f"{text}\n{'▰' * full}{'▱' * (BAR - full)} {block.done} of {block.total} ({share:.0%})"


def _actions(block: Buttons, page: _Page) -> Iterator[Block]:
    """Up to five buttons in a row, more as a menu; their values are tokens. The block's id carries the thread, which
    Slack does not always tell of an ephemeral message."""
    buttons = [button for button in block.buttons if button.token]
    long = [clean(button.label) for button in buttons if len(clean(button.label)) > BUTTON]
    if long:
        yield from map(_section, _joined((f"• {escaped(label)}" for label in long), SECTION))
    if len(buttons) <= BUTTONS:
        elements = [_button(button, page) for button in buttons]
        groups = [elements] if elements else []
    else:
        starts = range(0, len(buttons), OPTIONS)
        groups = [[_menu(buttons[start : start + OPTIONS], page)] for start in starts]
    for group in groups:
        page.number += 1
        yield {"type": "actions", "block_id": f"vtoc{page.number}|{page.thread}", "elements": group}


def _button(button: Button, page: _Page) -> Block:
    page.number += 1
    made: Block = {
        "type": "button",
        "action_id": f"vtoc:{page.number}",
        "text": _label(button),
        "value": button.token,
    }
    style = {"good": "primary", "bad": "danger"}.get(button.style)
    return {**made, "style": style} if style else made


def _menu(buttons: Sequence[Button], page: _Page) -> Block:
    page.number += 1
    return {
        "type": "static_select",
        "action_id": f"vtoc:{page.number}",
        "placeholder": {"type": "plain_text", "text": "Choose…", "emoji": True},
        "options": [{"text": _label(button), "value": button.token} for button in buttons],
    }


def _label(button: Button) -> Block:
    label = clean(button.label).replace("\n", " ").strip() or NO_VALUE
    return {"type": "plain_text", "text": label if len(label) <= BUTTON else f"{label[: BUTTON - 1]}…", "emoji": True}


def _joined(lines: Iterable[str], limit: int) -> Iterator[str]:
    """Lines together in texts that are not too long."""
    text = ""
    for line in lines:
        for piece in _chunks(line, limit):
            if text and len(text) + 1 + len(piece) > limit:
                yield text
                text = ""
            text = f"{text}\n{piece}" if text else piece
    if text:
        yield text


def _chunks(text: str, limit: int) -> Iterator[str]:
    """An escaped text in pieces, cut at a space or line end where there is one, never inside an entity."""
    text = text.strip()
    while len(text) > limit:
        at = max(text.rfind(" ", limit // 2, limit), text.rfind("\n", limit // 2, limit))
        if at < 0:
            at = limit
            entity = text.rfind("&", at - 5, at)
            if entity >= 0 and ";" not in text[entity:at]:
                at = entity
        piece = text[:at].strip()
        if piece:
            yield piece
        text = text[at:].strip()
    if text:
        yield text


def size_of(block: Block) -> int:
    """Characters that a block shows."""
    match block.get("type"):
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
    yield tuple(message) if message else (_section(NO_VALUE),)


def _shortened(messages: Sequence[tuple[Block, ...]], card: Card) -> list[tuple[Block, ...]]:
    """The first messages; then the buttons and the footer, and that the rest is in the file."""
    actions = [block for message in messages[MESSAGES:] for block in message if block["type"] == "actions"][:20]
    note = _context("📎 This is long: all of it is in the file below.")
    last = [block for block in messages[MESSAGES - 1] if block["type"] != "table"][: MESSAGE_BLOCKS - 23]
    size = sum(map(size_of, last))
    while size > MESSAGE_TEXT - 4 * CONTEXT and last:
        size -= size_of(last.pop())
    footer = [_small(next(_chunks(escaped(clean(card.footer)), CONTEXT)))] if card.footer.strip() else []
    return [*messages[: MESSAGES - 1], (*last, note, *actions, *footer)]
