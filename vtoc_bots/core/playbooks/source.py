"""A playbook's text as plain values that know their lines, read by YAML 1.2's rules and nothing beyond them."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from vtoc_bots.core.documents import Document, Keys, Problem

MAX_CHARACTERS: Final = 256 * 1024
MAX_DEPTH: Final = 30
MAX_VALUES: Final = 20_000
LARGEST: Final = 2**63 - 1

_TAG = "tag:yaml.org,2002:"


_FORMS: Final = {
    "null": re.compile(r"null|Null|NULL|~|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
    "str": re.compile(r"[^\x00]*"),
}
"""How values of each tag look (YAML 1.2.2, 10.3.2, without .inf and .nan)."""
_NEVER: Final = re.compile(r"(?!)")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: ``yes``, ``no``, ``on`` are text, so are dates and ``1:30``, and 012 is twelve."""

    # In place of PyYAML's table, which follows YAML 1.1; None: for values that begin with any character.
    yaml_implicit_resolvers = {  # noqa: RUF012 — PyYAML reads the attribute of this name
        None: [(_TAG + tag, re.compile(rf"(?:{form.pattern})\Z")) for tag, form in _FORMS.items() if tag != "str"]
    }


def parse_yaml(text: str, name: str) -> tuple[Document, list[Problem]]:
    """The text's values and lines, and everything that YAML itself makes wrong with it; `name` stands in the problems.

    Aliases, tags and duplicate keys are problems: a playbook says everything where it is. What can't be read at all
    gives a document whose data is None.
    """
    if len(text) > MAX_CHARACTERS:
        return _unread(name, name, f"is longer than {MAX_CHARACTERS:,} characters; split it")
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.problem, error.context) if part)
        return _unread(name, name if mark is None else f"{name}:{mark.line + 1}", f"is not YAML: {words}")
    except RecursionError:
        return _unread(name, name, "is too deeply nested; split it")
    except yaml.YAMLError as error:
        return _unread(name, name, f"is not YAML: {str(error).splitlines()[0]}")
    if node is None:
        return _unread(name, name, "is empty; write a playbook")
    builder = _Builder(name)
    data = builder.value(node, (), node.start_mark.line + 1)
    return Document(name, data, builder.lines), builder.problems


def _unread(name: str, where: str, message: str) -> tuple[Document, list[Problem]]:
    return Document(name, None, {}), [Problem(where, message)]


class _Builder:
    """Walks nodes into plain values, noting lines and problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Keys, int] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, keys: Keys, line: int) -> Any:
        self.lines[keys] = line
        if id(node) in self._seen:
            self._problem(node, "an alias (*name) is not allowed here; write the value out")
            return None
        if len(keys) > MAX_DEPTH or len(self._seen) >= MAX_VALUES:
            self._problem(node, "too many or too deeply nested values; split the playbook")
            return None
        self._seen.add(id(node))
        if not isinstance(node, yaml.ScalarNode) and node.tag not in (_TAG + "map", _TAG + "seq"):
            self._problem(node, f"the tag {node.tag} is not allowed; write a plain value")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*keys, at), item.start_mark.line + 1) for at, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                self._problem(key, "a key must be plain text; write the keys out")
            elif key.value in values:
                self._problem(key, f"{key.value} is given twice; keep one")
            else:
                values[key.value] = self.value(item, (*keys, key.value), key.start_mark.line + 1)
        return values

    def _scalar(self, node: yaml.Node) -> Any:
        text, tag = str(node.value), node.tag.removeprefix(_TAG)
        if not _FORMS.get(tag, _NEVER).fullmatch(text):
            self._problem(node, f"{text[:40]!r} can't be read as !!{tag}; write a plain value, without a tag")
            return None
        match tag:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return self._number(node, int(text, 0) if text[:2] in ("0x", "0o") else int(text[:30]))
            case "float":
                return self._number(node, float(text[:400]))
            case _:
                return text

    def _number(self, node: yaml.Node, number: float) -> float | None:
        if -LARGEST <= number <= LARGEST:
            return number
        self._problem(node, "is too large a number; put it in quotes if it is text")
        return None

    def _problem(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(f"{self.name}:{node.start_mark.line + 1}", message))
