"""The planner: from a run's rows alone to what is done next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from vtoc_bots.core.access import Station
from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import ActionError, LostLease, TransientError, UsageError
from vtoc_bots.core.playbooks.actions import action
from vtoc_bots.core.playbooks.decisions import (
    ApprovalAsk,
    ApprovalRow,
    Cancel,
    Decision,
    Fail,
    Finish,
    Lapsed,
    Parked,
    RunSteps,
    RunView,
    Settled,
    StepRow,
    Wait,
)
from vtoc_bots.core.playbooks.load import parse_source
from vtoc_bots.core.playbooks.model import WHOLE, Playbook, Retry
from vtoc_bots.core.playbooks.plan import digest_of, message_output, plan, retry_at

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STATION = Station(UUID(int=1), "toc-s1", "TOC-S1", "First", "ops", latitude=49.0, longitude=2.5)


@action("do")
async def do(ctx: Any, x: Any = None) -> Any:
    """Do something."""
    return x


ACTIONS = {spec.name: spec for spec in (do,)}


def book(steps: str, head: str = "") -> Playbook:
    return parse_source(f"id: test\ntitle: Test\n{head}\nsteps:\n{steps}", ACTIONS)


def a_run(**changes: Any) -> RunView:
    return replace(RunView(UUID(int=7), {"area": "40nm"}, STATION, NOW, started_at=NOW, operator="Ada"), **changes)


def look(
    playbook: Playbook,
    *rows: StepRow,
    approvals: tuple[ApprovalRow, ...] = (),
    run: RunView | None = None,
    now: datetime = NOW,
) -> Decision:
    return plan(playbook, run or a_run(), rows, approvals, now)


def done(step: str, output: Any = None) -> StepRow:
    return StepRow(step, "done", 1, output)


def called(decision: Decision) -> list[str]:
    assert isinstance(decision, RunSteps), decision
    return [call.step for call in decision.calls]


LINE = """
  - {id: a, uses: do, with: {x: "${{ inputs.area }}"}}
  - {id: b, uses: do, with: {x: "${{ steps.a.n }}"}, timeout: 5s}
  - {id: c, uses: do, needs: b, with: {x: {run: "${{ run.operator }}", at: "${{ station.callsign }}"}}}
"""
INPUTS = "inputs: {area: {type: area, default: station}}"


class TestSteps:
    def test_a_step_runs_when_what_it_needs_is_done_with_its_inputs_filled(self) -> None:
        playbook = book(LINE, INPUTS)
        first = look(playbook)
        assert isinstance(first, RunSteps)
        assert [(call.step, call.inputs, call.timeout_seconds, call.tries) for call in first.calls] == [
            ("a", {"x": "40nm"}, 60.0, 1)
        ]
        second = look(playbook, done("a", {"n": 5}))
        assert isinstance(second, RunSteps)
        assert [(call.step, call.inputs, call.timeout_seconds) for call in second.calls] == [("b", {"x": 5}, 5.0)]
        third = look(playbook, done("a", {"n": 5}), done("b"))
        assert isinstance(third, RunSteps)
        assert third.calls[0].inputs == {"x": {"run": "Ada", "at": "TOC-S1"}}

    def test_the_same_rows_give_the_same_decision(self) -> None:
        playbook = book(LINE, INPUTS)
        assert look(playbook, done("a", {"n": 5})) == look(playbook, done("a", {"n": 5}))

    def test_steps_that_need_nothing_of_each_other_run_side_by_side(self) -> None:
        playbook = book("  - {id: a, uses: do}\n  - {id: b, uses: do}\n  - {id: c, uses: do, needs: [a, b]}")
        assert called(look(playbook)) == ["a", "b"]
        assert called(look(playbook, done("b"))) == ["a"]
        assert called(look(playbook, done("a"), done("b"))) == ["c"]

    def test_a_run_whose_steps_are_done_finishes_without_a_card(self) -> None:
        assert look(book("  - {id: a, uses: do}"), done("a")) == Finish(None)

    def test_a_failed_step_fails_the_run_with_its_error(self) -> None:
        playbook = book("  - {id: a, uses: do}\n  - {id: b, uses: do}")
        assert look(playbook, StepRow("a", "failed", 3, error="no luck")) == Fail("a", "no luck")

    def test_an_expression_that_fails_at_run_time_fails_its_step(self) -> None:
        playbook = book('  - {id: a, uses: do}\n  - {id: b, uses: do, with: {x: "${{ abs(steps.a) }}"}}')
        decision = look(playbook, done("a", "text"))
        assert isinstance(decision, Fail)
        assert decision.step == "b"
        assert "abs(steps.a)" in decision.error

    def test_a_cancelled_run_is_cancelled_whatever_its_steps(self) -> None:
        playbook = book("  - {id: a, uses: do}")
        run = a_run(cancel_by="Ada")
        assert look(playbook, run=run) == Cancel("Ada")
        assert look(playbook, StepRow("a", "failed", 1, error="x"), run=run) == Cancel("Ada")


class TestConditions:
    STEPS = """
  - {id: a, uses: do, if: "${{ inputs.on }}"}
  - {id: b, uses: do, needs: a}
  - {id: c, uses: do, if: true, with: {x: "${{ steps.a }}"}}
  - {id: d, uses: do, if: "${{ steps.b == `null` }}"}
"""

    def decide(self, on: bool, *rows: StepRow) -> Decision:
        playbook = book(self.STEPS, "inputs: {on: {type: bool, default: true}}")
        return look(playbook, *rows, run=a_run(inputs={"on": on}))

    def test_a_false_condition_skips_the_step_and_those_that_need_it(self) -> None:
        decision = self.decide(False)
        assert decision.changes.settled == (Settled("a", 0, "skipped"), Settled("b", 1, "skipped"))

    def test_a_step_with_a_condition_of_its_own_runs_though_one_it_needs_was_skipped(self) -> None:
        decision = self.decide(False)
        assert isinstance(decision, RunSteps)
        assert [(call.step, dict(call.inputs)) for call in decision.calls] == [("c", {"x": None}), ("d", {})]

    def test_a_true_condition_runs_the_step(self) -> None:
        assert called(self.decide(True)) == ["a"]

    def test_skipped_rows_count_like_those_found_just_now(self) -> None:
        rows = (StepRow("a", "skipped"), StepRow("b", "skipped"), done("c"))
        decision = self.decide(False, *rows)
        assert called(decision) == ["d"]
        assert not decision.changes

    def test_a_run_all_of_whose_steps_are_skipped_finishes(self) -> None:
        decision = look(book("  - {id: a, uses: do, if: false}\n  - {id: b, uses: do, needs: a}"))
        assert isinstance(decision, Finish)
        assert len(decision.changes.settled) == 2


class TestRetries:
    def test_a_retrying_step_waits_until_it_is_due_and_then_counts_on(self) -> None:
        playbook = book("  - {id: a, uses: do, retry: {attempts: 3}}")
        row = StepRow("a", "retrying", 1, error="x", due_at=NOW + timedelta(seconds=5))
        waiting = look(playbook, row)
        assert isinstance(waiting, Wait)
        assert (waiting.until, waiting.reason) == (row.due_at, "retry")
        again = look(playbook, row, now=NOW + timedelta(seconds=5))
        assert isinstance(again, RunSteps)
        assert again.calls[0].tries == 2

    def test_others_go_on_while_one_waits_for_its_retry(self) -> None:
        playbook = book("  - {id: a, uses: do}\n  - {id: b, uses: do}")
        row = StepRow("a", "retrying", 1, due_at=NOW + timedelta(hours=1))
        assert called(look(playbook, row)) == ["b"]

    @pytest.mark.parametrize(
        ("error", "tries", "seconds"),
        [
            (TransientError("x"), 1, 2.0),
            (TransientError("x"), 3, 8.0),
            (TransientError("x"), 5, 10.0),
            (TransientError("x", after_seconds=90), 1, 90.0),
            (TimeoutError(), 1, 2.0),
            (ValueError("bug"), 2, 4.0),
            (LostLease("x"), 1, 2.0),
            (TransientError("x"), 6, None),
            (ActionError("for good"), 1, None),
            (UsageError("wrong"), 1, None),
        ],
    )
    def test_the_delay_doubles_up_to_its_limit(self, error: Exception, tries: int, seconds: float | None) -> None:
        retry = Retry(attempts=6, backoff_seconds=2, max_delay_seconds=10, jitter=0)
        step = replace(book("  - {id: a, uses: do}").steps[0], retry=retry)
        due = retry_at(step, error, tries, NOW, lambda: 0.7)
        assert due == (None if seconds is None else NOW + timedelta(seconds=seconds))

    def test_jitter_takes_away_up_to_its_fraction(self) -> None:
        step = replace(book("  - {id: a, uses: do}").steps[0], retry=Retry(backoff_seconds=10, jitter=0.5))
        parts = iter((0.0, 0.5, 1.0))
        dues = [retry_at(step, TransientError("x"), 1, NOW, lambda: next(parts)) for _ in range(3)]
        assert dues == [NOW + timedelta(seconds=seconds) for seconds in (10, 7.5, 5)]

    def test_without_a_declared_retry_only_passing_faults_are_tried_again(self) -> None:
        step = book("  - {id: a, uses: do}").steps[0]
        assert retry_at(step, TransientError("x"), 1, NOW, lambda: 0.0) is not None
        assert retry_at(step, TransientError("x"), 3, NOW, lambda: 0.0) is None
        assert retry_at(step, TimeoutError(), 1, NOW, lambda: 0.0) is None

    def test_many_tries_do_not_overflow(self) -> None:
        step = replace(book("  - {id: a, uses: do}").steps[0], retry=Retry(attempts=10**6))
        assert retry_at(step, TransientError("x"), 99_999, NOW, lambda: 0.0) == NOW + timedelta(seconds=60)


class TestTimeout:
    def test_a_run_past_its_timeout_fails_naming_what_is_unfinished(self) -> None:
        playbook = book("  - {id: a, uses: do}\n  - {id: b, uses: do}", "timeout: 60s")
        decision = look(playbook, done("a"), now=NOW + timedelta(seconds=60))
        assert isinstance(decision, Fail)
        assert (decision.reason, decision.step) == ("timeout", "")
        assert "b" in decision.error
        assert "a," not in decision.error

    def test_a_step_gets_no_more_time_than_the_run_has_left(self) -> None:
        playbook = book("  - {id: a, uses: do}", "timeout: 60s")
        decision = look(playbook, now=NOW + timedelta(seconds=50))
        assert isinstance(decision, RunSteps)
        assert decision.calls[0].timeout_seconds == 10

    def test_a_finished_run_is_not_late(self) -> None:
        playbook = book("  - {id: a, uses: do}", "timeout: 60s")
        assert isinstance(look(playbook, done("a"), now=NOW + timedelta(hours=1)), Finish)

    def test_a_parked_run_is_looked_at_when_its_time_is_over(self) -> None:
        playbook = book("  - {id: a, wait: {for: 2h}}", "timeout: 60s")
        decision = look(playbook)
        assert isinstance(decision, Wait)
        assert decision.until == NOW + timedelta(seconds=60)

    def test_the_wait_for_its_own_approval_does_not_count(self) -> None:
        playbook = book("  - {id: a, uses: do}", "timeout: 60s\napproval: {quorum: 1}")
        row = ApprovalRow(
            WHOLE, "approved", digest_of(playbook, a_run(), (), WHOLE), decided_at=NOW + timedelta(hours=1)
        )
        assert called(look(playbook, approvals=(row,), now=NOW + timedelta(hours=1, seconds=59))) == ["a"]
        assert isinstance(look(playbook, approvals=(row,), now=NOW + timedelta(hours=1, seconds=60)), Fail)


class TestWaits:
    def test_a_span_parks_the_step_and_is_over_when_it_is_due(self) -> None:
        playbook = book("  - {id: a, wait: {for: 5m}}\n  - {id: b, uses: do, needs: a}")
        due = NOW + timedelta(minutes=5)
        decision = look(playbook)
        assert isinstance(decision, Wait)
        assert decision.changes.parked == (Parked("a", 0, due),)
        assert (decision.until, decision.reason) == (due, "timer")
        row = StepRow("a", "waiting", due_at=due)
        early = look(playbook, row, now=NOW + timedelta(minutes=4))
        assert isinstance(early, Wait)
        assert not early.changes
        over = look(playbook, row, now=due)
        assert called(over) == ["b"]
        assert over.changes.settled == (Settled("a", 0, "done", {"until": due.isoformat()}),)

    def test_a_moment_that_is_past_already_is_not_waited_for(self) -> None:
        playbook = book(
            '  - {id: a, wait: {until: "${{ inputs.start }}"}}\n  - {id: b, uses: do, needs: a}',
            "inputs: {start: {type: time, required: true}}",
        )
        past = look(playbook, run=a_run(inputs={"start": "2026-03-01T11:00:00Z"}))
        assert called(past) == ["b"]
        assert past.changes.parked == ()
        coming = look(playbook, run=a_run(inputs={"start": "2026-03-01T13:00:00Z"}))
        assert isinstance(coming, Wait)
        assert coming.until == NOW + timedelta(hours=1)

    def test_a_moment_that_is_no_time_fails_its_step(self) -> None:
        playbook = book('  - {id: a, uses: do}\n  - {id: b, wait: {until: "${{ steps.a }}"}}')
        for wrong in ("tomorrow", None, 5, "2026-03-01T13:00:00"):
            decision = look(playbook, done("a", wrong))
            assert isinstance(decision, Fail)
            assert decision.step == "b"
            assert "no time" in decision.error

    def test_a_question_is_asked_once_and_its_answer_is_the_output(self) -> None:
        playbook = book(
            '  - {id: ask, wait: {message: "Go ${{ inputs.area }}?", for: 1h}}\n'
            '  - {id: b, uses: do, with: {x: "${{ steps.ask.text }}"}}',
            INPUTS,
        )
        due = NOW + timedelta(hours=1)
        decision = look(playbook)
        assert isinstance(decision, Wait)
        assert decision.changes.parked == (Parked("ask", 0, due, "Go 40nm?"),)
        assert (decision.reason, decision.until) == ("message", due)
        answered = look(playbook, done("ask", message_output("go", "Ada", NOW)))
        assert isinstance(answered, RunSteps)
        assert answered.calls[0].inputs == {"x": "go"}

    def test_a_question_nobody_answers_in_time_gives_null(self) -> None:
        playbook = book('  - {id: ask, wait: {message: "Go?", for: 1h}}')
        row = StepRow("ask", "waiting", due_at=NOW)
        assert look(playbook, row).changes.settled == (Settled("ask", 0, "done", None),)


def decided(playbook: Playbook, step: str, state: Any, rows: tuple[StepRow, ...] = (), **more: Any) -> ApprovalRow:
    return ApprovalRow(step, state, digest_of(playbook, a_run(), rows, step), **more)


class TestApprovalOfTheWhole:
    PLAYBOOK = book(
        "  - {id: a, uses: do}",
        "approval: {quorum: 2, level: lead, expires: 4h, on_expiry: hold, title: 'Look at ${{ inputs.area }}?'}\n"
        + INPUTS,
    )

    def test_it_is_asked_for_before_anything_runs(self) -> None:
        decision = look(self.PLAYBOOK)
        assert isinstance(decision, Wait)
        (ask,) = decision.changes.asks
        assert isinstance(ask, ApprovalAsk)
        assert (ask.step, ask.title, ask.rule.quorum) == (WHOLE, "Look at 40nm?", 2)
        assert ask.expires_at == decision.until == NOW + timedelta(hours=4)
        assert ask.detail["arguments"] == {"area": "40nm"}
        assert ask.digest == digest_of(self.PLAYBOOK, a_run(), (), WHOLE)
        assert decision.reason == "approval"

    def test_it_is_asked_for_once(self) -> None:
        row = decided(self.PLAYBOOK, WHOLE, "open", expires_at=NOW + timedelta(hours=1), on_expiry="hold")
        decision = look(self.PLAYBOOK, approvals=(row,))
        assert isinstance(decision, Wait)
        assert not decision.changes
        assert decision.until == row.expires_at

    def test_approved_it_lets_the_steps_run(self) -> None:
        assert called(look(self.PLAYBOOK, approvals=(decided(self.PLAYBOOK, WHOLE, "approved"),))) == ["a"]

    def test_denied_it_fails_the_run_saying_by_whom_and_why(self) -> None:
        row = decided(self.PLAYBOOK, WHOLE, "denied", by=("Grace",), comment="not today")
        assert look(self.PLAYBOOK, approvals=(row,)) == Fail("", "denied by Grace: not today", "denied")

    def test_another_argument_voids_it(self) -> None:
        row = decided(self.PLAYBOOK, WHOLE, "approved")
        decision = look(self.PLAYBOOK, approvals=(row,), run=a_run(inputs={"area": "80nm"}))
        assert isinstance(decision, Fail)
        assert decision.reason == "void"

    def test_another_version_of_the_playbook_voids_it(self) -> None:
        row = decided(self.PLAYBOOK, WHOLE, "approved")
        other = replace(self.PLAYBOOK, digest="0" * 64)
        decision = look(other, approvals=(row,))
        assert isinstance(decision, Fail)
        assert decision.reason == "void"

    def test_past_its_time_it_is_held_or_denied_as_declared(self) -> None:
        held = decided(self.PLAYBOOK, WHOLE, "open", expires_at=NOW, on_expiry="hold")
        decision = look(self.PLAYBOOK, approvals=(held,))
        assert isinstance(decision, Wait)
        assert (decision.until, decision.changes.lapsed) == (None, (Lapsed(WHOLE, "held"),))
        expired = replace(held, on_expiry="deny")
        decision = look(self.PLAYBOOK, approvals=(expired,))
        assert isinstance(decision, Fail)
        assert (decision.reason, decision.changes.lapsed) == ("expired", (Lapsed(WHOLE, "expired"),))

    def test_a_held_one_waits_without_end(self) -> None:
        decision = look(self.PLAYBOOK, approvals=(decided(self.PLAYBOOK, WHOLE, "held"),))
        assert isinstance(decision, Wait)
        assert decision.until is None

    @pytest.mark.parametrize("state", ["expired", "void"])
    def test_an_expired_or_void_one_fails_the_run(self, state: Any) -> None:
        decision = look(self.PLAYBOOK, approvals=(decided(self.PLAYBOOK, WHOLE, state),))
        assert isinstance(decision, Fail)
        assert decision.reason == state

    def test_a_policy_may_ask_for_one_that_is_not_declared(self) -> None:
        playbook = book("  - {id: a, uses: do}")
        decision = look(playbook, run=a_run(must_approve=True))
        assert isinstance(decision, Wait)
        assert decision.changes.asks[0].rule.exclude_requester


class TestApprovalOfAStep:
    PLAYBOOK = book(
        '  - {id: a, uses: do}\n  - {id: b, uses: do, with: {x: "${{ steps.a }}"}, approve: {title: Send it}}\n'
        "  - {id: c, uses: do}"
    )
    ROWS = (done("a", "draft"), done("c"))

    def test_it_is_asked_for_when_the_step_is_next_with_its_values(self) -> None:
        before = look(self.PLAYBOOK)
        assert called(before) == ["a", "c"]
        assert before.changes.asks == ()
        decision = look(self.PLAYBOOK, *self.ROWS)
        assert isinstance(decision, Wait)
        (ask,) = decision.changes.asks
        assert (ask.step, ask.title, ask.detail["arguments"]) == ("b", "Send it", {"x": "draft"})
        assert decision.changes.parked == (Parked("b", 1),)

    def test_it_is_asked_for_again_when_the_asking_was_lost_after_the_step_was_parked(self) -> None:
        changes = look(self.PLAYBOOK, *self.ROWS, StepRow("b", "waiting")).changes
        assert [ask.step for ask in changes.asks] == ["b"]
        assert changes.parked == ()

    def test_others_run_on_while_it_is_open(self) -> None:
        decision = look(self.PLAYBOOK, done("a", "draft"))
        assert called(decision) == ["c"]
        assert [ask.step for ask in decision.changes.asks] == ["b"]

    def test_approved_the_step_runs(self) -> None:
        row = decided(self.PLAYBOOK, "b", "approved", self.ROWS)
        assert called(look(self.PLAYBOOK, *self.ROWS, StepRow("b", "waiting"), approvals=(row,))) == ["b"]

    def test_another_value_voids_it(self) -> None:
        row = decided(self.PLAYBOOK, "b", "approved", self.ROWS)
        rows = (done("a", "another draft"), done("c"), StepRow("b", "waiting"))
        decision = look(self.PLAYBOOK, *rows, approvals=(row,))
        assert isinstance(decision, Fail)
        assert (decision.step, decision.reason) == ("b", "void")

    def test_a_step_without_an_action_gives_who_approved(self) -> None:
        playbook = book("  - {id: gate, approve: {quorum: 1}}")
        row = decided(playbook, "gate", "approved", by=("Grace",), decided_at=NOW)
        settled = look(playbook, StepRow("gate", "waiting"), approvals=(row,)).changes.settled
        assert settled[0].output == {"approved_by": ["Grace"], "decided_at": NOW.isoformat(), "comment": None}

    def test_a_retry_of_an_approved_step_needs_no_second_approval(self) -> None:
        row = decided(self.PLAYBOOK, "b", "approved", self.ROWS)
        retrying = StepRow("b", "retrying", 1, due_at=NOW)
        decision = look(self.PLAYBOOK, *self.ROWS, retrying, approvals=(row,))
        assert isinstance(decision, RunSteps)
        assert decision.calls[0].tries == 2


class TestReply:
    def test_a_card_written_out_is_filled_in(self) -> None:
        playbook = book(
            "  - {id: a, uses: do}\nreply: {card: {title: Done, blocks: ['${{ steps.a }} of ${{ inputs.area }}']}}",
            INPUTS,
        )
        decision = look(playbook, done("a", 5))
        assert isinstance(decision, Finish)
        assert decision.card is not None
        assert decision.card["blocks"] == [{"type": "text", "text": "5 of 40nm"}]

    def test_a_card_that_can_not_be_made_fails_the_run(self) -> None:
        playbook = book("  - {id: a, uses: do}\nreply: {card: {title: '${{ steps.a }}'}}")
        decision = look(playbook, done("a", {"no": "text"}))
        assert isinstance(decision, Fail)
        assert (decision.step, "title" in decision.error) == ("reply", True)

    def test_the_action_of_a_reply_is_the_last_step_even_when_steps_were_skipped(self) -> None:
        from vtoc_bots.core.cards import Card

        @action("card")
        async def card(ctx: Any, a: Any = None) -> Card:
            """Make a card."""
            return Card.of(str(a))

        actions: Mapping[str, Any] = {**ACTIONS, "card": card}
        text = "id: t\ntitle: T\nsteps:\n  - {id: a, uses: do, if: false}\n  - {id: b, uses: do}\nreply: {uses: card}"
        playbook = parse_source(text, actions)
        assert called(look(playbook)) == ["b"]
        decision = look(playbook, StepRow("a", "skipped"), done("b"))
        assert isinstance(decision, RunSteps)
        assert [(call.step, call.index, dict(call.inputs)) for call in decision.calls] == [("reply", 2, {"a": None})]
        finished = look(playbook, StepRow("a", "skipped"), done("b"), done("reply", {"title": "x"}))
        assert finished == Finish({"title": "x"})


def test_a_step_whose_work_goes_on_elsewhere_waits_until_it_is_looked_at_again() -> None:
    playbook = book("- {id: a, uses: do}")
    away = StepRow("a", "waiting", 0, {"elsewhere": {"action_id": "x"}}, "is at work", NOW + timedelta(seconds=5))
    waiting = look(playbook, away)
    assert isinstance(waiting, Wait)
    assert (waiting.until, waiting.reason) == (away.due_at, "remote")
    again = look(playbook, replace(away, due_at=NOW))
    assert called(again) == ["a"]
    assert isinstance(again, RunSteps)
    assert again.calls[0].tries == 1
