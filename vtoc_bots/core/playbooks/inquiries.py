"""Questions of actions to people: kept in the step's row while the run waits, asked by a card, read back as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from vtoc_bots.core.cards import Button, Buttons, Card, Text
from vtoc_bots.core.elsewhere import KEPT, memo_of
from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.messages import OutboundKind
from vtoc_bots.core.playbooks.decisions import StepCall
from vtoc_bots.core.playbooks.inputs import bind_inputs
from vtoc_bots.core.playbooks.model import InputSpec, Playbook
from vtoc_bots.core.playbooks.progress import add_run_outbound
from vtoc_bots.core.questions import Answer, Inquiry, PersonNeeded, Question
from vtoc_bots.core.store.effects import Effects
from vtoc_bots.core.store.runs import ClaimedRun, StepRow

ANSWER, DECLINE = "answer", "decline"
"""The commands that answer."""
_TYPES: Final[Mapping[str, str]] = {"string": "string", "integer": "int", "number": "number", "boolean": "bool"}


class OpenQuestion(NamedTuple):
    """A question that waits for its answer: whose run, which step, and what its row holds."""

    run_id: UUID
    step: str
    operator_id: UUID | None
    kept: Mapping[str, Any]

    @property
    def question(self) -> Question:
        """The question."""
        return Question(**self.kept["question"])

    @property
    def form(self) -> Playbook:
        """What it asks for, as the inputs of a playbook: forms, dialogs and checks are the same."""
        return form_of(self.question, self.run_id)


def inquiry_of(kept: Any) -> Inquiry:
    """What an action is told of its step's row; nothing where nobody was asked and nothing went on elsewhere."""
    if not is_inquiry(kept):
        return Inquiry(memo=memo_of(kept) or {})
    answers = {key: Answer(each["action"], each["values"]) for key, each in kept["answers"].items()}
    return Inquiry(answers, kept["memo"])


def is_inquiry(kept: Any) -> bool:
    """Whether a step's row holds a question and what was answered."""
    return isinstance(kept, dict) and "question" in kept and "answers" in kept


def is_carried(kept: Any) -> bool:
    """Whether a step's row holds what its action must be given again, however the last call of it went."""
    return is_inquiry(kept) or memo_of(kept) is not None


def waits_for_answer(kept: Any) -> bool:
    """Whether the question in a step's row has no answer yet."""
    return is_inquiry(kept) and kept["question"]["id"] not in kept["answers"]


def kept_of(needed: PersonNeeded, before: Any) -> dict[str, Any]:
    """What the step's row holds while the run waits: the question, the answers before it, and the action's memo."""
    question = needed.question
    return {
        "question": {
            "id": question.id,
            "text": question.text,
            "asker": question.asker,
            "seconds": question.seconds,
            "schema": dict(question.schema),
        },
        "answers": dict(before["answers"]) if is_inquiry(before) else {},
        "memo": dict(needed.memo),
        "held": needed.held,
    }


def remembered(call: StepCall, memo: Mapping[str, Any], now: datetime) -> StepRow:
    """The row of a step that is at work, with what its action wants to be given again; such a beginning is no try."""
    return StepRow(call.step, call.index, "waiting", call.tries - 1, {KEPT: dict(memo)}, None, now, None)


def question_card(question: Question, title: str, run_id: UUID, *, private: bool) -> Card:
    """Asks the question: buttons open a form where the platform has forms; words say how to answer elsewhere."""
    short = short_id(run_id)
    form = form_of(question, run_id)
    given = " ".join(f"{spec.name}=…" for spec in form.inputs if spec.required)
    minutes = timedelta(seconds=round(question.seconds))
    how = f"Answer within {minutes}: `/{ANSWER} {short}{' ' + given if given else ''}`, or `/{DECLINE} {short}`."
    buttons = (
        Button(label="Answer" if form.inputs else "Agree", command=f"/{ANSWER} {short}", style="good"),
        Button(label="Decline", command=f"/{DECLINE} {short}"),
    )
    asks = f"{question.asker} asks:\n\n{question.text}"
    return Card.of(title, Text(text=asks), how, Buttons(buttons=buttons), private=private)


def question_effects(run: ClaimedRun, step: str, question: Question) -> Effects:
    """The card that asks, where the run was started. The same question is put once, however often it is asked."""
    effects = Effects()
    card = question_card(question, run.title, run.id, private=run.private)
    add_run_outbound(effects, run, f"question:{step}:{question.id}", OutboundKind.APPROVAL, card)
    return effects


def form_of(question: Question, run_id: UUID) -> Playbook:
    """What a question asks for, as the inputs of a playbook that bears the run's short id."""
    required = set(question.schema.get("required", ()))
    names = _names(question)
    inputs = tuple(_input(name, schema, original in required) for name, (original, schema) in names.items())
    return Playbook(id=short_id(run_id), title=question.text[:100], steps=(), inputs=inputs)


def values_of(question: Question, run_id: UUID, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an answer, checked. Raises UsageError, also where something is missing."""
    bound = bind_inputs(form_of(question, run_id), given)
    if bound.missing:
        short = short_id(run_id)
        raise UsageError(f"/{ANSWER} {short} needs {' and '.join(field.name for field in bound.missing)}")
    names = _names(question)
    values = {}
    for name, value in bound.values.items():
        original, schema = names[name]
        if value is not None:
            is_list = _is_list(schema)
            values[original] = [part.strip() for part in value.split(",") if part.strip()] if is_list else value
    return values


def _names(question: Question) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """What is asked for, by a name that commands can bear: the asker's own name for it, and its schema."""
    names: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for original, schema in question.schema.get("properties", {}).items():
        name = re.sub(r"\W", "_", str(original), flags=re.ASCII)
        while name in names or name in ("", "run", "ctx"):
            name += "_"
        names[name] = (str(original), schema if isinstance(schema, dict) else {})
    return names


def _input(name: str, schema: Mapping[str, Any], required: bool) -> InputSpec:
    choices = tuple(str(each) for each in schema.get("enum", ()))
    choices = choices or tuple(str(each["const"]) for each in schema.get("oneOf", ()) if "const" in each)
    labels = [str(schema[key]) for key in ("title", "description") if schema.get(key)]
    if _is_list(schema):
        items = schema.get("items") or {}
        known = [str(each) for each in items.get("enum", ())]
        known += [str(each.get("const")) for each in items.get("anyOf", ())]
        labels.append(f"some of {', '.join(known)}, separated by commas" if known else "separated by commas")
    default = schema.get("default")
    return InputSpec(
        name=name,
        type="choice" if choices else _TYPES.get(str(schema.get("type")), "string"),
        default=", ".join(map(str, default)) if isinstance(default, list) else default,
        required=required and default is None,
        help=" – ".join(labels)[:200],
        choices=choices,
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
    )


def _is_list(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "array"
