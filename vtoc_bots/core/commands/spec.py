"""What a command is: its name, its function, its parameters and who may use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias

from vtoc_bots.core.access import Ask, Level
from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.forms import FormField
from vtoc_bots.core.values import BOOL, ValueType

ForAgents: TypeAlias = Literal["use", "propose", "never"]
"""Use a command that only looks something up, propose one for the caller to confirm, or leave it to people."""
Handler: TypeAlias = Callable[..., Awaitable[Card | None]]
"""``async def handler(ctx, positional, …, *, option=default, **inputs) -> Card``; None where something else answers."""


class ParamKind(Enum):
    """How a parameter is given in text."""

    POSITIONAL = "by its place, or by name"
    PLACE_ONLY = "by its place alone"
    OPTION = "by name"
    REST = "all the remaining text"


@dataclass(frozen=True, slots=True, eq=False)
class Param:
    """One parameter of a command."""

    name: str
    type: ValueType[Any]
    kind: ParamKind
    required: bool = True
    default: Any = None
    help: str = ""

    @property
    def label(self) -> str:
        """Its name as people write it: ``dry-run`` for ``dry_run``."""
        return self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        """Whether it is given as ``--name`` or ``--no-name`` without a value."""
        return self.type is BOOL and self.kind is ParamKind.OPTION

    @property
    def is_positional(self) -> bool:
        """Whether it may be given by its place."""
        return self.kind is not ParamKind.OPTION

    def form_field(self) -> FormField:
        """What a form asks for."""
        default = None if self.required or self.default is None else self.type.show(self.default)
        return FormField(
            self.name,
            self.label.replace("-", " ").capitalize(),
            self.help or self.type.accepts,
            self.required,
            default,
            self.type.choices,
        )


@dataclass(frozen=True, slots=True, eq=False)
class CommandSpec:
    """A typed function callable from chat.

    `level` None means anyone, an unknown identity included; `roles` empty means stations of any role. `inputs` is
    whether free ``key=value`` pairs are taken (``**inputs``). `private` asks for a reply that only the asker sees.
    An `event` command is called for what a transport reports by itself (`MessageKind.EVENT`), and never by people.
    `agents` is what an agent that acts for the caller may do with it.
    """

    name: str
    call: Handler
    params: tuple[Param, ...] = ()
    level: Level | None = Level.OPERATOR
    roles: frozenset[str] = frozenset()
    summary: str = ""
    help: str = ""
    examples: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    private: bool = False
    inputs: bool = False
    event: bool = False
    agents: ForAgents = "propose"
    ask: Ask = field(init=False, repr=False)
    """What `Access.decide` is asked where the arguments don't matter yet, as in help."""
    by_name: Mapping[str, Param] = field(init=False, repr=False)
    """The parameters that may be given by name."""
    positional: tuple[Param, ...] = field(init=False, repr=False)
    defaults: Mapping[str, Any] = field(init=False, repr=False)
    required: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_name = {each.name: each for each in self.params if each.kind is not ParamKind.PLACE_ONLY}
        derived = {
            "ask": Ask(f"command:{self.name}", self.level, self.roles),
            "by_name": by_name | {each.label: each for each in by_name.values()},
            "positional": tuple(each for each in self.params if each.is_positional),
            "defaults": {each.name: each.default for each in self.params if not each.required},
            "required": frozenset(each.name for each in self.params if each.required),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)  # frozen, and these follow from the rest

    @property
    def names(self) -> tuple[str, ...]:
        """Its name and its aliases."""
        return (self.name, *self.aliases)

    @property
    def native_name(self) -> str:
        """One word for platforms whose commands have no spaces: ``track_watch``."""
        return self.name.replace(" ", "_").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Call:
    """A command with all its values: ready to be decided on and called."""

    spec: CommandSpec
    values: Mapping[str, Any]
    """Every parameter's value by name, defaults included."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Free ``key=value`` pairs."""

    async def __call__(self, ctx: Any) -> Card | None:
        """Call the handler; raises what it raises."""
        values = self.values
        places = [values[param.name] for param in self.spec.positional]
        options = {param.name: values[param.name] for param in self.spec.params if not param.is_positional}
        return await self.spec.call(ctx, *places, **options, **self.inputs)

    def arguments(self) -> dict[str, Any]:
        """All values in canonical JSON, for policies, audit and storage; `bind_values` takes them back."""
        made: dict[str, Any] = dict(self.inputs)
        for param in self.spec.params:
            value = self.values[param.name]
            made[param.name] = None if value is None else param.type.canonical(value)
        return made

    def ask(self, transport: str | None = None, private: bool | None = None) -> Ask:
        """What `Access.decide` is asked about this call."""
        return Ask(self.spec.ask.action, self.spec.level, self.spec.roles, self.arguments(), transport, private)


@dataclass(frozen=True, slots=True)
class MissingArguments:
    """A command that lacks values; a form or dialog asks for `fields` and `complete` goes on with the answers."""

    spec: CommandSpec
    given: Mapping[str, Any]
    """What was given, in canonical JSON."""
    fields: tuple[FormField, ...]

    @property
    def message(self) -> str:
        """What is missing, in words."""
        names = " and ".join(each.name.replace("_", "-") for each in self.fields)
        return f"/{self.spec.name} needs {names}"


class UnknownCommand(UsageError):
    """No command has that name. `suggestions` are the nearest names that the caller may use."""

    suggestions: tuple[str, ...] = ()


class InvalidValues(UsageError):
    """Values of a form or native command are wrong. `errors` is by parameter name."""

    def __init__(self, message: str, errors: Mapping[str, str]) -> None:
        super().__init__(message)
        self.errors = errors
