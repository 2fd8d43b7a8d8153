"""`@command`: a typed function becomes a command."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable

from vtoc_bots.core.access import Level
from vtoc_bots.core.commands.binding import bind_text
from vtoc_bots.core.commands.signature import params_of
from vtoc_bots.core.commands.spec import Call, CommandSpec, ForAgents, Handler
from vtoc_bots.core.errors import PluginError, UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[ -][a-z0-9]+)*")
MAX_NAME = 32
"""Telegram's and Discord's limit."""
ROLES = frozenset({"ops", "intel", "logistics"})


def command(
    name: str,
    *,
    level: str | None = "operator",
    roles: Iterable[str] = (),
    aliases: Iterable[str] = (),
    private: bool = False,
    examples: Iterable[str] = (),
    event: bool = False,
    agents: ForAgents = "propose",
) -> Callable[[Handler], CommandSpec]:
    """Make a CommandSpec of ``async def f(ctx, target: T, …, *, option: U = default, **inputs: str) -> Card``.

    Parameters before ``*`` are given by their place (or by name), those after it by name; ``bool`` ones are switches.
    Types: str, int, float, bool, Enum, Literal, datetime, timedelta, `Area`, `Position`, the exported `Duration`,
    `Distance`, `TrackId`, `Rest` … , ``| None``, limits of annotated_types, and a text in ``Annotated`` as its help.
    The docstring's first line is the summary. `name` is one or more lower-case words; `level` None is anyone, an
    unknown identity included; `examples` are whole commands and are checked; an `event` command is for what a transport
    reports by itself, nobody can call it. `agents` is what an agent that acts for the caller may do: ``use`` what only
    looks something up, ``propose`` it for the caller to confirm, or ``never`` anything. Raises PluginError.
    """
    also, for_roles, shown = tuple(aliases), frozenset(roles), tuple(examples)
    least = _checked(name, also, for_roles, level)

    def make(call: Handler) -> CommandSpec:
        params, inputs = params_of(name, call)
        summary, _, more = (inspect.getdoc(call) or "").partition("\n")
        if not summary:
            raise PluginError(f"command {name}: {call.__qualname__} needs a docstring; its first line is the help")
        spec = CommandSpec(
            name=name,
            call=call,
            params=params,
            level=least,
            roles=for_roles,
            summary=summary.strip(),
            help=more.strip(),
            examples=shown,
            aliases=also,
            private=private,
            inputs=inputs,
            event=event,
            agents=agents,
        )
        _check_examples(spec)
        return spec

    return make


def _checked(name: str, aliases: tuple[str, ...], roles: frozenset[str], level: str | None) -> Level | None:
    """The level, once names and roles are known to be right."""
    where = f"command {name}"
    for each in (name, *aliases):
        if not _NAME.fullmatch(each) or len(each) > MAX_NAME:
            raise PluginError(
                f"{where}: {each!r} is no command name; use lower-case words, at most {MAX_NAME} characters"
            )
    if unknown := roles - ROLES:
        raise PluginError(f"{where}: no role {', '.join(sorted(unknown))}; roles are ops, intel and logistics")
    try:
        return None if level is None else Level.parse(level)
    except ValueError as error:
        raise PluginError(f"{where}: {error}") from error


def _check_examples(spec: CommandSpec) -> None:
    for example in spec.examples:
        used = next((each for each in spec.names if f"{example.removeprefix('/')} ".startswith(f"{each} ")), None)
        if used is None:
            raise PluginError(f"command {spec.name}: the example {example!r} does not begin with its name")
        start = len(used) + example.startswith("/")
        try:
            bound = bind_text(spec, example, start)
        except UsageError as error:
            raise PluginError(f"command {spec.name}: the example {example!r} is wrong: {error}") from error
        if not isinstance(bound, Call):
            raise PluginError(f"command {spec.name}: the example {example!r} is wrong: {bound.message}")
