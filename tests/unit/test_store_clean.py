"""Text and JSON for Postgres."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.store.clean import clean_text, dumps_clean, loads

anything_in_text = st.text(st.characters(codec=None, exclude_categories=[]), max_size=20)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | anything_in_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything_in_text, inner, max_size=4),
    max_leaves=12,
)


@given(anything_in_text)
def test_a_clean_text_can_be_stored_and_keeps_everything_else(text: str) -> None:
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    cleaned.encode()
    assert clean_text(cleaned) == cleaned
    if "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert cleaned == text


@given(any_json)
def test_any_value_becomes_json_without_what_postgres_refuses(value: Any) -> None:
    data = dumps_clean(value)
    text = data.decode()
    assert not _has_nul(json.loads(text))
    assert loads(data) == json.loads(text) or _holds_big_numbers(value)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5),
        st.integers(-(2**53), 2**53),
    )
)
def test_what_is_clean_comes_back_the_same(value: dict[str, int]) -> None:
    assert loads(dumps_clean(value)) == value


def test_what_is_not_finite_is_null_also_beside_an_integer_that_is_too_wide() -> None:
    assert loads(dumps_clean({"a": float("inf"), "b": [float("nan")], "c": 10**30})) == {
        "a": None,
        "b": [None],
        "c": 1e30,
    }


def test_an_escaped_backslash_before_u0000_is_kept() -> None:
    assert loads(dumps_clean({"a": "\\u0000"})) == {"a": "\\u0000"}


class Pair(NamedTuple):
    """A named tuple."""

    left: int
    right: str


def test_mappings_tuples_sets_ids_and_times_have_a_form() -> None:
    identity, at = uuid4(), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    value = MappingProxyType({"a": Pair(1, "x"), "b": {3}, "c": identity, "d": at, 5: None})
    assert loads(dumps_clean(value)) == {
        "a": [1, "x"],
        "b": [3],
        "c": str(identity),
        "d": "2026-01-02T03:04:05+00:00",
        "5": None,
    }
    # The same through the slower way.
    assert loads(dumps_clean({"z": "\x00", "v": value}))["v"]["c"] == str(identity)


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        dumps_clean({"a": object()})


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(_has_nul(item) for item in value)


def _holds_big_numbers(value: Any) -> bool:
    return any(abs(number) >= 2**63 for number in _numbers(value))


def _numbers(value: Any) -> list[int]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [value]
    if isinstance(value, dict):
        return [number for item in value.values() for number in _numbers(item)]
    return [number for item in value for number in _numbers(item)] if isinstance(value, list) else []
