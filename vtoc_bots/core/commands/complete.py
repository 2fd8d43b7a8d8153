"""Completion: what may come next in a text, and the choices of one parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from vtoc_bots.core.commands.registry import Commands, Found, May, everyone
from vtoc_bots.core.commands.spec import CommandSpec, Param
from vtoc_bots.core.commands.words import Word, quote, words
from vtoc_bots.core.errors import UsageError

LIMIT: Final = 25
"""Discord's limit of choices."""


class ChoiceSource(Protocol):
    """Lists names that only the running system knows, for one station."""

    async def choices(self, kind: str, prefix: str, limit: int) -> Sequence[tuple[str, str]]:
        """(value, label) of things of a `kind` (a ValueType's `offers`: track, playbook, run, area …)."""
        ...


class Completion(NamedTuple):
    """A text that may stand from character `start` to the end, and what it means."""

    text: str
    start: int
    label: str


async def choices(
    spec: CommandSpec, name: str, prefix: str, source: ChoiceSource | None = None, limit: int = LIMIT
) -> tuple[tuple[str, str], ...]:
    """(value, label) of a parameter's values that fit what is typed so far: those that begin so before the others.

    Empty for free text and for a parameter that doesn't exist.
    """
    param = next((each for each in spec.params if each.name == name.replace("-", "_")), None)
    if param is None:
        return ()
    if param.type.choices:
        return _fitting(param.type.choices, prefix)[:limit]
    if param.type.offers is None or source is None:
        return ()
    return _fitting(await source.choices(param.type.offers, prefix, limit), prefix)[:limit]


async def complete(
    commands: Commands, text: str, may: May = everyone, source: ChoiceSource | None = None, limit: int = LIMIT
) -> tuple[Completion, ...]:
    """What may be typed at the end of `text`: command names, then options and values."""
    found = commands.find(text)
    if found is None or found.start == len(text):
        return _names(commands, text, may)[:limit]
    if not may(found.spec):
        return ()
    return (await _arguments(found, text, source, limit))[:limit]


def _names(commands: Commands, text: str, may: May) -> tuple[Completion, ...]:
    typed = text.lstrip()
    start = len(text) - len(typed)
    slash = "/" if typed.startswith("/") else ""
    wanted = " ".join(typed.removeprefix("/").casefold().split()) + (" " if typed[-1:].isspace() else "")
    fitting = (spec for spec in commands if spec.name.startswith(wanted) and may(spec))
    return tuple(Completion(f"{slash}{spec.name}", start, spec.summary) for spec in fitting)


async def _arguments(found: Found, text: str, source: ChoiceSource | None, limit: int) -> tuple[Completion, ...]:
    try:
        typed = list(words(text, found.start))
    except UsageError:  # a quote is still open
        return ()
    at_end = not typed or text[-1].isspace()
    last = Word("", len(text), len(text)) if at_end else typed.pop()
    spec = found.spec
    option = _open_option(spec, typed)
    if option is not None:
        return await _values(spec, option, last.text, last.start, source, limit)
    key, equals, value = last.text.partition("=")
    named = spec.by_name.get(key.removeprefix("--"))
    if equals and named is not None:
        start = last.start + len(key) + 1
        return await _values(spec, named, value, start, source, limit)
    used = {param.name for param in _given(spec, typed)}
    if last.text.startswith("--"):
        return tuple(_options(spec, last, used))
    place = next((param for param in spec.positional if param.name not in used), None)
    offered = () if place is None else await _values(spec, place, last.text, last.start, source, limit)
    return (*offered, *(_options(spec, last, used) if not last.text else ()))


async def _values(
    spec: CommandSpec, param: Param, prefix: str, start: int, source: ChoiceSource | None, limit: int
) -> tuple[Completion, ...]:
    offered = await choices(spec, param.name, prefix, source, limit)
    return tuple(Completion(quote(value), start, label) for value, label in offered)


def _open_option(spec: CommandSpec, typed: Sequence[Word]) -> Param | None:
    """The option whose value comes next."""
    if not typed or typed[-1].quoted or not typed[-1].text.startswith("--"):
        return None
    param = spec.by_name.get(typed[-1].text[2:])
    return None if param is None or param.is_switch else param


def _given(spec: CommandSpec, typed: Sequence[Word]) -> Iterable[Param]:
    """The parameters that the words before give, as far as can be told while the text is unfinished."""
    places = iter(spec.positional)
    takes_value = False
    for word in typed:
        key, equals, _ = word.text.partition("=")
        named = None if word.quoted else spec.by_name.get(key.removeprefix("--").removeprefix("no-"))
        if takes_value:
            takes_value = False
        elif named is not None and (equals or word.text.startswith("--")):
            takes_value = not equals and not named.is_switch
            yield named
        elif not equals:
            yield from (place for place in (next(places, None),) if place is not None)


def _options(spec: CommandSpec, last: Word, used: set[str]) -> Iterable[Completion]:
    for param in spec.params:
        label = f"--{param.label}"
        if not param.is_positional and param.name not in used and label.startswith(last.text):
            yield Completion(label, last.start, param.help or param.type.accepts)


def _fitting(offered: Sequence[tuple[str, str]], prefix: str) -> tuple[tuple[str, str], ...]:
    """Those that hold the prefix in value or label, those that begin with it first."""
    wanted = prefix.casefold()
    holding = [each for each in offered if wanted in each[0].casefold() or wanted in each[1].casefold()]
    return tuple(sorted(holding, key=lambda each: not each[0].casefold().startswith(wanted)))
