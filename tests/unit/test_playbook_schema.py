"""The published form of a playbook file, and what digests are made of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.playbooks.digest import approval_digest, canonical_digest, canonical_json
from vtoc_bots.core.playbooks.schema import playbook_schema
from vtoc_bots.core.playbooks.source import parse_yaml

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


class TestSchema:
    def test_it_is_json_and_names_its_dialect(self) -> None:
        schema = json.loads(json.dumps(playbook_schema()))
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["required"] == ["id", "title", "steps"]
        assert schema["additionalProperties"] is False

    def test_its_keys_are_those_that_people_write(self) -> None:
        definitions = playbook_schema()["$defs"]
        assert {"with", "if", "needs", "uses", "wait"} <= set(definitions["StepFile"]["properties"])
        assert {"for", "until", "message"} == set(definitions["WaitFile"]["properties"])
        assert {"min", "max"} <= set(definitions["InputFile"]["properties"])

    def test_every_value_that_the_design_shows_is_in_it(self) -> None:
        schema = playbook_schema()
        assert {"const": "none"} in schema["properties"]["approval"]["anyOf"]
        assert schema["properties"]["level"]["enum"] == ["observer", "operator", "lead", "admin"]
        assert schema["properties"]["level"]["default"] == "operator"
        assert schema["$defs"]["ApprovalFile"]["properties"]["on_expiry"]["enum"] == ["deny", "hold"]
        assert {"type": "string"} in schema["$defs"]["StepFile"]["properties"]["needs"]["anyOf"]

    def test_every_key_of_a_step_is_described_for_editors(self) -> None:
        for name in ("id", "uses", "with", "if", "needs", "timeout"):
            assert playbook_schema()["$defs"]["StepFile"]["properties"][name]["description"]


class TestDigest:
    @given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
    def test_the_order_of_keys_does_not_matter(self, value: dict[str, Any]) -> None:
        turned = dict(reversed(value.items()))
        assert canonical_json(value) == canonical_json(turned)
        assert canonical_digest(value) == canonical_digest(turned)

    @pytest.mark.parametrize(
        "other",
        [
            ({"area": "41nm"}, ["a"], "1"),
            ({"area": "40nm", "more": None}, ["a"], "1"),
            ({"area": "40nm"}, ["a", "b"], "1"),
            ({"area": "40nm"}, ["a"], "2"),
            ({}, ["a"], "1"),
        ],
    )
    def test_another_argument_plan_or_version_gives_another_digest(self, other: Any) -> None:
        assert approval_digest({"area": "40nm"}, ["a"], "1") != approval_digest(*other)
        assert approval_digest({"area": "40nm"}, ["a"], "1") == approval_digest({"area": "40nm"}, ["a"], "1")


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("yes", "yes"),
            ("NO", "NO"),
            ("on", "on"),
            ("true", True),
            ("False", False),
            ("~", None),
            ("1:30", "1:30"),
            ("2026-01-01", "2026-01-01"),
            ("012", 12),
            ("0o12", 10),
            ("0x1F", 31),
            ("1_000", "1_000"),
            ("1e3", 1000.0),
            (".5", 0.5),
            (".inf", ".inf"),
            ("-7", -7),
            ("=", "="),
            ("'5'", "5"),
            ("!!str 5", "5"),
        ],
    )
    def test_plain_values_are_what_yaml_1_2_says(self, text: str, value: Any) -> None:
        document, problems = parse_yaml(f"a: {text}\n", "f")
        assert (document.data, problems) == ({"a": value}, [])
        assert type(document.data["a"]) is type(value)

    @given(st.dictionaries(st.text(max_size=6), JSON, max_size=4).map(lambda value: {"v": value}))
    def test_json_is_yaml(self, value: dict[str, Any]) -> None:
        text = json.dumps(value, ensure_ascii=True)
        document, problems = parse_yaml(text, "f")
        if "<<" not in value["v"] and "\\u0000" not in text and "\\ud" not in text:
            assert (document.data, problems) == (value, [])

    def test_lines_are_those_of_the_keys(self) -> None:
        document, _ = parse_yaml("a:\n  b: 1\n  c:\n    - x\n    - y\n", "f")
        assert document.where("a", "c", 1) == "f:5"
        assert document.where("a", "c", 1, "unknown") == "f:5"
        assert document.where("a", "b") == "f:2"
