"""What Slack's documentation says of Block Kit, as a check: every limit that a message, modal or App Home must keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SURFACES = {"message": 50, "modal": 100, "home": 100}
ALLOWED = {
    "message": {"header", "section", "context", "actions", "divider", "table", "image"},
    "modal": {"header", "section", "context", "actions", "divider", "input"},
    "home": {"header", "section", "context", "actions", "divider", "image"},
}
KEYS = {
    "header": {"type", "text", "block_id"},
    "section": {"type", "text", "fields", "accessory", "block_id", "expand"},
    "context": {"type", "elements", "block_id"},
    "actions": {"type", "elements", "block_id"},
    "divider": {"type", "block_id"},
    "table": {"type", "rows", "column_settings", "block_id"},
    "image": {"type", "image_url", "slack_file", "alt_text", "title", "block_id"},
    "input": {"type", "label", "element", "hint", "optional", "block_id", "dispatch_action"},
}
TOTAL = 13_000
"""Not documented: about where Slack begins to answer msg_blocks_too_long."""


def problems_of_blocks(blocks: Any, surface: str = "message") -> list[str]:
    """Everything that is wrong with blocks, as Slack would refuse them; nothing where they are right."""
    if not isinstance(blocks, list):
        return ["blocks is not a list"]
    found = []
    if len(blocks) > SURFACES[surface]:
        found.append(f"{len(blocks)} blocks; a {surface} has {SURFACES[surface]} at most")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        found.append("a block_id stands twice")
    if sum(block["type"] == "table" for block in blocks) > 1:
        found.append("only one table is allowed in a message")
    actions = [element.get("action_id") for block in blocks for element in block.get("elements", ())]
    named = [action for action in actions if action]
    if len(named) != len(set(named)):
        found.append("an action_id stands twice")
    for number, block in enumerate(blocks):
        found += [f"block {number}: {problem}" for problem in _block(block, surface)]
    if surface == "message" and sum(len(text) for block in blocks for text in texts_of(block)) > TOTAL:
        found.append("the blocks are too long together")
    return found


def problems_of_view(view: Mapping[str, Any]) -> list[str]:
    """What is wrong with a modal or an App Home."""
    surface = {"modal": "modal", "home": "home"}.get(str(view.get("type")))
    if surface is None:
        return ["type must be modal or home"]
    found = list(problems_of_blocks(view.get("blocks"), surface))
    if surface == "modal":
        found += [*_text(view.get("title"), 24, "title", plain=True)]
        for name in ("submit", "close"):
            found += _text(view[name], 24, name, plain=True) if name in view else []
        if any(block["type"] == "input" for block in view["blocks"]) and "submit" not in view:
            found.append("a modal with inputs needs submit")
    if len(json.dumps(view, ensure_ascii=False).encode()) > 250_000:
        found.append("a view has 250 kB at most")
    if len(view.get("private_metadata", "")) > 3000:
        found.append("private_metadata is too long")
    if len(view.get("callback_id", "")) > 255:
        found.append("callback_id is too long")
    return found


def texts_of(block: Mapping[str, Any]) -> Iterator[str]:
    """Every text that a block shows."""
    if block["type"] == "table":
        yield from (cell["text"] for row in block["rows"] for cell in row)
        return
    for part in (block.get("text"), *block.get("fields", ()), *block.get("elements", ())):  # buttons are elements
        if isinstance(part, Mapping):
            text = part.get("text")
            if isinstance(text, str):
                yield text
            elif isinstance(text, Mapping):
                yield text["text"]
            yield from (option["text"]["text"] for option in part.get("options", ()))


def _block(block: Mapping[str, Any], surface: str) -> Iterator[str]:
    kind = block.get("type")
    if kind not in ALLOWED[surface]:
        yield f"{kind} is not allowed in a {surface}"
        return
    unknown = set(block) - KEYS[kind]
    if unknown:
        yield f"unknown keys {unknown}"
    if len(block.get("block_id", "")) > 255:
        yield "block_id is longer than 255"
    match kind:
        case "header":
            yield from _text(block.get("text"), 150, "header", plain=True)
        case "section":
            yield from _section(block)
        case "context":
            yield from _context(block)
        case "actions":
            yield from _actions(block)
        case "table":
            yield from _table(block)
        case "input":
            yield from _input(block)


def _text(value: Any, limit: int, what: str, *, plain: bool = False) -> Iterator[str]:
    if not isinstance(value, Mapping) or value.get("type") not in ("plain_text", "mrkdwn"):
        yield f"{what} is no text object"
        return
    allowed = {"plain_text": {"type", "text", "emoji"}, "mrkdwn": {"type", "text", "verbatim"}}[value["type"]]
    if set(value) - allowed:
        yield f"{what} has unknown keys {set(value) - allowed}"
    if plain and value["type"] != "plain_text":
        yield f"{what} must be plain_text"
    text = value.get("text")
    if not isinstance(text, str) or not 1 <= len(text) <= limit:
        yield f"{what} must have 1 to {limit} characters, not {len(text or '')}"
    elif any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        yield f"{what} has half a character"


def _section(block: Mapping[str, Any]) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield "a section needs text or fields"
    if "text" in block:
        yield from _text(block["text"], 3000, "section text")
    fields = block.get("fields", ())
    if "fields" in block and not 1 <= len(fields) <= 10:
        yield f"a section has 1 to 10 fields, not {len(fields)}"
    for field in fields:
        yield from _text(field, 2000, "field")


def _context(block: Mapping[str, Any]) -> Iterator[str]:
    elements = block.get("elements", ())
    if not 1 <= len(elements) <= 10:
        yield f"a context has 1 to 10 elements, not {len(elements)}"
    for element in elements:
        yield from _text(element, 2000, "context element")


def _actions(block: Mapping[str, Any]) -> Iterator[str]:
    elements = block.get("elements", ())
    if not 1 <= len(elements) <= 25:
        yield f"an actions block has 1 to 25 elements, not {len(elements)}"
    for element in elements:
        if not 1 <= len(element.get("action_id", "")) <= 255:
            yield "an element needs an action_id of 1 to 255 characters"
        if element.get("type") == "button":
            yield from _text(element.get("text"), 75, "button", plain=True)
            if len(element.get("value", "")) > 2000:
                yield "a button's value is longer than 2000"
            if element.get("style") not in (None, "primary", "danger"):
                yield f"style {element.get('style')}"
        elif element.get("type") == "static_select":
            yield from _select(element)
        else:
            yield f"element {element.get('type')}"


def _select(element: Mapping[str, Any]) -> Iterator[str]:
    if "placeholder" in element:
        yield from _text(element["placeholder"], 150, "placeholder", plain=True)
    groups = element.get("option_groups")
    if (groups is None) == ("options" not in element):
        yield "a select has options or option_groups"
    for group in groups or ():
        yield from _text(group.get("label"), 75, "group", plain=True)
        yield from _options(group.get("options", ()))
    if groups is not None and not 1 <= len(groups) <= 100:
        yield f"{len(groups)} option groups"
    if "options" in element:
        yield from _options(element["options"])
    offered = [option for group in groups or () for option in group["options"]] + list(element.get("options", ()))
    if "initial_option" in element and element["initial_option"] not in offered:
        yield "initial_option is no option"


def _options(options: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not 1 <= len(options) <= 100:
        yield f"a select has 1 to 100 options, not {len(options)}"
    for option in options:
        yield from _text(option.get("text"), 75, "option", plain=True)
        if not 1 <= len(option.get("value", "")) <= 150:
            yield "an option's value must have 1 to 150 characters"


def _table(block: Mapping[str, Any]) -> Iterator[str]:
    rows = block.get("rows", ())
    if not 1 <= len(rows) <= 100:
        yield f"a table has 1 to 100 rows, not {len(rows)}"
    if any(not 1 <= len(row) <= 20 for row in rows):
        yield "a table has 1 to 20 columns"
    if len({len(row) for row in rows}) > 1:
        yield "rows of different lengths"
    if len(block.get("column_settings", ())) > 20:
        yield "too many column settings"
    cells = [cell for row in rows for cell in row]
    if any(cell.get("type") != "raw_text" or not cell.get("text") for cell in cells):
        yield "a cell needs text"
    if sum(len(cell.get("text", "")) for cell in cells) > 10_000:
        yield "a table has 10,000 characters at most"


def _input(block: Mapping[str, Any]) -> Iterator[str]:
    yield from _text(block.get("label"), 2000, "label", plain=True)
    if "hint" in block:
        yield from _text(block["hint"], 2000, "hint", plain=True)
    element = block.get("element", {})
    match element.get("type"):
        case "plain_text_input":
            if not 0 < element.get("max_length", 3000) <= 3000:
                yield "max_length is 1 to 3000"
            if len(element.get("initial_value", "")) > element.get("max_length", 3000):
                yield "initial_value is too long"
        case "static_select":
            yield from _select(element)
        case other:
            yield f"input element {other}"
