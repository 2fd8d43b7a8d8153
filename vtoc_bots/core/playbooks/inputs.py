"""Inputs of a run: texts or JSON values in, checked canonical JSON out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vtoc_bots.core.documents import nearest
from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.forms import FormField
from vtoc_bots.core.playbooks.model import InputSpec, Playbook
from vtoc_bots.core.values import ValueType, value_type

MAX_CHARACTERS: Final = 10_000
LARGEST: Final = 2**63 - 1
RANGED: Final = frozenset({"int", "number", "duration", "distance", "speed", "altitude", "time"})
"""The types that may have a min and a max."""


@dataclass(frozen=True, slots=True)
class BoundInputs:
    """`values` has every input of the playbook (null where it has neither value nor default), unless some are missing.

    `missing` are the required ones that were not given, as a form asks for them.
    """

    values: dict[str, Any]
    missing: tuple[FormField, ...] = ()


def bind_inputs(playbook: Playbook, given: Mapping[str, Any]) -> BoundInputs:
    """The canonical values of what was given, with defaults filled in.

    `given` holds texts as people write them, or JSON values; null stands for not given. Raises UsageError naming the
    first input that is wrong or unknown, what is accepted, and the command that would do.
    """
    errors = input_errors(playbook, given)
    if errors:
        raise next(iter(errors.values()))
    values: dict[str, Any] = {}
    missing: list[FormField] = []
    for spec in playbook.inputs:
        value = spec.default if _is_absent(spec, given.get(spec.name)) else given[spec.name]
        if value is None and spec.required:
            missing.append(form_field(spec))
        else:
            values[spec.name] = None if value is None else canonical_input(spec, value)
    return BoundInputs(values, tuple(missing))


def input_errors(playbook: Playbook, given: Mapping[str, Any]) -> dict[str, UsageError]:
    """What is wrong, by input: for forms, which show it beside each field. What is missing is no error here."""
    specs = {spec.name: spec for spec in playbook.inputs}
    errors: dict[str, UsageError] = {}
    for name, value in given.items():
        spec = specs.get(name)
        if spec is None:
            errors[name] = _unknown(playbook, name, given)
        elif not _is_absent(spec, value):
            try:
                canonical_input(spec, value)
            except ValueError as error:
                fix = getattr(error, "fix", None) or _type_of(spec).example
                corrected = command_text(playbook, {**given, name: fix})
                errors[name] = UsageError(f"{name}: {error}. Try: {corrected}", word=str(value), corrected=corrected)
    return errors


def canonical_input(spec: InputSpec, value: Any) -> Any:
    """The one JSON form of a text or JSON value of this input. Raises ValueError saying what is accepted."""
    if isinstance(value, str) and (len(value) > MAX_CHARACTERS or "\x00" in value):
        raise ValueError(f"the text is too long ({MAX_CHARACTERS:,} characters at most) or holds a NUL character")
    kind = _type_of(spec)
    read = kind.read(value)
    low, high = (None if bound is None else kind.read(bound) for bound in (spec.minimum, spec.maximum))
    if low is not None and read < low:
        raise ValueError(f"“{value}” is out of range; it must be at least {kind.show(low)}")
    if high is not None and read > high:
        raise ValueError(f"“{value}” is out of range; it must be at most {kind.show(high)}")
    canonical = kind.canonical(read)
    if isinstance(canonical, int | float) and not -LARGEST <= canonical <= LARGEST:
        raise ValueError(f"“{value}” is out of range; it must fit in 64 bits")
    return canonical


def shown_input(spec: InputSpec, value: Any) -> str:
    """A canonical value as people write it; a dash for none."""
    if value is None:
        return "–"
    kind = _type_of(spec)
    return kind.show(kind.read(value))


def form_field(spec: InputSpec) -> FormField:
    """An input as a form asks for it."""
    kind = _type_of(spec)
    default = None if spec.default is None else shown_input(spec, canonical_input(spec, spec.default))
    return FormField(
        name=spec.name,
        label=spec.name.replace("_", " ").capitalize(),
        help=spec.help or kind.accepts,
        required=spec.required,
        default=default,
        choices=tuple(kind.choices),
    )


def inputs_schema(playbook: Playbook) -> dict[str, Any]:
    """The JSON Schema of the playbook's inputs, for interfaces that start runs."""
    properties: dict[str, Any] = {}
    for spec in playbook.inputs:
        kind = _type_of(spec)
        entry: dict[str, Any] = dict(kind.schema)
        if spec.help:
            entry["description"] = spec.help
        if spec.default is not None:
            entry["default"] = canonical_input(spec, spec.default)
        properties[spec.name] = entry
    required = [spec.name for spec in playbook.inputs if spec.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def command_text(playbook: Playbook, given: Mapping[str, Any]) -> str:
    """The command that runs a playbook with these inputs, as an operator types it."""
    words = [f"{name}={quoted(value)}" for name, value in given.items() if value is not None]
    return " ".join([f"/playbook {playbook.id}", *words])


def quoted(value: Any) -> str:
    """A value in a command, in quotes where it must be."""
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    if text and not any(character.isspace() or character in "\"'“”\\" for character in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unknown(playbook: Playbook, name: str, given: Mapping[str, Any]) -> UsageError:
    names = [spec.name for spec in playbook.inputs]
    rest: Iterable[tuple[str, Any]] = ((key, value) for key, value in given.items() if key in names)
    corrected = command_text(playbook, dict(rest))
    takes = f"it takes {', '.join(names)}" if names else "it takes no inputs"
    return UsageError(
        f"{playbook.id} has no input {name}; {takes}.{nearest(name, names)} Try: {corrected}",
        word=name,
        corrected=corrected,
    )


def _is_absent(spec: InputSpec, value: Any) -> bool:
    """Forms send an empty text for a field left empty."""
    return value is None or (value == "" and spec.type != "string")


def _type_of(spec: InputSpec) -> ValueType[Any]:
    return value_type(spec.type, spec.choices)
