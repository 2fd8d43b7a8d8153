"""The slash commands that Discord shows, made from the commands' specs within its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from vtoc_bots import CommandSpec
from vtoc_bots.plugins.discord.answers import CHOICE_CHARACTERS, MOST_CHOICES, cut
from vtoc_bots.plugins.discord.wire import FREE_OPTION, OptionType

NAME_CHARACTERS: Final = 32
DESCRIPTION_CHARACTERS: Final = 100
MOST_COMMANDS: Final = 100
MOST_OPTIONS: Final = 25
MANAGE_SERVER: Final = 1 << 5
_LARGEST: Final = 2**53
_TYPES: Final[Mapping[str, OptionType]] = {
    "int": OptionType.INTEGER,
    "number": OptionType.NUMBER,
    "bool": OptionType.BOOLEAN,
}


class Menu(NamedTuple):
    """What is published, and the names that found no room (they can still be typed to the bot)."""

    commands: tuple[dict[str, Any], ...]
    left_out: tuple[str, ...]


class _Entry(NamedTuple):
    words: tuple[str, ...]
    spec: CommandSpec
    summary: str

    @property
    def name(self) -> str:
        """As people type it."""
        return " ".join(self.words)


class _Branch(NamedTuple):
    path: tuple[str, ...]
    entry: _Entry


def menu_of_commands(specs: Sequence[CommandSpec], *, guild: bool) -> Menu:
    """The commands and, as far as there is room, their aliases.

    A name of several words becomes a command with subcommands, of three a group. Discord lets nobody call a command
    that has subcommands; where one of our names begins another, the longer one is published in one word with ``_``.
    Spaces are ``_`` wherever words are joined: our names have none, so the way back needs no table.
    """
    shown = [spec for spec in specs if not getattr(spec, "event", False)]
    entries = [_Entry(tuple(spec.name.split()), spec, spec.summary) for spec in shown]
    entries += [
        _Entry(tuple(alias.split()), spec, f"Same as /{spec.name}. {spec.summary}")
        for spec in shown
        for alias in spec.aliases
    ]
    placed, lost = _placed(entries)
    made = [_top(name, inner, guild) for name, inner in placed.items()]
    beyond = [each.name for inner in list(placed.values())[MOST_COMMANDS:] for _, each in inner]
    return Menu(tuple(made[:MOST_COMMANDS]), (*lost, *beyond))


def _placed(entries: Sequence[_Entry]) -> tuple[dict[str, list[_Branch]], list[str]]:
    """Entries by the name of the top command, each with the path by which Discord gets it; and what has no room."""
    names = {each.words for each in entries}
    placed: dict[str, list[_Branch]] = {}
    lost: list[str] = []
    for each in entries:
        path = _path(each.words, names)
        inner = placed.get(path[0], [])
        if all(len(name) <= NAME_CHARACTERS for name in path) and _has_room(path, inner):
            placed.setdefault(path[0], inner).append(_Branch(path, each))
        else:
            lost.append(each.name)
    return placed, lost


def _path(words: tuple[str, ...], names: set[tuple[str, ...]]) -> tuple[str, ...]:
    """At most three names; joined where a shorter command stands in the way."""
    if words[:1] in names and len(words) > 1:
        return ("_".join(words),)
    if len(words) <= 2:
        return words
    if words[:2] in names:
        return words[0], "_".join(words[1:])
    return words[0], words[1], "_".join(words[2:])


def _has_room(path: tuple[str, ...], inner: Sequence[_Branch]) -> bool:
    """A command or group holds 25."""
    if len(path) == 1:
        return not inner
    beside = {each[:2] for each, _ in inner} | {path[:2]}
    within = [each for each, _ in inner if len(each) == 3 and each[:2] == path[:2]]
    return len(beside) <= MOST_OPTIONS and (len(path) == 2 or len(within) < MOST_OPTIONS)


def _top(name: str, inner: Sequence[_Branch], guild: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "type": 1}
    if len(inner) == 1 and len(inner[0][0]) == 1:
        entry = inner[0][1]
        made |= {"description": _described(entry.summary, name), "options": options_of_command(entry.spec)}
    else:
        made |= {"description": _described("", name), "options": _branches(inner)}
    everyone = any(str(entry.spec.level) != "admin" for _, entry in inner)
    # A hint: Discord hides the command from others, and whoever runs the server may change that. Core decides.
    made["default_member_permissions"] = None if everyone else MANAGE_SERVER
    if not guild:
        made |= {"contexts": [0, 1], "integration_types": [0]}
    return made


def _branches(inner: Sequence[_Branch]) -> list[dict[str, Any]]:
    branches: dict[str, dict[str, Any]] = {}
    for path, entry in inner:
        if len(path) == 2:
            branches[path[1]] = _subcommand(path[1], entry)
        else:
            group = {"type": int(OptionType.GROUP), "name": path[1], "description": _described("", path[1])}
            branches.setdefault(path[1], {**group, "options": []})["options"].append(_subcommand(path[2], entry))
    return list(branches.values())


def _subcommand(name: str, entry: _Entry) -> dict[str, Any]:
    return {
        "type": int(OptionType.SUBCOMMAND),
        "name": name,
        "description": _described(entry.summary, name),
        "options": options_of_command(entry.spec),
    }


def options_of_command(spec: CommandSpec) -> list[dict[str, Any]]:
    """The typed options of a command, what it needs first.

    None is marked as required: Discord would not let the person send the command, and what is missing is asked for by
    a form instead.
    """
    ordered = sorted(spec.params, key=lambda param: not param.required)
    made = [_option(param) for param in ordered if _is_name(param.label)]
    if spec.inputs:
        free = {"type": int(OptionType.STRING), "name": FREE_OPTION, "description": "More values: key=value key=value"}
        made = [*made[: MOST_OPTIONS - 1], free]
    return made[:MOST_OPTIONS]


def _is_name(label: str) -> bool:
    return 0 < len(label) <= NAME_CHARACTERS and label == label.lower() and label != FREE_OPTION


def _option(param: Any) -> dict[str, Any]:
    kind = _TYPES.get(param.type.name, OptionType.STRING)
    about = param.help or param.type.accepts
    made: dict[str, Any] = {
        "type": int(kind),
        "name": param.label,
        "description": _described(f"{about} (needed)" if param.required else about, param.label),
    }
    if kind is OptionType.BOOLEAN:
        return made
    if kind is not OptionType.STRING:
        return made | _range(param.type.schema, kind)
    choices = param.type.choices
    if 0 < len(choices) <= MOST_CHOICES and all(0 < len(value) <= CHOICE_CHARACTERS for value, _ in choices):
        made["choices"] = [{"name": cut(label, CHOICE_CHARACTERS), "value": value} for value, label in choices]
    elif choices or param.type.offers:
        made["autocomplete"] = True
    return made


def _range(schema: Mapping[str, Any], kind: OptionType) -> dict[str, Any]:
    """The limits of a number as far as Discord can hold to them; core checks them all."""
    made: dict[str, Any] = {}
    for ours, theirs in (("minimum", "min_value"), ("maximum", "max_value")):
        edge = schema.get(ours)
        if isinstance(edge, int | float) and abs(edge) <= _LARGEST and (kind is OptionType.NUMBER or edge == int(edge)):
            made[theirs] = edge
    return made


def _described(text: str, name: str) -> str:
    return cut(text or f"{name.replace('_', ' ').capitalize()} …", DESCRIPTION_CHARACTERS)


# What is published already


def is_published(menu: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> bool:
    """Whether what Discord has is what we would publish; what it adds by itself doesn't count."""
    return _by_name(menu) == _by_name(found)


def _by_name(commands: Sequence[Mapping[str, Any]]) -> dict[Any, Any]:
    return {each.get("name"): _essence(each) for each in commands}


_DEFAULTS: Final[Mapping[str, Any]] = {
    "type": 1,
    "required": False,
    "autocomplete": False,
    "options": [],
    "choices": [],
}
_ESSENTIAL: Final = (
    *("name", "description", "type", "options", "choices", "value", "required", "autocomplete"),
    *("min_value", "max_value", "default_member_permissions", "contexts", "integration_types"),
)


def _essence(part: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key in _ESSENTIAL:
        value = part.get(key)
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            value = [_essence(each) for each in value]
        if key == "default_member_permissions" and value is not None:
            value = str(value)  # Discord takes a number and gives a text
        if isinstance(value, list) and value and isinstance(value[0], int):
            value = sorted(value)
        if value is not None and value != _DEFAULTS.get(key):
            made[key] = value
    return made
