"""The planner under arbitrary playbooks, failures and crashes: every run ends, and no finished step runs again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from vtoc_bots.core.access import Station
from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.playbooks.decisions import (
    ApprovalRow,
    Cancel,
    Changes,
    Decision,
    Fail,
    Finish,
    RunSteps,
    RunView,
    StepCall,
    StepRow,
    Wait,
)
from vtoc_bots.core.playbooks.expressions import Literal, parse_template
from vtoc_bots.core.playbooks.model import ApprovalRule, Playbook, Retry, Step, WaitRule
from vtoc_bots.core.playbooks.plan import plan, retry_at

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN = RunView(UUID(int=7), {}, Station(UUID(int=1), "toc-s1", "TOC-S1", "First", "ops"), NOW, started_at=NOW)
LOOKS = 600
"""More looks than any run of the playbooks below can need."""


@st.composite
def playbooks(draw: st.DrawFn) -> Playbook:
    """Up to eight steps in an arbitrary order of needs, of every kind."""
    count = draw(st.integers(1, 8))
    steps = []
    for index in range(count):
        needs = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        kind = draw(st.sampled_from(["action", "action", "action", "approved action", "approval", "timer", "question"]))
        uses = "do" if "action" in kind else None
        steps.append(
            Step(
                id=f"s{index}",
                index=index,
                title=f"S{index}",
                needs=tuple(f"s{need}" for need in sorted(needs)),
                uses=uses,
                inputs={"x": parse_template(f"${{{{ steps.s{min(needs)} }}}}")} if needs and uses else {},
                condition=draw(st.sampled_from([None, None, None, Literal(True), Literal(False)])),
                approve=ApprovalRule() if "appro" in kind else None,
                wait=_wait(kind),
                retry=Retry(attempts=draw(st.integers(1, 4))) if uses else None,
            )
        )
    approval = draw(st.sampled_from([None, None, ApprovalRule(on_expiry="hold")]))
    return Playbook("p", "P", tuple(steps), approval=approval, digest="d")


def _wait(kind: str) -> WaitRule | None:
    if kind == "timer":
        return WaitRule(for_seconds=60)
    return WaitRule(for_seconds=60, message=Literal("Well?")) if kind == "question" else None


@dataclass
class Worker:
    """Does what the planner says, dying at arbitrary moments; what it wrote stays."""

    playbook: Playbook
    chance: Random
    may_fail: bool
    now: datetime = NOW
    rows: dict[str, StepRow] = field(default_factory=dict)
    approvals: dict[str, ApprovalRow] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    """The steps in the order in which they ended."""

    def run(self) -> Decision:
        for _ in range(LOOKS):
            decision = plan(self.playbook, RUN, self.rows.values(), self.approvals.values(), self.now)
            if self.dies():
                continue
            if not self.write(decision.changes):
                continue
            match decision:
                case RunSteps():
                    self.act(decision.calls)
                case Wait():
                    self.pass_time(decision)
                case Finish() | Fail() | Cancel():
                    return decision
        raise AssertionError("the run never ended")

    def dies(self) -> bool:
        return self.chance.random() < 0.1

    def write(self, changes: Changes) -> bool:
        """Write the rows, or some of them and die."""
        for settled in changes.settled:
            assert self.rows.get(settled.step) is None or self.rows[settled.step].state == "waiting"
            self.ended(settled.step)
            self.rows[settled.step] = StepRow(settled.step, settled.state, output=settled.output)
        for parked in changes.parked:
            assert parked.step not in self.rows
            self.rows[parked.step] = StepRow(parked.step, "waiting", due_at=parked.due_at)
        if self.dies():
            return False
        for ask in changes.asks:
            assert ask.step not in self.approvals
            self.approvals[ask.step] = ApprovalRow(
                ask.step, "open", ask.digest, ask.expires_at, on_expiry=ask.rule.on_expiry
            )
        return True

    def act(self, calls: tuple[StepCall, ...]) -> None:
        assert len({call.step for call in calls}) == len(calls)
        for call in calls:
            step = self.playbook.step(call.step)
            assert step is not None
            row = self.rows.get(call.step)
            assert row is None or row.state in ("retrying", "waiting")
            assert call.tries == (row.tries if row is not None else 0) + 1
            for need in step.needs:
                assert self.rows[need].state in ("done", "skipped")
            if step.approve is not None:
                assert self.approvals[step.id].state == "approved"
            if self.dies():
                return
            self.checkpoint(step, call.tries)

    def checkpoint(self, step: Step, tries: int) -> None:
        fails = self.may_fail and self.chance.random() < 0.4
        due = retry_at(step, TransientError("x"), tries, self.now, lambda: 0.5) if fails else None
        if due is not None:
            self.rows[step.id] = StepRow(step.id, "retrying", tries, error="x", due_at=due)
        elif fails:
            self.rows[step.id] = StepRow(step.id, "failed", tries, error="x")
        else:
            self.ended(step.id)
            self.rows[step.id] = StepRow(step.id, "done", tries, output=step.index)

    def ended(self, step: str) -> None:
        assert step not in self.order
        self.order.append(step)

    def pass_time(self, decision: Wait) -> None:
        assert decision.waits
        opened = [row for row in self.approvals.values() if row.state in ("open", "held")]
        if opened and self.chance.random() < 0.5:
            row = self.chance.choice(opened)
            self.approvals[row.step] = ApprovalRow(row.step, "approved", row.digest, decided_at=self.now, by=("G",))
        elif decision.until is not None and all(wait.kind != "approval" for wait in decision.waits):
            assert decision.until > self.now
            self.now = decision.until
        else:
            self.now += timedelta(seconds=1)


def expected(playbook: Playbook) -> dict[str, str]:
    """How each step ends when nothing fails, by the rule as documented."""
    states: dict[str, Any] = {}
    for step in playbook.steps:
        if step.condition is not None:
            wanted = isinstance(step.condition, Literal) and step.condition.value
        else:
            wanted = all(states[need] == "done" for need in step.needs)
        states[step.id] = "done" if wanted else "skipped"
    return states


@settings(max_examples=150, deadline=None)
@given(playbooks(), st.integers(0, 2**32))
def test_a_run_without_failures_finishes_and_each_step_ends_once_as_declared(playbook: Playbook, seed: int) -> None:
    worker = Worker(playbook, Random(seed), may_fail=False)
    assert isinstance(worker.run(), Finish)
    assert {row.step: row.state for row in worker.rows.values()} == expected(playbook)
    for step in playbook.steps:
        for need in step.needs:
            assert worker.order.index(need) < worker.order.index(step.id)


@settings(max_examples=150, deadline=None)
@given(playbooks(), st.integers(0, 2**32))
def test_a_run_with_failures_always_ends_and_fails_only_for_a_failed_step(playbook: Playbook, seed: int) -> None:
    worker = Worker(playbook, Random(seed), may_fail=True)
    decision = worker.run()
    failed = [row.step for row in worker.rows.values() if row.state == "failed"]
    if isinstance(decision, Fail):
        assert decision.step in failed
    else:
        assert isinstance(decision, Finish)
        assert not failed


@settings(max_examples=60, deadline=None)
@given(playbooks(), st.integers(0, 2**32))
def test_a_decision_depends_on_the_rows_and_not_on_their_order(playbook: Playbook, seed: int) -> None:
    worker = Worker(playbook, Random(seed), may_fail=True)
    worker.run()
    rows = [row for row in worker.rows.values() if worker.chance.random() < 0.5]
    mixed = worker.chance.sample(rows, len(rows))
    approvals = list(worker.approvals.values())
    # Needs that are not among the rows simply have not ended: any set of rows can be looked at.
    assert plan(playbook, RUN, rows, approvals, NOW) == plan(playbook, RUN, mixed, approvals, NOW)
