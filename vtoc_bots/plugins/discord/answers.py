"""The first responses to interactions: deferred, a form, choices, or a few words for the sender alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vtoc_bots import Choices, Form, FormField
from vtoc_bots.plugins.discord.wire import FORM_MARK, OptionType

EPHEMERAL: Final = 1 << 6
LOADING: Final = 1 << 7
MOST_INPUTS: Final = 5
MOST_CHOICES: Final = 25
CHOICE_CHARACTERS: Final = 100
LABEL_CHARACTERS: Final = 45
TITLE_CHARACTERS: Final = 45
INPUT_CHARACTERS: Final = 4000
NOBODY: Final[Mapping[str, Any]] = {"parse": []}
"""No text of ours calls anybody."""

PONG: Final[Mapping[str, Any]] = {"type": 1}
DEFERRED_UPDATE: Final[Mapping[str, Any]] = {"type": 6}
"""Acknowledged; the message with the button will be edited."""


def deferred(private: bool) -> Mapping[str, Any]:
    """Acknowledged; an answer follows, which only the sender sees if `private`."""
    return {"type": 5, "data": {"flags": EPHEMERAL}} if private else {"type": 5}


def told(text: str) -> Mapping[str, Any]:
    """Words for the sender alone."""
    return {"type": 4, "data": {"content": text[:2000], "flags": EPHEMERAL, "allowed_mentions": NOBODY}}


def choices_response(choices: Choices, option_type: int) -> Mapping[str, Any]:
    """Autocomplete: at most 25, each of at most 100 characters, of the type that the option has."""
    made: list[dict[str, Any]] = []
    for value, label in choices.choices:
        typed = _typed(value, option_type)
        if typed is not None and len(made) < MOST_CHOICES:
            made.append({"name": cut(label or value, CHOICE_CHARACTERS), "value": typed})
    return {"type": 8, "data": {"choices": made}}


def _typed(value: str, option_type: int) -> Any:
    """The value as the option's type wants it; None for one that Discord would not take, cut or not."""
    try:
        if option_type == OptionType.INTEGER:
            return int(value)
        if option_type == OptionType.NUMBER:
            return float(value)
    except ValueError:
        return None
    return value if 0 < len(value) <= CHOICE_CHARACTERS else None


def form_response(form: Form) -> Mapping[str, Any]:
    """A modal with one input a field, at most five; a menu where there are up to 25 choices."""
    return {
        "type": 9,
        "data": {
            "custom_id": f"{FORM_MARK}{form.token}",
            "title": cut(form.title or "Fill in", TITLE_CHARACTERS),
            "components": [_labelled(field) for field in form.fields[:MOST_INPUTS]],
        },
    }


def _labelled(field: FormField) -> dict[str, Any]:
    label = {"type": 18, "label": cut(field.label or field.name, LABEL_CHARACTERS), "component": _input(field)}
    if field.help:
        label["description"] = cut(field.help, CHOICE_CHARACTERS)
    return label


def _input(field: FormField) -> dict[str, Any]:
    if _has_menu(field):
        options = [
            {"label": cut(label or value, CHOICE_CHARACTERS), "value": value, "default": value == field.default}
            for value, label in field.choices
        ]
        return {"type": 3, "custom_id": field.name, "options": options, "required": field.required}
    made: dict[str, Any] = {
        "type": 4,
        "custom_id": field.name,
        "style": 2 if field.long else 1,
        "required": field.required,
        "max_length": INPUT_CHARACTERS,
    }
    if field.default is not None and len(field.default) <= INPUT_CHARACTERS:
        made["value"] = field.default
    if field.choices:
        made["placeholder"] = cut(", ".join(value for value, _ in field.choices), CHOICE_CHARACTERS)
    return made


def _has_menu(field: FormField) -> bool:
    values = {value for value, _ in field.choices}
    fitting = all(0 < len(value) <= CHOICE_CHARACTERS for value in values)
    return 0 < len(field.choices) <= MOST_CHOICES and fitting and len(values) == len(field.choices)


def cut(text: str, characters: int) -> str:
    """The text, or its beginning with an ellipsis, of at most so many UTF-16 units; never empty."""
    text = text.strip() or "–"
    if len(text.encode("utf-16-le")) // 2 <= characters:
        return text
    kept = text.encode("utf-16-le")[: (characters - 1) * 2].decode("utf-16-le", "ignore")
    return f"{kept.rstrip()}…"
