"""Shapes: what is told of a value before a run is true of it in the run."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from vtoc_bots.core.playbooks.expressions import Expression, ExpressionError, evaluate, parse_expression
from vtoc_bots.core.playbooks.infer import infer
from vtoc_bots.core.playbooks.shapes import (
    ANY,
    NULL,
    NUMBER,
    TEXT,
    Shape,
    list_of,
    misfit,
    nullable,
    record,
    shape_of_schema,
    shape_of_value,
    union,
)

SCOPE: dict[str, Any] = {
    "inputs": {"n": 3, "t": "x", "l": [1, 2], "b": True},
    "steps": {"a": {"rows": [{"k": "v", "n": 1}, {"k": "w", "n": 2}], "sub": {"t": "y"}}, "b": "text"},
    "station": {"slug": "s"},
    "run": {"id": "1"},
}
ROOTS = {name: shape_of_value(value) for name, value in SCOPE.items()}


def kind_of(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def holds(value: Any, shape: Shape) -> bool:
    """Whether a value is as its shape says; null may always stand for what is absent."""
    if value is None:
        return True
    if kind_of(value) not in shape.kinds:
        return False
    if isinstance(value, list) and shape.items is not None:
        return all(holds(item, shape.items) for item in value)
    if isinstance(value, dict) and shape.fields is not None:
        fields = shape.fields
        return all(holds(item, fields[key]) if key in fields else not shape.closed for key, item in value.items())
    return True


PATHS = st.sampled_from(
    [
        "inputs.n",
        "inputs.t",
        "inputs.l",
        "inputs.b",
        "steps.a",
        "steps.a.rows",
        "steps.a.sub",
        "steps.b",
        "station",
        "run",
    ]
)
EXPRESSIONS = st.recursive(
    PATHS,
    lambda inner: st.one_of(
        st.builds("{}[0]".format, inner),
        st.builds("{}[*].k".format, inner),
        st.builds("{}[?n].n".format, inner),
        st.builds("{}[]".format, inner),
        st.builds("{}.*".format, inner),
        st.builds("{}.sub".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{p: {}, q: {}}}".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} == {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({} | @)".format, inner),
        st.builds("{}({})".format, st.sampled_from(["length", "keys", "to_string", "to_array", "type", "sort"]), inner),
        st.builds("sort_by({}, &n)".format, inner),
        st.builds("max_by({}, &n)".format, inner),
        st.builds("map(&k, {})".format, inner),
    ),
    max_leaves=5,
)


def parsed(text: str) -> Expression:
    try:
        return parse_expression(text)
    except ExpressionError:
        assume(False)
        raise


@settings(max_examples=400)
@given(EXPRESSIONS)
def test_what_is_inferred_holds_for_what_is_evaluated(text: str) -> None:
    expression = parsed(text)
    inferred = infer(expression, ROOTS)
    try:
        value = evaluate(expression, SCOPE)
    except ExpressionError:
        return
    if not inferred.problems:
        assert holds(value, inferred.shape), (text, value, inferred.shape)


@settings(max_examples=200)
@given(EXPRESSIONS)
def test_every_step_that_an_expression_takes_something_from_is_found(text: str) -> None:
    expression = parsed(text)
    found = infer(expression, ROOTS).steps
    assert found == {name for name in ("a", "b") if f"steps.{name}" in text}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_a_value_holds_to_its_own_shape(value: Any) -> None:
    assert holds(value, shape_of_value(value))
    assert misfit(shape_of_value(value), shape_of_value(value)) is None
    assert misfit(shape_of_value(value), ANY) is None


class Inner(BaseModel):
    """A model for the tests."""

    t: str


class Model(BaseModel):
    """A model for the tests."""

    n: int
    maybe: float | None = None
    inner: Inner | None = None
    kind: Literal["a", "b"] = "a"
    many: list[Inner] = []
    either: int | str = 0


def test_the_shape_of_a_model_is_that_of_its_fields() -> None:
    shape = shape_of_schema(Model.model_json_schema())
    assert shape.name == "Model"
    assert shape.required == {"n"}
    fields = shape.fields or {}
    assert fields["n"].kinds == {"number"}
    assert fields["maybe"].kinds == {"number", "null"}
    assert fields["inner"].name == "Inner"
    assert fields["kind"].kinds == {"string"}
    assert fields["many"].items is not None
    assert fields["many"].items.name == "Inner"
    assert fields["either"].kinds == {"number", "string"}


def test_a_model_that_holds_itself_ends_somewhere() -> None:
    class Tree(BaseModel):
        left: Tree | None = None
        right: Tree | None = None

    Tree.model_rebuild(_types_namespace={"Tree": Tree})
    shape = shape_of_schema(Tree.model_json_schema())
    assert misfit(shape, shape) is None


@given(
    st.builds(Model, n=st.integers(), maybe=st.none() | st.floats(allow_nan=False), either=st.integers() | st.text())
)
def test_what_a_model_writes_holds_to_its_shape(model: Model) -> None:
    shape = shape_of_schema(TypeAdapter(Model).json_schema(mode="serialization"))
    assert holds(json.loads(model.model_dump_json()), shape)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        (TEXT, NUMBER, "is text, not a number"),
        (nullable(TEXT), TEXT, None),
        (NULL, TEXT, "is nothing, not text"),
        (NULL, nullable(TEXT), None),
        (ANY, NUMBER, None),
        (list_of(TEXT), list_of(NUMBER), "holds something that is text, not a number"),
        (list_of(ANY), list_of(NUMBER), None),
        (union([TEXT, NUMBER]), NUMBER, None),
        (record({"a": TEXT}), record({"a": TEXT, "b": TEXT}), "lacks b"),
        (record({"a": TEXT}), record({"a": NUMBER}), "has a a that is text, not a number"),
        (record({"a": TEXT, "c": TEXT}), record({"a": TEXT}), "has c, which a mapping has not"),
    ],
)
def test_a_misfit_says_why(source: Shape, target: Shape, why: str | None) -> None:
    assert misfit(source, target) == why
