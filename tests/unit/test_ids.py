"""Identifiers and their short form."""

from __future__ import annotations

import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.ids import SHORT_LENGTH, id_at, matches_short_id, new_id, parse_id, parse_short_id, short_id


def test_a_new_id_is_a_uuid_of_version_7_that_holds_the_present() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


@given(unix_ms=st.integers(0, 2**48 - 1), bits=st.integers(0, 2**80 - 1))
def test_an_id_holds_its_time_and_its_random_bits(unix_ms: int, bits: int) -> None:
    made = id_at(unix_ms, bits)
    assert made.version == 7
    assert made.int >> 80 == unix_ms
    assert made.int & 2**62 - 1 == bits & 2**62 - 1
    assert (made.int >> 64) & 0xFFF == (bits >> 62) & 0xFFF


@given(
    earlier=st.integers(0, 2**46),
    later=st.integers(1, 2**46),
    bits=st.tuples(st.integers(0, 2**80 - 1), st.integers(0, 2**80 - 1)),
)
def test_ids_sort_by_their_time(earlier: int, later: int, bits: tuple[int, int]) -> None:
    assert id_at(earlier, bits[0]) < id_at(earlier + later, bits[1])


@given(st.uuids())
def test_a_short_id_leads_back_to_its_id_however_it_is_typed(value: UUID) -> None:
    short = short_id(value)
    assert len(short) == SHORT_LENGTH
    assert parse_short_id(short) == value.int & 2**40 - 1
    for typed in (short.lower(), f" {short[:4]}-{short[4:]} ", short.replace("0", "O").replace("1", "l")):
        assert matches_short_id(value, typed)


def test_a_short_id_is_crockford_base_32_of_the_last_forty_bits() -> None:
    assert short_id(UUID("00000000-0000-7000-8000-00ffffffffff")) == "ZZZZZZZZ"
    assert short_id(UUID("ffffffff-ffff-7fff-bfff-ff0000000001")) == "00000001"


@given(st.text(max_size=12))
def test_any_other_text_is_no_short_id(text: str) -> None:
    bits = parse_short_id(text)
    assert bits is None or 0 <= bits < 2**40


def test_a_text_that_spells_an_id_is_read_and_another_is_not() -> None:
    value = new_id()
    assert parse_id(f" {str(value).upper()} ") == value
    assert parse_id("no id") is None
    assert parse_short_id("0123456U") is None
