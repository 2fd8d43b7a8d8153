"""Expressions: what they are in a text, what they give, and that none of them can cost much."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtoc_bots.core.playbooks.expressions import (
    Expression,
    ExpressionError,
    Joined,
    Literal,
    as_text,
    evaluate,
    expressions_of,
    is_true,
    parse_template,
)

SCOPE: dict[str, Any] = {
    "inputs": {"area": "40nm", "count": 3, "zero": 0, "flag": False, "none": None, "list": [1, 2, 3], "text": ""},
    "steps": {"reports": {"count": 64, "sources": ["a", "b"]}},
    "station": {"callsign": "TOC-S1"},
    "run": {"id": "1"},
}
# What JMESPath itself can hold.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(-1e9, 1e9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


# Of words, since plain characters seldom make an expression that parses.
WORDS = st.sampled_from(
    [
        "inputs", "steps", ".", "count", "list", "reports", "[0]", "[]", "[*]", "[?", "]", "[", "{a:", "}", "(", ")",
        "|", "||", "&&", "&", "@", "*", "`1`", "'x'", "!", "==", "<", ",", "sort_by", "to_array", "to_string", "map",
        "not_null", "length", "merge", "max_by", "-1", "to_number", "keys", "values", "type",
    ]
)  # fmt: skip


def value_of(text: Any, scope: dict[str, Any] = SCOPE) -> Any:
    return evaluate(parse_template(text), scope)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${{ inputs.count }}", 3),
        ("${{inputs.flag}}", False),
        ("  ${{ inputs.list }}\n", [1, 2, 3]),
        ("${{ steps.reports.sources[0] }}", "a"),
        ("${{ inputs.missing.deeper }}", None),
        ("${{ length(inputs.list) > `2` && inputs.area }}", "40nm"),
        ("${{ {a: {b: inputs.count}} }}", {"a": {"b": 3}}),
        ("${{ '}}' }}", "}}"),
        ('${{ "inputs".area }}', "40nm"),
        ("${{ sort_by(inputs.list, &abs(@))[-1] }}", 3),
        ("${{ map(&to_string(@), inputs.list) }}", ["1", "2", "3"]),
    ],
)
def test_a_text_that_is_one_expression_keeps_its_type(text: str, value: Any) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("within ${{ inputs.area }}", "within 40nm"),
        ("${{ inputs.count }}${{ inputs.count }}", "33"),
        ("${{ inputs.flag }}!", "false!"),
        ("a${{ inputs.none }}b", "ab"),
        ("${{ inputs.list }} of them", "[1,2,3] of them"),
        ("plain", "plain"),
        ("$${{ inputs.area }}", "${{ inputs.area }}"),
        ("$${{ x }} ${{ inputs.area }}", "${{ x }} 40nm"),
        ("${ {{ }} $", "${ {{ }} $"),
    ],
)
def test_an_expression_inside_a_text_gives_text(text: str, value: str) -> None:
    assert value_of(text) == value


def test_lists_and_mappings_are_filled_at_any_depth() -> None:
    given = {"a": ["${{ inputs.count }}", {"b": "x ${{ inputs.count }}", "c": 1}], "d": None}
    assert value_of(given) == {"a": [3, {"b": "x 3", "c": 1}], "d": None}
    assert sorted(e.text for e in expressions_of(parse_template(given))) == ["inputs.count", "inputs.count"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${{ inputs.x", "no closing"),
        ("${{ 'abc }}", "no closing"),
        ("${{ }}", "empty"),
        ("${{ inputs..x }}", "can't read '.' at column 8"),
        ("${{ inputs.x[ }}", "ends too early"),
        ("${{ inputs.# }}", "column 8"),
        ("${{ " + "[" * 70 + " }}", "brackets"),
        ("${{ " + "a|" * 500 + "b }}", "parts"),
        ("${{ &inputs.area }}", "stands only where a function takes one"),
        ("${{ to_string(&inputs.area) }}", "stands only where a function takes one"),
        ("${{ {a: [&inputs.area]} }}", "stands only where a function takes one"),
        ("${{ inputs.area == `40nm` }}", "is not JSON; write text as 'text'"),
        ("${{ " + "a." * 3000 + "b }}", "characters"),
    ],
)
def test_what_can_not_be_read_says_where(text: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=says.replace("(", r"\(")):
        parse_template(text)


def test_a_key_may_not_hold_an_expression() -> None:
    with pytest.raises(ExpressionError, match="only values may"):
        parse_template({"${{ inputs.area }}": 1})


@pytest.mark.parametrize(
    "text",
    ["abs(inputs.area)", "nope(inputs.area)", "inputs.area < inputs.count", "length(`1`)", "to_number('1e999')"],
)
def test_what_fails_when_evaluated_names_the_expression(text: str) -> None:
    with pytest.raises(ExpressionError, match="failed"):
        value_of("${{ " + text + " }}")


@pytest.mark.parametrize(
    "text",
    [
        "[@,@]" + "|[@,@]" * 25,
        "[@,@]" + "|[@,@]" * 25 + "|to_string(@)",
        "{a: [@,@]" + "|[@,@]" * 19 + "}|(a==a)",
        "join(inputs.long, inputs.wide)",
        "inputs.wide" + "|[@,@][]" * 15,
    ],
)
def test_an_expression_that_would_grow_without_end_is_stopped_early(text: str) -> None:
    scope = {"inputs": {"long": "x" * 100_000, "wide": ["y"] * 20_000}}
    began = time.process_time()
    with pytest.raises(ExpressionError, match="too many values"):
        value_of("${{ " + text + " }}", scope)
    # Generous: without the limit it takes years, or all memory.
    assert time.process_time() - began < 20


def test_nested_calls_are_evaluated_once_each() -> None:
    text = "inputs.count"
    for _ in range(50):
        text = f"abs({text})"
    assert value_of("${{ " + text + " }}") == 3


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_false_is_what_jmespath_calls_false(value: Any) -> None:
    assert not is_true(value)


@pytest.mark.parametrize("value", [0, 0.0, True, "no", [None], {"a": None}])
def test_everything_else_is_true(value: Any) -> None:
    assert is_true(value)


@given(JSON)
def test_an_input_comes_back_as_it_went_in(value: Any) -> None:
    assert value_of("${{ inputs.value }}", {"inputs": {"value": value}}) == value


@given(JSON)
def test_a_value_inside_a_text_is_its_json(value: Any) -> None:
    text = value_of("<${{ inputs.value }}>", {"inputs": {"value": value}})[1:-1]
    if value is None or isinstance(value, str):
        assert text == (value or "")
    else:
        assert json.loads(text) == value
    assert as_text(value) == text


@given(st.text(max_size=60))
def test_any_text_is_a_template_or_a_told_error(text: str) -> None:
    try:
        template = parse_template(text)
    except ExpressionError:
        assert "${{" in text
        return
    assert isinstance(template, Literal | Expression | Joined)
    if "${{" not in text:
        assert template == Literal(text)


@settings(max_examples=400)
@given(
    st.lists(WORDS, max_size=14).map("".join) | st.text(alphabet="inputs.count[]{}()|&@*`'\"!=<>, 12a-", max_size=40)
)
def test_evaluating_anything_that_parses_gives_a_value_or_a_told_error(text: str) -> None:
    try:
        value = value_of("${{ " + text + " }}")
    except ExpressionError:
        return
    json.dumps(value, allow_nan=False)


@given(st.text(max_size=40))
def test_an_escaped_text_stands_for_itself(text: str) -> None:
    if text.endswith("$"):
        text += "x"  # a dollar before an escape would belong to it
    assert value_of(text.replace("${{", "$${{") + "$${{ x }}") == text + "${{ x }}"
