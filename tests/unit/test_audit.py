"""Audit rows, their digests and the chain, without a database."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest
from asyncpg.pgproto.pgproto import UUID as DatabaseUUID
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.audit import Head, audit_row, canonical, detail_digest, row_hash, verify_lines

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUN = UUID(int=7)


def new_row(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "actor": "operator:1",
        "event": "command.done",
        "subject": "command:map",
        "station": "toc-s1",
        "detail": {"area": "40nm"},
        "correlation_id": RUN,
        "at": AT,
    }
    return audit_row(**{**values, **changes})


def chained(*rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of an export of these rows, sealed."""
    head, lines = Head(), []
    for row in rows:
        sealed = {**row, "position": head.position + 1, "previous": head.hash, "hash": row_hash(head, row)}
        head = Head(sealed["position"], sealed["hash"])
        lines.append(orjson.loads(orjson.dumps(sealed)))
    return lines


def report(lines: list[dict[str, Any]], known: Head | None = None) -> Any:
    return verify_lines([orjson.dumps(line) for line in lines], known)


def test_equal_details_have_different_digests_so_that_an_erased_one_can_not_be_guessed() -> None:
    assert new_row()["detail_digest"] != new_row()["detail_digest"]


def test_the_digest_is_that_of_the_detail_as_stored() -> None:
    row = new_row(detail={"text": "a\x00b\ud800", "n": 1.0, "at": AT, "z": -0.0})
    assert row["detail_digest"] == detail_digest(row["detail"])
    assert row["detail"]["text"] == "ab\ufffd"
    assert row["detail"]["n"] == 1


def test_the_order_of_keys_does_not_matter_and_a_value_does() -> None:
    assert detail_digest({"a": 1, "b": 2}) == detail_digest({"b": 2, "a": 1})
    assert detail_digest({"a": 1}) != detail_digest({"a": 2})


def test_an_id_read_from_the_database_can_stand_in_a_detail() -> None:
    text = "01a1faac-58fd-7fb7-a909-8f7244741901"
    assert new_row(detail={"run": DatabaseUUID(text)})["detail"]["run"] == text


def test_no_detail_needs_no_salt() -> None:
    assert new_row(detail={})["detail"] == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_canonical_json_is_the_same_when_made_again(value: Any) -> None:
    once = canonical(value)
    assert canonical(once) == once
    assert detail_digest(orjson.loads(orjson.dumps(once))) == detail_digest(once)


def test_what_json_lacks_becomes_null() -> None:
    assert canonical([math.nan, math.inf]) == [None, None]


def test_a_time_is_hashed_in_utc() -> None:
    paris = AT.astimezone(timezone(timedelta(hours=1)))
    row = new_row()
    assert row_hash(Head(), row) == row_hash(Head(), {**row, "at": paris})


def test_a_whole_chain_has_no_problem() -> None:
    found = report(chained(new_row(), new_row(), new_row()))
    assert found.ok
    assert found.sealed == found.head.position == 3
    assert found.first_broken is None


@pytest.mark.parametrize("field", ["actor", "event", "subject", "station", "at", "id", "correlation_id"])
def test_a_changed_field_is_found_at_its_row(field: str) -> None:
    lines = chained(new_row(), new_row(), new_row())
    lines[1][field] = {"at": "2026-11-20T12:00:01+00:00"}.get(field, str(UUID(int=9)))
    found = report(lines)
    assert found.first_broken == 2
    assert found.problem_count == 1
    assert "was changed after it was sealed" in found.problems[0].message


def test_a_changed_detail_is_found_even_with_its_digest_changed_too() -> None:
    lines = chained(new_row(), new_row())
    lines[0]["detail"]["area"] = "50nm"
    assert report(lines).problems[0].message.endswith("the detail is not the one that was recorded")
    lines[0]["detail_digest"] = detail_digest(lines[0]["detail"])
    assert report(lines).problems[0].message.endswith("was changed after it was sealed")


def test_an_erased_detail_keeps_the_chain() -> None:
    lines = chained(new_row(), new_row())
    lines[0]["detail"] = None
    found = report(lines)
    assert found.ok
    assert found.erased == 1


def test_missing_rows_are_found_and_named() -> None:
    lines = chained(*(new_row() for _ in range(5)))
    found = report([lines[0], *lines[3:]])
    assert found.problems == [(4, "rows 2 to 3 are missing")]


def test_a_missing_beginning_is_found() -> None:
    assert report(chained(new_row(), new_row())[1:]).problems == [(2, "rows 1 to 1 are missing")]


def test_swapped_rows_are_found() -> None:
    lines = chained(new_row(), new_row(), new_row())
    found = report([lines[1], lines[0], lines[2]])
    assert found.problems == [
        (2, "rows 1 to 1 are missing"),
        (1, f"row {lines[0]['id']} is out of order"),
        (3, "rows 2 to 2 are missing"),
    ]


def test_a_row_put_in_between_is_found_even_with_right_hashes_of_its_own() -> None:
    lines = chained(new_row(), new_row(), new_row())
    forged = chained(new_row(), new_row())[1]
    found = report([lines[0], forged, lines[2]])
    assert found.first_broken == 2
    assert found.problem_count == 2  # it does not follow, and nothing follows it


def test_a_cut_off_end_is_found_by_a_head_written_down_before() -> None:
    lines = chained(new_row(), new_row(), new_row())
    known = Head(3, lines[2]["hash"])
    assert report(lines, known).ok
    assert report(lines[:1]).ok
    assert report(lines[:1], known).problems == [(2, "rows 2 to 3 were there and are missing")]


def test_a_chain_made_anew_is_found_by_a_head_written_down_before() -> None:
    known = Head(2, chained(new_row(), new_row())[1]["hash"])
    assert report(chained(new_row(), new_row(), new_row()), known).first_broken == 2


def test_rows_not_yet_sealed_are_counted_and_their_details_checked() -> None:
    lines = chained(new_row(), new_row())
    lines[1].update(position=None, previous=None, hash=None)
    found = report(lines)
    assert (found.ok, found.sealed, found.unsealed) == (True, 1, 1)
    lines[1]["detail"]["area"] = "50nm"
    assert report(lines).problems[0].position is None


def test_a_line_that_is_no_row_is_told_with_its_number() -> None:
    lines = [orjson.dumps(line) for line in chained(new_row())]
    assert verify_lines([*lines, b"{"]).problems == [(2, "line 2 is no audit row (JSONDecodeError)")]


@given(st.lists(st.binary(max_size=40) | st.just(b'{"at": 5}') | st.just(b"[]") | st.just(b'{"at": "2026-01-01"}')))
def test_garbage_is_a_problem_and_no_error(lines: list[bytes]) -> None:
    assert verify_lines(lines).problem_count >= len(lines)


def test_only_the_first_problems_are_listed_and_all_are_counted() -> None:
    found = verify_lines([b"{}"] * 50)
    assert len(found.problems) == 20
    assert found.problem_count == 50
