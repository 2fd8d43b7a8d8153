"""The form of a playbook file: models that check it part by part, and the JSON Schema that editors use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from vtoc_bots.core.access import Level
from vtoc_bots.core.documents import Document, Keys, Problem, nearest
from vtoc_bots.core.values import DURATION, VALUE_TYPES

M = TypeVar("M", bound=BaseModel)

INPUT_TYPES: Final = (*VALUE_TYPES, "choice")
NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
MAX_STEPS: Final = 100
MAX_INPUTS: Final = 50

_NAME_RULE: Final = "use lower-case letters, digits and _, a letter first"


def _seconds(value: Any) -> float:
    return DURATION.read(value).total_seconds()


def _seconds_or_never(value: Any) -> float | None:
    return None if value == "never" else _seconds(value)


def _level(value: Any) -> Level:
    return Level.parse(value) if isinstance(value, str) else Level.parse(repr(value))


def _nothing(value: Any) -> Any:
    return None if value == "none" else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Seconds = Annotated[float, PlainValidator(_seconds), WithJsonSchema(dict(DURATION.schema))]
Timeout = Annotated[Seconds, Field(gt=0)]
SecondsOrNever = Annotated[
    float | None,
    PlainValidator(_seconds_or_never),
    WithJsonSchema({"anyOf": [{"const": "never"}, dict(DURATION.schema)], "default": "24h"}),
]
LevelName = Annotated[
    Level, PlainValidator(_level), WithJsonSchema({"enum": [str(level) for level in Level], "type": "string"})
]
_NEEDS_SCHEMA: Final = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Condition = Annotated[
    Any,
    WithJsonSchema({"type": ["boolean", "string"], "description": "true, false, or one ${{ expression }}"}),
]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), use_attribute_docstrings=True)


class InputFile(_File):
    """One input, asked for by name in chat, in a form, or over HTTP."""

    type: Annotated[str, WithJsonSchema({"enum": list(INPUT_TYPES)})]
    """What may be given: 10m for a duration, 40nm for a distance or an area …"""
    default: Any = None
    """The value where none is given. Without a default it is null, unless it is required."""
    required: bool = False
    """Whether it must be given; chat asks for it with a form."""
    help: str = ""
    """One line for the person who is asked for it."""
    choices: list[str] = []
    """The words of a choice."""
    minimum: Annotated[Any, Field(alias="min")] = None
    """The least that may be given, where the type is a number, quantity or time."""
    maximum: Annotated[Any, Field(alias="max")] = None
    """The most that may be given."""


class ApprovalFile(_File):
    """Who must approve before it goes on."""

    quorum: Annotated[int, Field(ge=1, le=20)] = 1
    """How many people must approve; one denial denies."""
    level: Annotated[LevelName, Field(json_schema_extra={"default": "lead"})] = Level.LEAD
    """The least level that may approve."""
    exclude_requester: bool = True
    """Whether the person who asked may not approve."""
    expires: SecondsOrNever = 24 * 3600.0
    """How long it may take, or never."""
    on_expiry: Literal["deny", "hold"] = "deny"
    """What becomes of it then: the run fails, or it stays open."""
    title: str | None = None
    """What the approvers are asked; expressions may stand in it."""


class RetryFile(_File):
    """How often and when a failed action is tried again; `attempts` counts the first try too."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    backoff: Seconds = 1.0
    """The first delay; each is twice the one before."""
    max_delay: Seconds = 60.0
    """The longest delay."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The fraction of a delay that chance may take away."""


class WaitFile(_File):
    """What to wait for: a span, a moment, or a message (with `for` as the longest)."""

    span: Annotated[Seconds | None, Field(alias="for")] = None
    """How long, or, with message, how long at most."""
    until: str | None = None
    """A time, e.g. ${{ inputs.start }}."""
    message: str | None = None
    """The question to ask in the run's conversation; the answer is the step's output."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> WaitFile:
        if (self.until is not None) + (self.message is not None) + (self.span is not None and not self.message) != 1:
            raise ValueError("a wait is for one thing: for, until, or message (message may have for as its longest)")
        return self


class StepFile(_File):
    """One step: an action (perhaps after an approval), only an approval, or a wait."""

    id: Name
    """The name by which later steps take its output: ${{ steps.<id> }}."""
    title: str | None = None
    """What people see of it while it runs."""
    uses: str | None = None
    """The action to run."""
    arguments: Annotated[dict[str, Any], Field(alias="with")] = {}
    """The action's values, by parameter."""
    condition: Annotated[Condition, Field(alias="if")] = None
    """Runs only if this is true; a step with an if is not skipped because one it needs was."""
    needs: Annotated[list[str], BeforeValidator(_listed), WithJsonSchema(_NEEDS_SCHEMA)] = []
    """Steps above it that must have ended, besides those that its expressions refer to."""
    timeout: Timeout | None = None
    """How long one try may take; 60 s by default."""
    retry: RetryFile | None = None
    wait: WaitFile | None = None
    approve: ApprovalFile | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> StepFile:
        if self.wait is not None and (self.uses is not None or self.approve is not None):
            raise ValueError("a step that waits does nothing else; put uses and approve in a step that needs it")
        if self.uses is None and self.wait is None and self.approve is None:
            raise ValueError("a step needs uses (an action), wait or approve")
        if self.uses is None:
            extra = [key for key, value in (("with", self.arguments), ("retry", self.retry)) if value]
            extra += ["timeout"] if self.timeout is not None else []
            if extra:
                raise ValueError(f"{' and '.join(extra)} belong to an action; add uses or remove them")
        return self


class ReplyFile(_File):
    """What is answered at the end: an action that returns a card, or a card written out."""

    uses: str | None = None
    """An action that returns a card. What it takes and is not given comes from the step of that name."""
    arguments: Annotated[dict[str, Any], Field(alias="with")] = {}
    """The action's values, by parameter."""
    timeout: Timeout | None = None
    retry: RetryFile | None = None
    card: dict[str, Any] | None = None
    """A card: title, blocks (bare text is a text block), severity; expressions may stand in it."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> ReplyFile:
        if (self.uses is None) == (self.card is None):
            raise ValueError("a reply is either uses (an action that returns a card) or card (one written out)")
        if self.card is not None and (self.arguments or self.retry or self.timeout is not None):
            raise ValueError("with, timeout and retry belong to an action; a card written out has none")
        return self


class HeaderFile(_File):
    """A playbook file's own keys; inputs, steps and reply are checked one by one."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    """The name it is run by."""
    role: Literal["ops", "intel", "logistics"] | None = None
    """The role whose stations have it; without one, every station has."""
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
    level: Annotated[LevelName, Field(json_schema_extra={"default": "operator"})] = Level.OPERATOR
    """The least level that may run it."""
    private: bool = True
    """Whether its reply is for the asker alone."""
    inputs: Annotated[dict[str, Any], Field(max_length=MAX_INPUTS)] = {}
    approval: Annotated[ApprovalFile | None, BeforeValidator(_nothing)] = None
    """Who must approve before anything runs."""
    timeout: Timeout | None = None
    """How long the whole may take, not counting the wait for its own approval."""
    steps: Annotated[list[Any], Field(min_length=1, max_length=MAX_STEPS)]
    reply: Any = None


class PlaybookFile(HeaderFile):
    """A role's declared procedure: its steps run when those they need have ended."""

    inputs: dict[str, InputFile] = {}
    steps: Annotated[list[StepFile], Field(min_length=1, max_length=MAX_STEPS)]
    reply: ReplyFile | None = None


def playbook_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a playbook file."""
    schema = PlaybookFile.model_json_schema()
    schema["properties"]["approval"]["anyOf"].append({"const": "none"})
    schema["properties"]["inputs"]["propertyNames"] = {"pattern": NAME_PATTERN}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "vtoc-bots playbook"}


def check_part(
    model: type[M], document: Document, keys: Keys, label: str, value: Any
) -> tuple[M | None, list[Problem]]:
    """A part of the file as its model, and everything that is wrong with it; `label` says which part.

    Where something is wrong the part is what remains without the wrong keys, so that the rest can be checked too, and
    None where too little remains.
    """
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        parts = error.errors(include_url=False)
    problems = [Problem(document.where(*keys, *part["loc"]), _explained(model, label, part)) for part in parts]
    wrong = {part["loc"][0] for part in parts if part["loc"]}
    if not wrong or not isinstance(value, dict):
        return None, problems
    try:
        return model.model_validate({key: item for key, item in value.items() if key not in wrong}), problems
    except ValidationError:
        return None, problems


def name_problem(name: str) -> str | None:
    """What is wrong with an input's name, None where nothing is."""
    return None if re.fullmatch(NAME_PATTERN, name) else f"{name!r} is no name for an input; {_NAME_RULE}"


def _explained(model: type[BaseModel], label: str, part: ErrorDetails) -> str:
    loc, kind, given = part["loc"], part["type"], part.get("input")
    place = ".".join(str(key) for key in (*([label] if label else []), *loc)) or "the playbook"
    if kind == "extra_forbidden":
        known = _keys(_model_at(model, loc[:-1]))
        return f"{place} is not a known key.{nearest(str(loc[-1]), known) or ' There are ' + ', '.join(known) + '.'}"
    if kind == "missing":
        return f"{place} is missing; add it"
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f"{place} must be text, YAML reads this as {given!r}; put it in quotes"
    if kind == "string_pattern_mismatch":
        return f"{place} is {given!r}; {_NAME_RULE}"
    message = part["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(given, dict | list) else f" (it is {given!r})"
    return f"{place}: {message[:1].lower()}{message[1:]}{shown}"


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], loc: Iterable[str | int]) -> type[BaseModel] | None:
    """The model of the mapping that a pydantic location leads to."""
    here: type[BaseModel] | None = model
    for key in loc:
        if here is None:
            return None
        fields = {field.alias or name: field for name, field in here.model_fields.items()}
        annotation = fields[str(key)].annotation if str(key) in fields else None
        options = [annotation, *get_args(annotation)]
        here = next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)
    return here
