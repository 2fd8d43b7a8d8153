"""YAML documents: what is read, what is refused, and by which line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.documents import parse_document, read_document
from vtoc_bots.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: [\n", 3),
        ("a: 1\nb: {x: 1, x: 2}\n", 2),
        ("a: 1\nb: 2026-13-40\n", 2),
        ("a: 1\nb: !!python/object:os.system x\n", 2),
        ("a: 1\n? [b]\n: 1\n", 2),
        ("a: 1\n---\nb: 1\n", 2),
        ("a: 1\nb: " + "[" * 60 + "]" * 60, 2),
        ("a: 1\nb: &x [*x]\n", 2),
        ("a: 1\n\tb: 1\n", 2),
    ],
)
def test_a_document_that_can_not_be_read_is_named_by_its_line(text: str, where: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "x.yml")
    assert caught.value.where == f"x.yml:{where}"


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="too many"):
        parse_document("\n".join(lines), "x.yml")


def test_merge_keys_work_and_own_keys_win() -> None:
    document = parse_document("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n", "x.yml")
    assert document.data["b"] == {"x": 1, "y": 3}


def test_keys_are_always_text() -> None:
    assert parse_document("007: {on: yes}", "x.yml").data == {"007": {"on": True}}


def test_a_value_is_placed_by_its_line_or_by_what_holds_it() -> None:
    document = parse_document("a:\n  b:\n    - 1\n    - c: 2\n", "x.yml")
    assert document.where("a", "b", 1, "c") == "x.yml:4"
    assert document.where("a", "b", 7, "zzz") == "x.yml:2"
    assert document.where("zzz") == "x.yml:1"
    assert parse_document("", "x.yml").where("zzz") == "x.yml"


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stations.yml"
    path.write_bytes(b"stations: \xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_document(path)


def test_a_file_that_is_not_there_is_no_document(tmp_path: Path) -> None:
    assert read_document(tmp_path / "none.yml") is None


@given(st.text())
def test_any_text_is_a_document_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        assert parse_document(text, "x.yml").name == "x.yml"
