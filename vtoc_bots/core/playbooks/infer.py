"""What an expression gives and which steps it refers to, found from its syntax tree before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jmespath.functions import Functions

from vtoc_bots.core.documents import nearest
from vtoc_bots.core.playbooks.expressions import ROOTS, Expression
from vtoc_bots.core.playbooks.interpreter import Node
from vtoc_bots.core.playbooks.shapes import (
    ANY,
    BOOLEAN,
    NUMBER,
    TEXT,
    Shape,
    list_of,
    nullable,
    record,
    shape_of_value,
    union,
)

_FUNCTIONS: Final[Mapping[str, Any]] = Functions.FUNCTION_TABLE
_RESULTS: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(("abs", "ceil", "floor", "length", "sum"), NUMBER),
    **dict.fromkeys(("avg", "to_number"), nullable(NUMBER)),
    **dict.fromkeys(("contains", "starts_with", "ends_with"), BOOLEAN),
    **dict.fromkeys(("join", "to_string", "type"), TEXT),
    "keys": list_of(TEXT),
    **dict.fromkeys(("map", "values", "to_array"), list_of(ANY)),
}


@dataclass(slots=True)
class Inferred:
    """An expression's shape, the ids of the steps it refers to, and what is wrong with it."""

    shape: Shape
    steps: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def infer(expression: Expression, roots: Mapping[str, Shape]) -> Inferred:
    """Look through an expression; `roots` has the shapes of inputs, steps, station and run.

    ``steps`` must be closed and have every step of the playbook, whatever its place.
    """
    walker = _Walker(record(roots), roots["steps"])
    shape = walker.value(expression.tree, walker.root)
    return Inferred(shape, walker.found, walker.problems)


class _Walker:
    """One walk over a syntax tree, carrying the shape of the value that each node looks at."""

    def __init__(self, root: Shape, steps: Shape) -> None:
        self.root, self.steps = root, steps
        self.found: set[str] = set()
        self.problems: list[str] = []

    def value(self, node: Node, here: Shape) -> Shape:
        """The shape of a node that stands for a value of its own, which `steps` and everything at once may not."""
        shape = self.visit(node, here)
        if shape is self.steps:
            self.problems.append("steps can't be taken as a whole; name one, e.g. steps.<id>")
        elif shape is self.root:
            self.problems.append(f"@ can't stand alone here; name a value under {', '.join(ROOTS)}")
        else:
            return shape
        return ANY

    def visit(self, node: Node, here: Shape) -> Shape:
        """The shape of any node; JMESPath's names for them."""
        children = node["children"]
        match node["type"]:
            case "field":
                return self._field(node["value"], here)
            case "subexpression" | "index_expression" if children[0]["type"] == "not_expression":
                # JMESPath's own precedence, which nobody expects: !a.b is (!a).b.
                self.problems.append("! holds for the first name only; put what it is for in brackets: !(a.b)")
                self.visit(children[0], here)
                return ANY
            case "subexpression" | "index_expression" | "pipe":
                for child in children:
                    here = self.visit(child, here)
                return here
            case "current" | "identity":
                return here
            case "literal":
                return shape_of_value(node["value"])
            case "comparator" | "not_expression":
                self._values(children, here)
                return nullable(BOOLEAN)
            case "or_expression" | "and_expression":
                return union(self._values(children, here))
            case "multi_select_list":
                return list_of(union(self._values(children, here)))
            case "multi_select_dict":
                return record({child["value"]: self.value(child["children"][0], here) for child in children})
            case "function_expression":
                return self._call(node["value"], children, here)
            case "expref":
                return ANY
            case _:
                return self._list(node, here)

    def _values(self, nodes: Sequence[Node], here: Shape) -> list[Shape]:
        return [self.value(node, here) for node in nodes]

    def _list(self, node: Node, here: Shape) -> Shape:
        """Nodes about lists: index, slice, projections, filter, flatten."""
        children = node["children"]
        match node["type"]:
            case "index":
                return nullable(self._items(here))
            case "slice":
                return list_of(self._items(here))
            case "projection":
                return list_of(self.value(children[1], self._items(self.value(children[0], here))))
            case "filter_projection":
                items = self._items(self.value(children[0], here))
                self.value(children[2], items)
                return list_of(self.value(children[1], items))
            case "value_projection":
                self.value(children[0], here)
                return list_of(self.value(children[1], ANY))
            case "flatten":
                items = self._items(self.value(children[0], here))
                return list_of(items.items or ANY if items.kinds == {"array"} else ANY)
            case _:
                return ANY

    def _items(self, shape: Shape) -> Shape:
        if "array" not in shape.kinds:
            self.problems.append(f"{_what(shape)} is no list")
        return shape.items or ANY

    def _field(self, name: str, here: Shape) -> Shape:
        if "object" not in here.kinds:
            self.problems.append(f"{_what(here)} has no {name}")
            return ANY
        if here is self.steps:
            self.found.add(name)
        if here.fields is None:
            return ANY
        found = here.fields.get(name)
        if found is not None:
            return found if "null" not in here.kinds else nullable(found)
        if here.closed:
            self.problems.append(self._unknown(name, here, here.fields))
        return ANY

    def _unknown(self, name: str, here: Shape, fields: Mapping[str, Shape]) -> str:
        hint = nearest(name, fields)
        if here is self.root and name in ("null", "true", "false"):
            return f"write `{name}`, in backquotes"
        if here is self.root:
            return f"{name} is not known; expressions see {', '.join(ROOTS)}.{hint}"
        if here is self.steps:
            return f"there is no step {name}.{hint}"
        return f"{_what(here)} has no {name}; it has {', '.join(fields) or 'nothing'}.{hint}"

    def _call(self, name: str, children: Sequence[Node], here: Shape) -> Shape:
        known = _FUNCTIONS.get(name)
        if known is None:
            self.problems.append(f"there is no function {name}().{nearest(name, _FUNCTIONS)}")
            return ANY
        signature = known["signature"]
        variadic = bool(signature) and bool(signature[-1].get("variadic"))
        if len(children) < len(signature) or (len(children) > len(signature) and not variadic):
            self.problems.append(f"{name}() takes {len(signature)} arguments, not {len(children)}")
            return ANY
        given = [child if child["type"] == "expref" else self.value(child, here) for child in children]
        lists = [shape for shape in given if isinstance(shape, Shape) and "array" in shape.kinds]
        for child in children:
            if child["type"] == "expref":
                self.value(child["children"][0], lists[0].items or ANY if lists else ANY)
        return _result(name, lists)


def _result(name: str, lists: Sequence[Shape]) -> Shape:
    if lists and name in ("sort", "sort_by", "reverse"):
        return lists[0]
    if lists and name in ("max_by", "min_by"):
        return nullable(lists[0].items or ANY)
    return _RESULTS.get(name, ANY)


def _what(shape: Shape) -> str:
    text = str(shape)
    return text[:1].upper() + text[1:] if shape.name else text
