"""Inputs of a run: what people write becomes canonical values, or an error with the command that would do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.forms import FormField
from vtoc_bots.core.playbooks.digest import canonical_json
from vtoc_bots.core.playbooks.inputs import (
    BoundInputs,
    bind_inputs,
    canonical_input,
    command_text,
    form_field,
    input_errors,
    inputs_schema,
    shown_input,
)
from vtoc_bots.core.playbooks.model import InputSpec, Playbook

AREA = InputSpec("area", "area", default="station", help="Where to look")
WINDOW = InputSpec("window", "duration", default="10m", minimum="1m", maximum="24h")
KIND = InputSpec("kind", "choice", required=True, choices=("air", "sea"))
NOTE = InputSpec("note", "string")
LIMIT = InputSpec("limit", "int", minimum=1)
PLAYBOOK = Playbook("op_test", "Test", (), inputs=(AREA, WINDOW, KIND, NOTE, LIMIT))


def test_texts_become_canonical_values_and_defaults_are_filled_in() -> None:
    bound = bind_inputs(PLAYBOOK, {"area": "40 NM", "kind": "AIR", "limit": "5"})
    assert bound == BoundInputs({"area": "40nm", "window": 600, "kind": "air", "note": None, "limit": 5})


def test_json_values_are_taken_as_well() -> None:
    bound = bind_inputs(PLAYBOOK, {"window": 90, "kind": "sea", "limit": 3, "area": None})
    assert bound.values == {"area": "station", "window": 90, "kind": "sea", "note": None, "limit": 3}


def test_the_same_value_written_in_two_ways_is_one_value() -> None:
    first = bind_inputs(PLAYBOOK, {"kind": "air", "window": "90m", "area": "74.08km"})
    second = bind_inputs(PLAYBOOK, {"kind": "air", "window": "1h30m", "area": "40nm"})
    assert canonical_json(first.values) == canonical_json(second.values)


def test_what_is_required_and_missing_is_listed_as_a_form_asks_for_it() -> None:
    bound = bind_inputs(PLAYBOOK, {"area": "40nm"})
    assert bound.missing == (
        FormField("kind", "Kind", "one of air, sea", True, None, (("air", "air"), ("sea", "sea"))),
    )


def test_an_empty_field_of_a_form_is_one_that_was_not_given() -> None:
    bound = bind_inputs(PLAYBOOK, {"area": "", "kind": "air", "limit": "", "note": ""})
    assert bound.values["area"] == "station"
    assert bound.values["limit"] is None
    assert bound.values["note"] == ""


@pytest.mark.parametrize(
    ("given", "says", "corrected"),
    [
        ({"window": "soon"}, "window: “soon” is no duration; write a duration such as", "window=10m"),
        ({"window": "30s"}, "it must be at least 1m", "window=10m"),
        ({"window": "48h"}, "it must be at most 1d", "window=10m"),
        ({"kind": "aer"}, "“aer” is not one of air, sea", "kind=air"),
        ({"limit": "0"}, "it must be at least 1", "limit=30"),
        ({"note": "x" * 20_000}, "too long", "note=text"),
        ({"note": "a\x00b"}, "NUL", "note=text"),
        ({"note": 5}, "is no text", "note=text"),
        ({"aera": "40nm", "kind": "air"}, "op_test has no input aera; it takes area, window", "kind=air"),
    ],
)
def test_a_wrong_input_names_itself_and_the_command_that_would_do(
    given: dict[str, Any], says: str, corrected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        bind_inputs(PLAYBOOK, given)
    assert says in str(caught.value)
    assert caught.value.corrected == f"/playbook op_test {corrected}"
    assert caught.value.corrected in str(caught.value)


def test_an_unknown_input_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Did you mean area\?"):
        bind_inputs(PLAYBOOK, {"aera": "40nm"})


def test_a_form_is_told_of_every_wrong_field_at_once() -> None:
    errors = input_errors(PLAYBOOK, {"window": "soon", "limit": "many", "area": "40nm"})
    assert set(errors) == {"window", "limit"}


def test_values_with_spaces_are_quoted_in_a_command() -> None:
    command = command_text(PLAYBOOK, {"note": 'say "go" now', "area": "40nm", "kind": None})
    assert command == '/playbook op_test note="say \\"go\\" now" area=40nm'


def test_a_form_field_has_help_default_and_choices() -> None:
    assert form_field(AREA) == FormField("area", "Area", "Where to look", False, "station", ())
    assert form_field(WINDOW).default == "10m"


def test_the_json_schema_says_what_may_be_given() -> None:
    schema = inputs_schema(PLAYBOOK)
    assert schema["required"] == ["kind"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["kind"]["enum"] == ["air", "sea"]
    assert schema["properties"]["window"]["default"] == 600
    assert schema["properties"]["area"]["description"] == "Where to look"


@given(st.integers(60, 86_400))
def test_what_is_shown_of_a_duration_is_read_back_as_the_same(seconds: int) -> None:
    canonical = canonical_input(WINDOW, seconds)
    assert canonical_input(WINDOW, shown_input(WINDOW, canonical)) == canonical == seconds


@given(st.sampled_from(PLAYBOOK.inputs), st.text(max_size=20) | st.integers() | st.booleans() | st.floats() | st.none())
def test_any_value_is_bound_or_refused_with_a_reason(spec: InputSpec, value: Any) -> None:
    given = {"kind": "air", spec.name: value}
    errors = input_errors(PLAYBOOK, given)
    if errors:
        assert list(errors) == [spec.name]
        with pytest.raises(UsageError, match=f"^{spec.name}: "):
            bind_inputs(PLAYBOOK, given)
        return
    bound = bind_inputs(PLAYBOOK, given)
    if not bound.missing:
        assert bind_inputs(PLAYBOOK, bound.values) == bound
        canonical_json(bound.values)
