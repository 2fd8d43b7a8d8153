"""Forms: what is missing from a command, asked for platform-neutrally."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FormField:
    """One value a form asks for.

    `choices` are (value, label) pairs; empty means free text, of several lines if `long`.
    """

    name: str
    label: str
    help: str = ""
    required: bool = True
    default: str | None = None
    choices: tuple[tuple[str, str], ...] = ()
    long: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What is missing from a command. `token` names the stored command that the answers complete."""

    token: str
    title: str
    fields: tuple[FormField, ...]
    submit: str = "Run"
