"""Cards about playbooks: what one would do, and how far a run of it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol
from uuid import UUID

from vtoc_bots.core.access import Decision, Station, Verdict
from vtoc_bots.core.cards import Block, Card, Fields, Pair, Plan, PlanStep, Progress, Severity, Text
from vtoc_bots.core.commands import code_span
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.playbooks.expressions import (
    Expression,
    ExpressionError,
    Joined,
    ListOf,
    MappingOf,
    Template,
    as_text,
    evaluate,
    expressions_of,
    is_true,
    nodes_of,
)
from vtoc_bots.core.playbooks.inputs import command_text, shown_input
from vtoc_bots.core.playbooks.interpreter import Node
from vtoc_bots.core.playbooks.model import REPLY, ApprovalRule, Playbook, Step
from vtoc_bots.core.playbooks.scope import station_scope
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.core.values import DURATION

_LONGEST: Final = 120

PlanState = Literal["planned", "running", "done", "skipped", "waiting", "failed"]


class StepLike(Protocol):
    """A step's row, as far as it is shown."""

    @property
    def step(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def tries(self) -> int: ...
    @property
    def error(self) -> str | None: ...
    @property
    def due_at(self) -> datetime | None: ...


class RunLike(Protocol):
    """A run's row, as far as it is shown."""

    @property
    def id(self) -> UUID: ...
    @property
    def private(self) -> bool: ...


def progress_card(
    playbook: Playbook, steps: Iterable[StepLike], running: Mapping[str, str], state: str, run: RunLike
) -> Card:
    """How far a run is. `running` has what each step at work says of itself; `state` is the run's."""
    rows = {row.step: row for row in steps}
    ended = state in ("succeeded", "failed", "cancelled")
    lines = [_progress_line(step, rows.get(step.id), running.get(step.id), ended) for step in playbook.steps]
    reply = rows.get(REPLY)
    if playbook.reply is not None and reply is not None and reply.state in ("failed", "retrying"):
        lines.append(_progress_line(playbook.reply, reply, None, ended))
    done = sum(line.state in ("done", "skipped") for line in lines)
    blocks: list[Block] = [Plan(steps=tuple(lines))]
    if not ended:
        text = f"Run {short_id(run.id)}: {done} of {len(lines)} steps"
        blocks.append(Progress(text=text, done=done, total=len(lines)))
    severity = {"succeeded": Severity.GOOD, "failed": Severity.BAD, "cancelled": Severity.WARNING}
    return Card(
        title=f"{playbook.title}: {state}" if ended else playbook.title,
        blocks=tuple(blocks),
        severity=severity.get(state, Severity.PLAIN),
        private=run.private,
    )


def dry_run_card(
    playbook: Playbook,
    inputs: Mapping[str, Any],
    station: Station,
    actions: Mapping[str, ActionSpec],
    decision: Decision | None = None,
) -> Card:
    """What a run with these (canonical) inputs would do: steps, values as far as they are known, approvals, sends.

    `decision` is what `access.decide` says of the run; it may ask for an approval, or refuse. Changes nothing.
    """
    scope = {"inputs": dict(inputs), "station": station_scope(station)}
    given = {spec.name: shown_input(spec, inputs.get(spec.name)) for spec in playbook.inputs}
    pairs = [Pair(name="station", value=station.callsign), Pair(name="approval", value=_approval(playbook, decision))]
    blocks: list[Block] = [
        Text(text="This is a plan: nothing has been run, stored or sent."),
        Fields(fields=(*pairs, *(Pair(name=name, value=value) for name, value in given.items()))),
        Plan(steps=tuple(_planned_line(step, scope, actions) for step in playbook.every_step)),
        Text(text=_sends(playbook, actions)),
    ]
    if decision is not None and not decision.allowed:
        blocks.insert(0, Text(text=f"You may not run this: {decision.reason}"))
    command = command_text(playbook, {name: value for name, value in given.items() if inputs.get(name) is not None})
    blocks.append(Text(text=f"To run it: {code_span(command)}"))
    refused = decision is not None and not decision.allowed
    return Card(
        title=f"Plan: {playbook.title}",
        blocks=tuple(blocks),
        severity=Severity.BAD if refused else Severity.PLAIN,
        private=playbook.private,
    )


def approval_words(rule: ApprovalRule) -> str:
    """A rule in words: ``2 leads or above, not the asker, within 4h, then held open``."""
    people = f"{rule.quorum} {rule.level}{'s' if rule.quorum > 1 else ''} or above"
    asker = ", not the asker" if rule.exclude_requester else ""
    if rule.expires_seconds is None:
        return f"{people}{asker}, without a time limit"
    after = "held open" if rule.on_expiry == "hold" else "denied"
    return f"{people}{asker}, within {_span(rule.expires_seconds)}, then {after}"


def _progress_line(step: Step, row: StepLike | None, says: str | None, ended: bool) -> PlanStep:
    if says is not None:
        return PlanStep(title=step.title, state="running", detail="" if says == step.title else says)
    if row is None:
        return PlanStep(title=step.title, state="skipped" if ended else "planned", detail="not run" if ended else "")
    states: dict[str, PlanState] = {"done": "done", "skipped": "skipped", "failed": "failed"}
    return PlanStep(title=step.title, state=states.get(row.state, "waiting"), detail=_detail(step, row))


def _detail(step: Step, row: StepLike) -> str:
    if row.state == "failed":
        return _short(row.error or "failed")
    if row.state == "retrying":
        again = "" if row.due_at is None else f", again at {_clock(row.due_at)}"
        return _short(f"try {row.tries} failed: {row.error}") + again
    if row.state == "waiting":
        until = "" if row.due_at is None else f" until {_clock(row.due_at)}"
        if step.wait is None:
            return _short(row.error or "waits for approval")
        return f"waits{until}" if step.wait.message is None else f"waits for an answer{until}"
    return ""


def _planned_line(step: Step, scope: Mapping[str, Any], actions: Mapping[str, ActionSpec]) -> PlanStep:
    parts = [_does(step, scope)]
    if step.approve is not None:
        parts.insert(0, f"after approval by {approval_words(step.approve)}")
    state: PlanState = "planned"
    if step.condition is not None and step.id != REPLY:
        wanted = _known(step.condition, scope)
        if isinstance(wanted, _Unknown):
            parts.insert(0, f"only if {wanted.text}")
        elif not is_true(wanted):
            state, parts = "skipped", ["its condition is false for these inputs"]
    if step.needs and step.id != REPLY:
        parts.append(f"after {', '.join(step.needs)}")
    sends = _sent(step, actions)
    if sends is not None:
        parts.append(f"sends {sends}")
    return PlanStep(title=step.title, state=state, detail="; ".join(part for part in parts if part))


def _does(step: Step, scope: Mapping[str, Any]) -> str:
    if step.uses is not None:
        values = ", ".join(f"{name}={_value(template, scope)}" for name, template in step.inputs.items())
        return f"{step.uses}({values})"
    if step.wait is None:
        return ""
    if step.wait.until is not None:
        return f"waits until {_value(step.wait.until, scope)}"
    span = "" if step.wait.for_seconds is None else f" for {_span(step.wait.for_seconds)}"
    if step.wait.message is None:
        return f"waits{span}"
    return f"asks “{_value(step.wait.message, scope)}” and waits{span}"


def _sends(playbook: Playbook, actions: Mapping[str, ActionSpec]) -> str:
    sent = [(step.title, _sent(step, actions)) for step in playbook.every_step]
    lines = [f"- {title}: {what}" for title, what in sent if what is not None]
    if not lines:
        return "It sends nothing to anybody else; the answer comes here."
    return "\n".join(["It would send:", "", *lines])


def _sent(step: Step, actions: Mapping[str, ActionSpec]) -> str | None:
    spec = None if step.uses is None else actions.get(step.uses)
    return None if spec is None else spec.sends


def _approval(playbook: Playbook, decision: Decision | None) -> str:
    if playbook.approval is not None:
        return approval_words(playbook.approval)
    if decision is not None and decision.verdict is Verdict.REQUIRE_APPROVAL:
        return f"{approval_words(ApprovalRule())} ({decision.reason})"
    return "none"


class _Unknown:
    """A value that only a run can tell; `text` is how the playbook has it."""

    def __init__(self, text: str) -> None:
        self.text = text


def _known(template: Template, scope: Mapping[str, Any]) -> Any:
    if any(_needs_run(expression.tree) for expression in expressions_of(template)):
        return _Unknown(_written(template))
    try:
        return evaluate(template, scope)
    except ExpressionError as error:
        return _Unknown(f"({error})")


def _value(template: Template, scope: Mapping[str, Any]) -> str:
    value = _known(template, scope)
    return value.text if isinstance(value, _Unknown) else _short(as_text(value) if value is not None else "null")


def _needs_run(node: Node) -> bool:
    """Whether an expression looks at anything but inputs and the station; a field of theirs named so counts too."""
    if node["type"] == "field" and node["value"] in ("steps", "run"):
        return True
    return any(_needs_run(child) for child in nodes_of(node))


def _written(template: Template) -> str:
    match template:
        case Expression():
            return template.text
        case Joined():
            return "".join(part if isinstance(part, str) else f"{{{part.text}}}" for part in template.parts)
        case ListOf():
            return f"[{', '.join(_written(item) for item in template.items)}]"
        case MappingOf():
            return f"{{{', '.join(f'{key}: {_written(item)}' for key, item in template.items)}}}"
        case _:
            return as_text(template.value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _span(seconds: float) -> str:
    return DURATION.show(DURATION.read(seconds))


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%d %H:%M:%SZ")
