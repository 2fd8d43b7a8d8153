"""The rules of config/policies.yml: verdicts an installation adds to levels and roles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from fnmatch import fnmatchcase, translate
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from vtoc_bots.core.access import Ask, Decision, Level, Operator, Station, Verdict
from vtoc_bots.core.config import config_error
from vtoc_bots.core.documents import Document, Problem, nearest, read_document, validate

FILE: Final = "policies.yml"
ACTION_KINDS: Final = ("command", "playbook", "approve", "cancel", "action", "api")
"""What stands before the colon of an `Ask.action`."""

_VERDICTS: Final[Mapping[str, Verdict]] = {
    "allow": Verdict.ALLOW,
    "require-approval": Verdict.REQUIRE_APPROVAL,
    "deny": Verdict.DENY,
}
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\s*-\s*([01][0-9]|2[0-3]):([0-5][0-9])")


def _listed(value: Any) -> Any:
    """One value may stand without a list."""
    return [value] if isinstance(value, str | int | float) else value


def _actions(globs: tuple[str, ...]) -> tuple[str, ...]:
    for glob in globs:
        kind, colon, _ = glob.partition(":")
        if glob != "*" and not (colon and any(fnmatchcase(known, kind) for known in ACTION_KINDS)):
            hint = nearest(kind, ACTION_KINDS)
            raise ValueError(f"{glob} matches nothing; write kind:name with kind {', '.join(ACTION_KINDS)}.{hint}")
    return globs


def _hours(text: str) -> str:
    found = _HOURS.fullmatch(text.strip())
    if found is None or found.group(1, 2) == found.group(3, 4):
        raise ValueError('hours are written "22:00-06:00"')
    return text.strip()


def _one_or_more(item: Mapping[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [dict(item), {"type": "array", "items": dict(item), "minItems": 1}]})


_Role = Literal["ops", "intel", "logistics"]
_Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_LIST: Final = (BeforeValidator(_listed), Field(min_length=1))
_Globs = Annotated[tuple[str, ...], *_LIST, _one_or_more({"type": "string"})]
_Values = Annotated[
    tuple[str | bool | int | float, ...], *_LIST, _one_or_more({"type": ["string", "boolean", "number"]})
]
_Roles = Annotated[tuple[_Role, ...], *_LIST, _one_or_more({"enum": list(get_args(_Role))})]
_Days = Annotated[tuple[_Day, ...], *_LIST, _one_or_more({"enum": list(get_args(_Day))})]


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Limits(_Keys):
    """A number's range, both ends included."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Limits:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


_Argument = Annotated[
    Annotated[Limits, Tag("range")] | Annotated[_Values, Tag("values")],
    Discriminator(lambda value: "range" if isinstance(value, dict | Limits) else "values"),
]


class Match(_Keys):
    """What a rule applies to: every key given must fit, one of a list's values is enough."""

    actions: Annotated[_Globs, AfterValidator(_actions)] | None = Field(
        None,
        description="globs over what is asked for: command:map, playbook:op_*, approve:op_order_frag, api:list_events",
    )
    stations: _Globs | None = Field(None, description="globs over station slugs")
    roles: _Roles | None = Field(None, description="roles of the station")
    operators: _Globs | None = Field(None, description="globs over operators' names or ids")
    below: Literal["operator", "lead", "admin"] | None = Field(
        None, description="only operators whose level at the station is lower"
    )
    transports: _Globs | None = Field(None, description="globs over transports: telegram, slack, terminal, api, mcp")
    arguments: dict[str, _Argument] | None = Field(
        None, description="by argument: globs or values, or {min, max}, in SI units as a dry run shows them"
    )
    days: _Days | None = Field(None, description="days in the station's timezone")
    hours: Annotated[str, AfterValidator(_hours)] | None = Field(
        None, description='times of day in the station\'s timezone, "22:00-06:00"; the end is not included'
    )

    @model_validator(mode="after")
    def _some(self) -> Match:
        if not self.model_fields_set & Match.model_fields.keys():
            raise ValueError('says nothing of what it applies to; write actions: "*" to mean everything')
        return self


class Rule(Match):
    """One rule: what it applies to, its effect, and why."""

    effect: Literal["allow", "require-approval", "deny"]
    reason: str = Field(min_length=1, description="the sentence that people are told")
    unless: Match | None = Field(None, description="exceptions: where this fits too, the rule does not apply")


class PolicyFile(_Keys):
    """config/policies.yml. Deny beats require-approval beats allow, so the order of rules doesn't matter."""

    rules: tuple[Rule, ...] = ()


class _Question:
    """What is asked, and when; the time is looked at only where a rule needs it."""

    __slots__ = ("_clock", "_local", "ask", "operator", "station")

    def __init__(self, operator: Operator, station: Station, ask: Ask, clock: Callable[[], datetime]) -> None:
        self.operator, self.station, self.ask = operator, station, ask
        self._clock = clock
        self._local: datetime | None = None

    @property
    def local(self) -> datetime:
        """Now, in the station's timezone."""
        if self._local is None:
            self._local = self._clock().astimezone(ZoneInfo(self.station.timezone))
        return self._local


_Test = Callable[[_Question], bool]


@dataclass(frozen=True, slots=True)
class _Checked:
    """A rule made ready: its tests, in the order of their cost, and the decision it gives."""

    tests: tuple[_Test, ...]
    exceptions: tuple[_Test, ...] | None
    decision: Decision

    def applies(self, question: _Question) -> bool:
        if not all(test(question) for test in self.tests):
            return False
        return self.exceptions is None or not all(test(question) for test in self.exceptions)


class Policies:
    """The rules of one file; the `Rules` of `Access`. `clock` gives an aware time."""

    def __init__(self, rules: Sequence[tuple[Rule, str]], clock: Callable[[], datetime]) -> None:
        """`rules`: each with its place, ``policies.yml:12``."""
        self._clock = clock
        self._rules = tuple(
            _Checked(
                _tests(rule),
                None if rule.unless is None else _tests(rule.unless),
                Decision(_VERDICTS[rule.effect], rule.reason, where),
            )
            for rule, where in rules
        )

    def __len__(self) -> int:
        return len(self._rules)

    def verdicts(self, operator: Operator, station: Station, ask: Ask) -> Iterator[Decision]:
        """The decisions of the rules that apply."""
        if not self._rules:
            return
        question = _Question(operator, station, ask, self._clock)
        for rule in self._rules:
            if rule.applies(question):
                yield rule.decision


def load_policies(path: Path, clock: Callable[[], datetime]) -> Policies:
    """The policies of a file; a missing one has none. Raises ConfigError or StartupError naming every wrong line."""
    document = read_document(path)
    rules, problems = ([], []) if document is None else rules_from(document)
    if problems:
        raise config_error(problems)
    return Policies(rules, clock)


def rules_from(document: Document) -> tuple[list[tuple[Rule, str]], list[Problem]]:
    """The rules of a document, each with its ``file:line``, and everything that is wrong."""
    if document.data is None:
        return [], []
    if not isinstance(document.data, dict) or not isinstance(document.data.get("rules") or [], list):
        return [], [Problem(document.where("rules"), "begins with `rules:`, then a list of rules")]
    problems = [
        Problem(document.where(key), f"{key} is not a known key.{nearest(key, ['rules'])} Only rules is")
        for key in document.data
        if key != "rules"
    ]
    rules: list[tuple[Rule, str]] = []
    for index, value in enumerate(document.data.get("rules") or []):
        rule, wrong = validate(Rule, document, ("rules", index), value)
        problems.extend(wrong)
        if rule is not None:
            line = document.where("rules", index).rpartition(":")[2]
            rules.append((rule, f"{FILE}:{line}"))
    return rules, problems


def policies_schema() -> dict[str, Any]:
    """The JSON Schema of policies.yml, as config/policies.schema.json holds it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PolicyFile.model_json_schema(),
        "title": FILE,
    }


def _tests(match: Match) -> tuple[_Test, ...]:
    made: list[_Test] = []
    if match.actions is not None:
        made.append(_glob(match.actions, lambda question: question.ask.action))
    if match.roles is not None:
        roles = frozenset(match.roles)
        made.append(lambda question: question.station.role in roles)
    if match.stations is not None:
        made.append(_glob(match.stations, lambda question: question.station.slug))
    if match.transports is not None:
        made.append(_glob(match.transports, lambda question: question.ask.transport or ""))
    if match.below is not None:
        made.append(_below(Level.parse(match.below)))
    if match.operators is not None:
        by_name = _glob(match.operators, lambda question: question.operator.name)
        by_id = _glob(match.operators, lambda question: str(question.operator.id))
        made.append(lambda question: by_name(question) or by_id(question))
    made.extend(_argument(name, wanted) for name, wanted in (match.arguments or {}).items())
    if match.days is not None:
        days = frozenset(get_args(_Day).index(day) for day in match.days)
        made.append(lambda question: question.local.weekday() in days)
    if match.hours is not None:
        made.append(_within(match.hours))
    return tuple(made)


def _pattern(globs: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs), re.IGNORECASE)


def _glob(globs: Sequence[str], text: Callable[[_Question], str]) -> _Test:
    matches = _pattern(globs).match
    return lambda question: matches(text(question)) is not None


def _below(level: Level) -> _Test:
    def test(question: _Question) -> bool:
        held = question.operator.level_at(question.station.slug)
        return held is None or held < level

    return test


def _argument(name: str, wanted: Limits | tuple[str | bool | int | float, ...]) -> _Test:
    if isinstance(wanted, Limits):
        low = float("-inf") if wanted.min is None else wanted.min
        high = float("inf") if wanted.max is None else wanted.max
        return lambda question: any(
            isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
            for value in _values(question, name)
        )
    pattern = _pattern([value for value in wanted if isinstance(value, str)] or [""])
    exact = [(type(value) is bool, value) for value in wanted if not isinstance(value, str)]

    def test(question: _Question) -> bool:
        return any(
            pattern.match(value) is not None if isinstance(value, str) else (type(value) is bool, value) in exact
            for value in _values(question, name)
        )

    return test


def _values(question: _Question, name: str) -> Sequence[Any]:
    """The argument's values: none where it isn't given, as many as a list has."""
    value = (question.ask.arguments or {}).get(name)
    return value if isinstance(value, list | tuple) else () if value is None else (value,)


def _within(hours: str) -> _Test:
    start, end = (time.fromisoformat(part.strip()) for part in hours.split("-"))

    def test(question: _Question) -> bool:
        now = question.local.time()
        return start <= now < end if start < end else now >= start or now < end

    return test
