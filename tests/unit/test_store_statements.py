"""What a session refuses before the database sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.errors import Forbidden
from vtoc_bots.core.store.statements import check_statement, refusal


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM ops.missions WHERE code = $1",
        "\n  with x as (select 1) select * from x",
        "INSERT INTO ops.missions (station_id) VALUES ($1)",
        "update ops.missions set name = $1",
        "DELETE FROM ops.missions",
        "VALUES (1)",
        "SELECT current_setting('request.jwt.claims')",
        "SELECT offset_config FROM x",
        "SELECT pg_try_advisory_xact_lock(1)",
    ],
)
def test_an_ordinary_statement_is_run(sql: str) -> None:
    check_statement(sql)


@given(
    verb=st.sampled_from(
        [
            "reset",
            "SET",
            "begin",
            "Commit",
            "do",
            "copy",
            "prepare",
            "execute",
            "listen",
            "lock",
            "create",
            "alter",
            "grant",
            "call",
            "truncate",
            "selection",
            "explain",
        ]
    ),
    rest=st.text(max_size=30),
)
def test_any_other_verb_is_refused(verb: str, rest: str) -> None:
    assert refusal(f" {verb} {rest}") is not None


@given(
    before=st.text(max_size=20),
    after=st.text(max_size=20),
    spelled=st.sampled_from(["set_config", "SET_CONFIG", "Set_Config"]),
)
def test_the_function_that_sets_claims_is_refused_wherever_it_stands(before: str, after: str, spelled: str) -> None:
    assert refusal(f"SELECT {before} {spelled} {after}") is not None


def test_the_refusal_shows_the_statement() -> None:
    with pytest.raises(Forbidden, match=r"session: .*RESET ROLE"):
        check_statement("RESET ROLE")
