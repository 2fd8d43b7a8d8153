"""YAML documents that know the line of every value, so that an error can point at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from vtoc_bots.core.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Keys = tuple[str | int, ...]

MAX_CHARACTERS: Final = 1_000_000
MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 50


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: plain values (mapping keys are always text) and the line, from 1, of every value by its keys."""

    name: str
    data: Any
    lines: Mapping[Keys, int]

    def where(self, *keys: str | int) -> str:
        """``file:line`` of the value under these keys, or of the nearest one around it."""
        for end in range(len(keys), -1, -1):
            line = self.lines.get(keys[:end])
            if line is not None:
                return f"{self.name}:{line}"
        return self.name


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file or variable; `where` is ``file:line`` or the variable's name."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def read_document(path: Path) -> Document | None:
    """The document of a YAML file in UTF-8, None when there is no such file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text; save it as UTF-8", str(path)) from error
    except OSError as error:
        raise ConfigError(f"can't be read ({error.strerror}); check its permissions", str(path)) from error
    return parse_document(text, str(path))


def parse_document(text: str, name: str) -> Document:
    """The document of a YAML text; `name` stands in error texts. Raises ConfigError with the line.

    Aliases and merge keys work; duplicate keys, tags for Python objects and runaway nesting are errors.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"is longer than {MAX_CHARACTERS:,} characters; split it", name)
    builder = _Builder(name)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = None if node is None else builder.value(node, ())
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_sentence(error), _place(name, error.problem_mark or error.context_mark)) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"is not YAML: {error}", name) from error
    return Document(name, data, builder.lines)


def validate(model: type[M], document: Document, keys: Keys, value: Any) -> tuple[M | None, list[Problem]]:
    """The value under `keys` as a model, or None and everything that is wrong with it."""
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, [
            Problem(document.where(*keys, *part["loc"]), _explained(model, keys, part))
            for part in error.errors(include_url=False)
        ]


def nearest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean …?`` where a known word is close, else nothing."""
    found = get_close_matches(word, sorted(known), n=1)
    return f" Did you mean {found[0]}?" if found else ""


class _Builder:
    """Walks a node tree into plain values while noting lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Keys, int] = {}
        self.constructor = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, keys: Keys) -> Any:
        line = node.start_mark.line + 1
        if len(self.lines) >= MAX_VALUES or len(keys) > MAX_DEPTH:
            raise ConfigError("holds too many or too deeply nested values", f"{self.name}:{line}")
        self.lines.setdefault(keys, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*keys, index)) for index, item in enumerate(node.value)]
        try:
            return self.constructor.construct_object(node)
        except (ValueError, OverflowError) as error:  # e.g. the date 2026-13-40
            raise ConfigError(f"{node.value!r} can't be read; put it in quotes", f"{self.name}:{line}") from error

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            where = f"{self.name}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError("a key must be plain text", where)
            if key.value in seen:
                raise ConfigError(f"{key.value} is given twice; keep one", where)
            seen.add(key.value)
        self.constructor.flatten_mapping(node)
        values = {}
        for key, item in node.value:
            self.lines[(*keys, key.value)] = key.start_mark.line + 1
            values[key.value] = self.value(item, (*keys, key.value))
        return values


def _sentence(error: yaml.MarkedYAMLError) -> str:
    return "is not YAML: " + ", ".join(part for part in (error.problem, error.context) if part)


def _place(name: str, mark: yaml.Mark | None) -> str:
    return name if mark is None else f"{name}:{mark.line + 1}"


def _explained(model: type[BaseModel], keys: Keys, part: Mapping[str, Any]) -> str:
    """A pydantic error in words: the key's place in the file, what is wrong, and how to mend it."""
    loc, kind, given = part["loc"], part["type"], part.get("input")
    place = ".".join(str(key) for key in (*keys, *loc))
    if kind == "extra_forbidden":
        return f"{place} is not a known key.{nearest(str(loc[-1]), _names(model))}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f"{place} must be text, YAML reads this as {given!r}; put it in quotes"
    message = part["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(given, dict | list) else f" (it is {given!r})"
    return f"{place}: {message[:1].lower()}{message[1:]}{shown}"


def _names(model: type[BaseModel]) -> Iterable[str]:
    return (field.alias or name for name, field in model.model_fields.items())
