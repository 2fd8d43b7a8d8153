"""JMESPath evaluation with a bounded cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jmespath.visitor import TreeInterpreter

if TYPE_CHECKING:
    from jmespath.visitor import _TreeNode  # exists in the stubs only

Node: TypeAlias = "_TreeNode"
"""A node of jmespath's syntax tree: a mapping with ``type``, ``children`` and perhaps ``value``."""

BUDGET: Final = 200_000
"""Values that one expression may look at: some tenths of a second at most."""
CHARACTERS_PER_VALUE: Final = 64
"""So many characters of a string cost as much as one value."""
LARGEST: Final = 2**63 - 1


class OverBudget(Exception):
    """An expression looked at more values than it may."""


class Interpreter(TreeInterpreter):
    """JMESPath's own interpreter, counting what it looks at; made anew for each evaluation.

    A list that holds itself many times over (``[@,@] | [@,@] | …``) is small in memory and exponential to walk, so
    whatever walks values (functions, comparisons, flattening) pays for them before it begins.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        super().__init__()
        self._left = budget

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        """One node's value, paid for."""
        self._pay(1)
        return super().visit(node, *args, **kwargs)

    def visit_comparator(self, node: Node, value: Any) -> Any:
        """Compare two values; equality walks both."""
        return super().visit_comparator({**node, "children": self._arguments(node, value)}, value)

    def visit_function_expression(self, node: Node, value: Any) -> Any:
        """Call a function; most walk their arguments, and ``join`` multiplies them."""
        arguments = self._arguments(node, value)
        if node["value"] == "join" and len(arguments) == 2:
            separator, parts = (argument.get("value") for argument in arguments)
            if isinstance(separator, str) and isinstance(parts, list):
                self._pay(len(separator) * len(parts) // CHARACTERS_PER_VALUE)
        return super().visit_function_expression({**node, "children": arguments}, value)

    def visit_flatten(self, node: Node, value: Any) -> Any:
        """Merge lists of lists, unless the merged list would be too long."""
        base = self.visit(node["children"][0], value)
        if isinstance(base, list):
            for element in base:
                self._pay(len(element) if isinstance(element, list) else 1)
        return super().visit_flatten({**node, "children": [_literal(base)]}, value)

    def charge(self, value: Any) -> Any:
        """Pay for a value that is going to be walked, and return it. Raises ValueError on numbers JSON can't keep."""
        pending = [value]
        while pending:
            item = pending.pop()
            if isinstance(item, str):
                self._pay(1 + len(item) // CHARACTERS_PER_VALUE)
            elif isinstance(item, list):
                self._pay(1 + len(item))
                pending.extend(item)
            elif isinstance(item, Mapping):
                self._pay(1 + len(item))
                pending.extend(item.values())
            elif isinstance(item, int | float) and not -LARGEST <= item <= LARGEST:
                raise ValueError("a number is too large, or none")
        return value

    def _arguments(self, node: Node, value: Any) -> list[Node]:
        """The children as literals, so that each is evaluated once; ``&expressions`` stay as they are."""
        return [
            child if child["type"] == "expref" else _literal(self.charge(self.visit(child, value)))
            for child in node["children"]
        ]

    def _pay(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise OverBudget


def _literal(value: Any) -> Node:
    return {"type": "literal", "value": value, "children": []}
