"""From a parsed file to a checked playbook, finding everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from vtoc_bots.core.cards import Card
from vtoc_bots.core.documents import Document, Keys, Problem, nearest
from vtoc_bots.core.playbooks.actions import explain
from vtoc_bots.core.playbooks.check import (
    ANSWERED,
    APPROVED,
    RUN,
    STATION,
    WAITED,
    call_problems,
    input_shape,
    output_shape,
    returns_card,
)
from vtoc_bots.core.playbooks.digest import canonical_digest
from vtoc_bots.core.playbooks.expressions import Literal, Template, parse_expression
from vtoc_bots.core.playbooks.inputs import RANGED, canonical_input
from vtoc_bots.core.playbooks.model import (
    DEFAULT_TIMEOUT_SECONDS,
    REPLY,
    ApprovalRule,
    InputSpec,
    Playbook,
    Retry,
    Step,
    WaitRule,
)
from vtoc_bots.core.playbooks.order import order_problem
from vtoc_bots.core.playbooks.references import References
from vtoc_bots.core.playbooks.schema import (
    INPUT_TYPES,
    ApprovalFile,
    HeaderFile,
    InputFile,
    ReplyFile,
    RetryFile,
    StepFile,
    WaitFile,
    check_part,
    name_problem,
)
from vtoc_bots.core.playbooks.shapes import ANY, TEXT, Shape, misfit, record, shape_of_schema
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.core.values import TIME, value_type

M = TypeVar("M", bound=BaseModel)


def compile_playbook(
    document: Document, source: str, actions: Mapping[str, ActionSpec]
) -> tuple[Playbook | None, list[Problem]]:
    """The playbook of a document, or None and all problems, in the order of their lines.

    `source` is the text it was read from, which the playbook keeps.
    """
    compiler = _Compiler(document, actions)
    playbook = compiler.playbook(source)
    problems = sorted(dict.fromkeys(compiler.problems), key=lambda problem: _line_of(problem.where))
    return (None, problems) if problems else (playbook, [])


def _line_of(where: str) -> int:
    line = where.rpartition(":")[2]
    return int(line) if line.isdigit() else 0


@dataclass(frozen=True, slots=True)
class _Draft:
    """A step of the file: `file` is None where its form is wrong already."""

    index: int
    id: str
    file: StepFile | None

    @property
    def keys(self) -> Keys:
        return ("steps", self.index)


class _Compiler:
    """One pass over one document."""

    def __init__(self, document: Document, actions: Mapping[str, ActionSpec]) -> None:
        self.document, self.actions = document, actions
        self.problems: list[Problem] = []
        self.edges: dict[str, set[str]] = {}

    def playbook(self, source: str) -> Playbook | None:
        data = self.document.data
        if not isinstance(data, dict):
            self._add((), "a playbook is a mapping; begin with id, title and steps")
            return None
        header = self._part(HeaderFile, (), "", data)
        inputs = self._inputs(data.get("inputs"))
        drafts = self._drafts(data.get("steps"))
        self.order = {draft.id: draft.index for draft in drafts}
        self.refs = References(self.document, self.problems, self._roots(data.get("inputs"), inputs, drafts))
        steps = tuple(self._step(draft) for draft in drafts)
        self._check_order(drafts)
        reply, card = self._reply(data.get("reply"), drafts)
        if header is None:
            return None
        return Playbook(
            id=header.id,
            title=header.title,
            role=header.role,
            description=header.description,
            level=header.level,
            private=header.private,
            inputs=inputs,
            approval=self._whole_approval(header.approval),
            timeout_seconds=header.timeout,
            steps=steps,
            reply=reply,
            reply_card=card,
            source=source,
            digest=canonical_digest(data),
            where=self.document.name,
        )

    def _inputs(self, raw: Any) -> tuple[InputSpec, ...]:
        specs = []
        for name, value in raw.items() if isinstance(raw, dict) else ():
            keys = ("inputs", name)
            wrong = name_problem(name)
            if wrong is not None:
                self._add(keys, wrong)
            file = self._part(InputFile, keys, f"input {name}", value)
            if file is not None:
                specs.append(self._input(name, file, keys))
        return tuple(specs)

    def _input(self, name: str, file: InputFile, keys: Keys) -> InputSpec:
        spec = InputSpec(
            name=name,
            type=file.type,
            default=file.default,
            required=file.required,
            help=file.help,
            choices=tuple(file.choices),
            minimum=file.minimum,
            maximum=file.maximum,
        )
        label = f"input {name}"
        if file.type not in INPUT_TYPES:
            fix = nearest(file.type, INPUT_TYPES) or f" There are {', '.join(INPUT_TYPES)}."
            self._add((*keys, "type"), f"{label}: there is no type {file.type}.{fix}")
            return spec
        if (file.type == "choice") != bool(file.choices):
            self._add(keys, f"{label}: a choice needs choices, and only a choice has them")
            return spec
        if file.required and file.default is not None:
            self._add((*keys, "required"), f"{label}: what has a default is not required; keep one of the two")
        if file.type not in RANGED and (file.minimum is not None or file.maximum is not None):
            self._add(keys, f"{label}: min and max are not for {file.type}; remove them")
            return spec
        self._check_values(spec, keys)
        return spec

    def _check_values(self, spec: InputSpec, keys: Keys) -> None:
        kind = value_type(spec.type, spec.choices)
        for key, bound in (("min", spec.minimum), ("max", spec.maximum)):
            try:
                if bound is not None:
                    kind.read(bound)
            except ValueError as error:
                self._add((*keys, key), f"input {spec.name}: {key}: {error}")
                return
        if spec.default is None:
            return
        try:
            canonical_input(spec, spec.default)
        except ValueError as error:
            self._add((*keys, "default"), f"input {spec.name}: default: {error}")

    def _drafts(self, raw: Any) -> list[_Draft]:
        drafts: list[_Draft] = []
        seen: dict[str, int] = {}
        for index, value in enumerate(raw if isinstance(raw, list) else ()):
            given = value.get("id") if isinstance(value, dict) else None
            step_id = given if isinstance(given, str) else f"#{index + 1}"
            file = self._part(StepFile, ("steps", index), f"step {step_id}", value)
            if step_id == REPLY:
                self._add(
                    ("steps", index, "id"), f"step {REPLY}: this id stands for the playbook's reply; take another"
                )
            elif step_id in seen:
                line = self.document.where("steps", seen[step_id])
                self._add(("steps", index, "id"), f"step {step_id} is there twice (first in {line}); rename one")
            else:
                seen[step_id] = index
                drafts.append(_Draft(index, step_id, file))
        return drafts

    def _roots(self, raw: Any, inputs: tuple[InputSpec, ...], drafts: list[_Draft]) -> dict[str, Shape]:
        known = dict.fromkeys(raw if isinstance(raw, dict) else (), ANY)
        for spec in inputs:
            if spec.type in INPUT_TYPES:
                known[spec.name] = input_shape(spec)
        steps = {draft.id: self._output(draft.file) for draft in drafts}
        return {"inputs": record(known), "steps": record(steps), "station": STATION, "run": RUN}

    def _output(self, file: StepFile | None) -> Shape:
        if file is None:
            return ANY
        if file.uses is not None:
            spec = self.actions.get(file.uses)
            return ANY if spec is None else output_shape(spec)
        if file.wait is not None:
            return WAITED if file.wait.message is None else ANSWERED
        return APPROVED

    def _step(self, draft: _Draft) -> Step:
        file = draft.file
        if file is None:
            return Step(draft.id, draft.index, draft.id)
        needs = self._named_needs(draft, file)
        arguments = self._arguments(file.arguments, (*draft.keys, "with"), needs)
        if file.uses is not None:
            self._check_call(file.uses, arguments, draft.keys, draft.id)
        condition = self._condition(file.condition, (*draft.keys, "if"), draft.id, needs)
        approve = self._approval(file.approve, (*draft.keys, "approve"), needs)
        wait = self._wait(file.wait, (*draft.keys, "wait"), draft.id, needs)
        self.edges[draft.id] = {need for need in needs if need in self.order}
        return Step(
            id=draft.id,
            index=draft.index,
            title=file.title or draft.id.replace("_", " ").capitalize(),
            needs=tuple(sorted(self.edges[draft.id], key=self.order.__getitem__)),
            uses=file.uses,
            inputs=arguments,
            condition=condition,
            approve=approve,
            wait=wait,
            retry=_retry(file.retry),
            timeout_seconds=file.timeout or DEFAULT_TIMEOUT_SECONDS,
        )

    def _named_needs(self, draft: _Draft, file: StepFile) -> set[str]:
        for at, need in enumerate(file.needs):
            if need not in self.order:
                keys = (*draft.keys, "needs", at)
                self._add(keys, f"step {draft.id} needs {need}, and there is no such step.{nearest(need, self.order)}")
        return set(file.needs)

    def _arguments(self, given: Mapping[str, Any], keys: Keys, needs: set[str]) -> dict[str, Template]:
        return {name: self._template(value, (*keys, name), needs) for name, value in given.items()}

    def _template(self, value: Any, keys: Keys, needs: set[str]) -> Template:
        template, found = self.refs.template(value, keys)
        needs |= found
        return template

    def _check_call(self, uses: str, arguments: Mapping[str, Template], keys: Keys, step: str) -> ActionSpec | None:
        spec = self.actions.get(uses)
        if spec is None:
            fix = nearest(uses, self.actions) or " Install its plugin, or see vtoc-bots plugin list."
            self._add((*keys, "uses"), f"step {step}: there is no action {uses}.{fix}")
            return None
        for place, message in call_problems(spec, arguments, self.refs.shape_of_expression):
            self._add((*keys, "with", *place), f"step {step}: {message}")
        return spec

    def _condition(self, value: Any, keys: Keys, step: str, needs: set[str]) -> Template | None:
        if value is None or isinstance(value, bool):
            return None if value is None else Literal(value)
        template = self._template(value, keys, needs)
        if isinstance(template, Literal) and template.value is not None:
            self._add(keys, f"step {step}: if is {value!r}; write true, false, or one ${{{{ expression }}}}")
        return template

    def _approval(self, file: ApprovalFile | None, keys: Keys, needs: set[str]) -> ApprovalRule | None:
        if file is None:
            return None
        title = None if file.title is None else self._template(file.title, (*keys, "title"), needs)
        return ApprovalRule(file.quorum, file.level, file.exclude_requester, file.expires, file.on_expiry, title)

    def _whole_approval(self, file: ApprovalFile | None) -> ApprovalRule | None:
        needs: set[str] = set()
        rule = self._approval(file, ("approval",), needs)
        if needs:
            self._add(("approval", "title"), "the approval comes before every step; its title can't refer to one")
        return rule

    def _wait(self, file: WaitFile | None, keys: Keys, step: str, needs: set[str]) -> WaitRule | None:
        if file is None:
            return None
        message = None if file.message is None else self._template(file.message, (*keys, "message"), needs)
        until = None if file.until is None else self._template(file.until, (*keys, "until"), needs)
        if isinstance(until, Literal) and until.value is not None:
            try:
                until = Literal(TIME.canonical(TIME.read(until.value)))
            except ValueError as error:
                self._add((*keys, "until"), f"step {step}: {error}")
        elif until is not None:
            why = misfit(self.refs.shape_of(until), TEXT)
            if why is not None:
                self._add((*keys, "until"), f"step {step}: until must be a time: it {why}")
        return WaitRule(file.span, until, message)

    def _check_order(self, drafts: list[_Draft]) -> None:
        for draft in drafts:
            for need in sorted(self.edges.get(draft.id, ())):
                wrong = order_problem(draft.id, need, self.order, self.edges)
                if wrong is not None:
                    self._add(draft.keys, wrong)

    def _reply(self, raw: Any, drafts: list[_Draft]) -> tuple[Step | None, Template | None]:
        if raw is None:
            return None, None
        file = self._part(ReplyFile, ("reply",), "reply", raw)
        if file is None:
            return None, None
        if file.uses is None:
            return None, self._card(file.card)
        arguments = self._arguments(file.arguments, ("reply", "with"), set())
        spec = self.actions.get(file.uses)
        if spec is not None:
            # What the reply's action wants and is not given comes from the step of that name.
            for name in spec.inputs.model_fields:
                if name in self.order and name not in arguments:
                    arguments[name] = parse_expression(f"steps.{name}")
        if self._check_call(file.uses, arguments, ("reply",), REPLY) and spec and not returns_card(spec):
            self._add(("reply", "uses"), f"reply: {file.uses} returns no card; use an action that does, or write card")
        return (
            Step(
                id=REPLY,
                index=len(drafts),
                title="Reply",
                needs=tuple(draft.id for draft in drafts),
                uses=file.uses,
                inputs=arguments,
                # The reply is given whatever was skipped.
                condition=Literal(True),
                retry=_retry(file.retry),
                timeout_seconds=file.timeout or DEFAULT_TIMEOUT_SECONDS,
            ),
            None,
        )

    def _card(self, raw: Any) -> Template:
        keys = ("reply", "card")
        blocks = raw.get("blocks")
        if isinstance(blocks, list):
            written = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
            raw = {**raw, "blocks": written}
        template = self._template(raw, keys, set())
        if isinstance(template, Literal):
            try:
                Card.model_validate(template.value)
            except ValidationError as error:
                self._add(keys, f"reply: card: {explain(error)}")
            return template
        why = misfit(self.refs.shape_of(template), _CARD)
        if why is not None:
            self._add(keys, f"reply: the card {why}")
        return template

    def _part(self, model: type[M], keys: Keys, label: str, value: Any) -> M | None:
        part, problems = check_part(model, self.document, keys, label, value)
        self.problems += problems
        return part

    def _add(self, keys: Keys, message: str) -> None:
        self.problems.append(Problem(self.document.where(*keys), message))


_CARD: Final = shape_of_schema(Card.model_json_schema())


def _retry(file: RetryFile | None) -> Retry | None:
    return None if file is None else Retry(file.attempts, file.backoff, file.max_delay, file.jitter)
