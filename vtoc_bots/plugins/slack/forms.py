"""Forms as Slack's modals: pure conversion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from vtoc_bots import Form, FormField, Message
from vtoc_bots.plugins.slack.wire import FORM

TITLE: Final = 24
LABEL: Final = 2000
OPTION: Final = 75
OPTION_VALUE: Final = 150
OPTIONS: Final = 100
GROUPS: Final = 100
INPUT: Final = 3000
PLACEHOLDER: Final = 150


def view_from_form(form: Form, message: Message) -> dict[str, Any]:
    """The modal for what a message lacks. It carries where to answer, which Slack gives back with the values."""
    stored = {
        "token": form.token,
        "conversation": str(message.conversation),
        "ref": message.message_ref,
        "context": dict(message.reply_context),
    }
    blocks: list[dict[str, Any]] = []
    if len(form.title) > TITLE:
        blocks.append({"type": "section", "text": _plain(form.title, INPUT)})
    blocks += [_input(field) for field in form.fields]
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": orjson.dumps(stored).decode(),
        "title": _plain(form.title, TITLE),
        "submit": _plain(form.submit, TITLE),
        "close": _plain("Cancel", TITLE),
        "blocks": blocks,
    }


def _input(field: FormField) -> dict[str, Any]:
    """One field. Its block id is its name, by which its value comes back and its error is shown."""
    block: dict[str, Any] = {
        "type": "input",
        "block_id": field.name,
        "optional": not field.required,
        "label": _plain(field.label, LABEL),
        "element": _select(field) if _fits_a_menu(field.choices) else _text_input(field),
    }
    if field.help:
        block["hint"] = _plain(field.help, LABEL)
    return block


def _fits_a_menu(choices: Sequence[tuple[str, str]]) -> bool:
    return 0 < len(choices) <= OPTIONS * GROUPS and all(0 < len(value) <= OPTION_VALUE for value, _ in choices)


def _select(field: FormField) -> dict[str, Any]:
    options = [{"text": _plain(label or value, OPTION), "value": value} for value, label in field.choices]
    element: dict[str, Any] = {"type": "static_select", "action_id": "value"}
    if len(options) <= OPTIONS:
        element["options"] = options
    else:
        starts = range(0, len(options), OPTIONS)
        element["option_groups"] = [
            {"label": _plain(f"{start + 1} to {start + OPTIONS}", OPTION), "options": options[start : start + OPTIONS]}
            for start in starts
        ]
    chosen = next((option for option in options if option["value"] == field.default), None)
    if chosen is not None:
        element["initial_option"] = chosen
    return element


def _text_input(field: FormField) -> dict[str, Any]:
    element: dict[str, Any] = {"type": "plain_text_input", "action_id": "value", "max_length": INPUT}
    if field.long:
        element["multiline"] = True
    if field.default:
        element["initial_value"] = field.default[:INPUT]
    return element


def _plain(text: str, limit: int) -> dict[str, Any]:
    """Plain text, cut where it is too long; Slack takes no empty one."""
    text = text.strip() or "–"
    return {"type": "plain_text", "text": text if len(text) <= limit else f"{text[: limit - 1]}…", "emoji": True}
