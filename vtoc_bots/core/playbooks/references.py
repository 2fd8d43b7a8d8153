"""The expressions of one playbook while it is loaded: parsed, checked against what is known, and what they refer to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from vtoc_bots.core.documents import Document, Keys, Problem
from vtoc_bots.core.playbooks.expressions import (
    Expression,
    ExpressionError,
    Template,
    expressions_of,
    parse_expression,
    parse_template,
)
from vtoc_bots.core.playbooks.infer import Inferred, infer
from vtoc_bots.core.playbooks.shapes import ANY, Shape, shape_of_template

BROKEN: Final = parse_expression("`null`")
"""Stands for a value with problems, so that they don't cause others."""


class References:
    """Parses values into templates, adding to `problems` what is wrong with them."""

    def __init__(self, document: Document, problems: list[Problem], roots: Mapping[str, Shape]) -> None:
        self._document, self._problems, self._roots = document, problems, roots
        self._inferred: dict[str, Inferred] = {}

    def template(self, value: Any, keys: Keys) -> tuple[Template, set[str]]:
        """The value as a template (BROKEN where something is wrong), and the ids of the steps it refers to.

        `keys` say where it stands in the file.
        """
        found: set[str] = set()
        count = len(self._problems)
        for place, leaf in _leaves(value, keys):
            try:
                template = parse_template(leaf)
            except ExpressionError as error:
                self._add(place, str(error))
                continue
            for expression in expressions_of(template):
                inferred = self._infer(expression)
                found |= inferred.steps
                for problem in inferred.problems:
                    self._add(place, f"${{{{ {expression.text} }}}}: {problem}")
        return (parse_template(value) if len(self._problems) == count else BROKEN), found

    def shape_of(self, template: Template) -> Shape:
        """What is known of the template's value."""
        return shape_of_template(template, self.shape_of_expression)

    def shape_of_expression(self, expression: Expression) -> Shape:
        """What is known of an expression's value."""
        if expression is BROKEN:
            return ANY
        return self._infer(expression).shape

    def _infer(self, expression: Expression) -> Inferred:
        known = self._inferred.get(expression.text)
        if known is None:
            known = self._inferred[expression.text] = infer(expression, self._roots)
        return known

    def _add(self, keys: Keys, message: str) -> None:
        self._problems.append(Problem(self._document.where(*keys), message))


def _leaves(value: Any, keys: Keys) -> Iterator[tuple[Keys, Any]]:
    """Every value that is not a list or mapping, and every mapping's keys as an empty mapping of them."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*keys, key), {key: None}
            yield from _leaves(item, (*keys, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _leaves(item, (*keys, at))
    else:
        yield keys, value
