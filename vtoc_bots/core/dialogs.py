"""Asking for what a command lacks, where no form can be: one value after the other, or by a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vtoc_bots.core.asking import InvalidForm
from vtoc_bots.core.cards import Button, Buttons, Card, Severity, Table, Text
from vtoc_bots.core.commands import CommandSpec, InvalidValues, MissingArguments, missing_card
from vtoc_bots.core.forms import FormField
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.messages import Message
from vtoc_bots.core.store.buttons import dialog_mark
from vtoc_bots.core.store.effects import Effects
from vtoc_bots.core.store.originals import Dialog

KEEP_SECONDS: Final = 15 * 60.0
CANCEL: Final = "\x18"
"""The answer of the button that ends a dialog (ASCII's CANCEL, so that no text is taken for it)."""
MOST_CHOICES: Final = 24


def ask_next(effects: Effects, message: Message, missing: MissingArguments, once: str | None = None) -> Card:
    """Ask for the first value that is missing, and remember what was given, and by which button it began (`once`)."""
    field = missing.fields[0]
    _remember(effects, message, missing.spec.name, missing.given, field.name, once)
    return _question(missing.spec, field)


def ask_again(effects: Effects, message: Message, dialog: Dialog, spec: CommandSpec, error: InvalidValues) -> Card:
    """Say what is wrong with an answer, and ask the same again."""
    _remember(effects, message, dialog.command, dialog.given, dialog.asked, dialog.once)
    param = spec.by_name.get(dialog.asked)
    field = param.form_field() if param else FormField(dialog.asked, dialog.asked.replace("_", " ").capitalize())
    card = _question(spec, field)
    wrong = error.errors.get(dialog.asked) or str(error)
    return card.model_copy(update={"blocks": (Text(text=f"{wrong}."), *card.blocks), "severity": Severity.WARNING})


def end_dialog(effects: Effects, message: Message, dialog: Dialog) -> None:
    """Ask no more."""
    _put(effects, {**_row(message, dialog.command, {}, dialog.asked), "keep": 0.0})


def lacking_card(missing: MissingArguments, text: str) -> Card:
    """What a command lacks, with a button that asks for it where platforms open forms for buttons."""
    card = missing_card(missing)
    if not text:
        return card
    button = Button(label="Fill in", command=text)
    return card.model_copy(update={"blocks": (*card.blocks, Buttons(buttons=(button,)))})


def invalid_form_card(error: InvalidForm) -> Card:
    """What is wrong with a form's values."""
    table = Table(columns=("value", "what is wrong"), rows=tuple(error.errors.items()))
    again = (Buttons(buttons=(Button(label="Fill in again", command=error.text),)),) if error.text else ()
    return Card.of("That was not right", table, *again, severity=Severity.WARNING)


def _question(spec: CommandSpec, field: FormField) -> Card:
    choices = field.choices[:MOST_CHOICES]
    buttons = [Button(label=label, answer=value) for value, label in choices]
    buttons.append(Button(label="Cancel", answer=CANCEL))
    help_text = f" – {field.help}" if field.help else ""
    text = f"**{field.label}**{help_text}"
    return Card.of(f"/{spec.name}", text, Buttons(buttons=tuple(buttons)), asks=True)


def _remember(
    effects: Effects, message: Message, command: str, given: Mapping[str, Any], asked: str, once: str | None
) -> None:
    row = _row(message, command, given, asked)
    _put(effects, row)
    if once is not None:
        mark = {"token": dialog_mark(row["id"]), "value": {"once": once}, "keep": KEEP_SECONDS}
        effects.buttons.append({**mark, "conversation": str(message.conversation)})


def _put(effects: Effects, row: dict[str, Any]) -> None:
    # An answer ends one question and begins the next: they have one row.
    effects.dialogs[:] = [row]


def _row(message: Message, command: str, given: Mapping[str, Any], asked: str) -> dict[str, Any]:
    return {
        "conversation": str(message.conversation),
        "user_id": message.sender.user_id,
        "id": new_id(),
        "command": command,
        "given": dict(given),
        "asked": asked,
        "keep": KEEP_SECONDS,
    }
