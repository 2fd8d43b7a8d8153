"""Token buckets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.budgets import Budget, take

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_ten_a_minute_go_through_at_once_and_the_eleventh_is_told_when() -> None:
    budget: Budget | None = None
    for _ in range(10):
        taken = take(budget, START, 10)
        assert taken.allowed
        budget = taken.budget
    refused = take(budget, START, 10)
    assert not refused.allowed
    assert refused.wait_seconds == 6.0
    assert refused.message == "Too many commands. Try again in 6 s."


def test_a_refusal_costs_nothing() -> None:
    empty = Budget(0.0, START)
    first = take(empty, START + timedelta(seconds=3), 10)
    second = take(first.budget, START + timedelta(seconds=6), 10)
    assert not first.allowed
    assert second.allowed


def test_no_more_than_a_minutes_worth_is_saved_up() -> None:
    taken = take(Budget(10.0, START), START + timedelta(days=3), 10)
    assert taken.budget.tokens == 9.0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    taken = take(Budget(0.5, START), START - timedelta(hours=1), 10)
    assert not taken.allowed
    assert taken.budget == Budget(0.5, START)


@given(st.integers(1, 1000), st.lists(st.floats(0, 100), max_size=200))
def test_never_more_pass_in_any_time_than_the_rate_and_one_minutes_worth(per_minute: int, gaps: list[float]) -> None:
    budget, now, passed = None, START, 0
    for gap in gaps:
        now += timedelta(seconds=gap)
        taken = take(budget, now, per_minute)
        budget, passed = taken.budget, passed + taken.allowed
    assert passed <= per_minute + (now - START).total_seconds() * per_minute / 60 + 0.01


@given(st.integers(1, 1000), st.floats(0, 0.9))
def test_the_wait_that_is_told_is_enough(per_minute: int, tokens: float) -> None:
    refused = take(Budget(tokens, START), START, per_minute)
    later = START + timedelta(seconds=refused.wait_seconds)
    assert take(refused.budget, later, per_minute).allowed
