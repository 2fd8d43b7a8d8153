"""What a run does next, decided from its rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from pydantic import ValidationError

from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import Fate, TransientError, VtocError
from vtoc_bots.core.playbooks.actions import explain
from vtoc_bots.core.playbooks.decisions import (
    ApprovalAsk,
    ApprovalRow,
    Cancel,
    Changes,
    Decision,
    Fail,
    FailReason,
    Finish,
    Lapsed,
    Parked,
    RunSteps,
    RunView,
    Settled,
    StepCall,
    StepRow,
    Wait,
    Waiting,
    WaitKind,
)
from vtoc_bots.core.playbooks.digest import approval_digest
from vtoc_bots.core.playbooks.expressions import ExpressionError, Literal, Template, as_text, evaluate, is_true
from vtoc_bots.core.playbooks.inquiries import waits_for_answer
from vtoc_bots.core.playbooks.model import REPLY, WHOLE, ApprovalRule, Playbook, Retry, Step
from vtoc_bots.core.playbooks.scope import run_scope, station_scope

PASSING: Final = Retry()
"""For errors that say themselves that they pass, where the step declares no retry."""


def plan(
    playbook: Playbook, run: RunView, steps: Iterable[StepRow], approvals: Iterable[ApprovalRow], now: datetime
) -> Decision:
    """The next thing to do. Pure: the same rows and time give the same decision.

    The rows in the decision's `changes` are written together with it; nothing else is remembered between calls.
    """
    return _Planner(playbook, run, steps, approvals, now).decide()


def digest_of(
    playbook: Playbook, run: RunView, steps: Iterable[StepRow], step_id: str, approvals: Iterable[ApprovalRow] = ()
) -> str:
    """The digest that the approval of a step (or WHOLE) is bound to, as the rows stand. Raises ExpressionError."""
    planner = _Planner(playbook, run, steps, approvals, run.created_at)
    step = playbook.step(step_id) if step_id != WHOLE else None
    return planner.digest(step, planner.arguments(step))


def retry_at(
    step: Step, error: BaseException, tries: int, now: datetime, random: Callable[[], float]
) -> datetime | None:
    """When to try again after `tries` failed tries, None when it has failed for good.

    With a declared retry, every error is tried again except those that say it is no use (an ActionError, a caller's
    mistake); without one, only a TransientError is, by PASSING. `random` gives numbers from 0 to 1.
    """
    if isinstance(error, VtocError) and error.fate is not Fate.RETRY:
        return None
    retry = step.retry or (PASSING if isinstance(error, TransientError) else None)
    if retry is None or tries >= retry.attempts:
        return None
    # Bounded before the power: attempts may be many.
    delay = min(retry.max_delay_seconds, retry.backoff_seconds * 2.0 ** min(tries - 1, 60))
    delay *= 1.0 - retry.jitter * random()
    hint = getattr(error, "after_seconds", None) or 0.0
    return now + timedelta(seconds=max(delay, hint))


def message_output(text: str, operator: str, at: datetime) -> dict[str, Any]:
    """The output of a step that waited for a message, once it came."""
    return {"text": text, "operator": operator, "at": at.isoformat()}


class _Stop(Exception):
    def __init__(self, step: str, error: str, reason: FailReason = "error") -> None:
        super().__init__(error)
        self.step, self.error, self.reason = step, error, reason


class _Planner:
    """One look at the rows."""

    def __init__(
        self,
        playbook: Playbook,
        run: RunView,
        steps: Iterable[StepRow],
        approvals: Iterable[ApprovalRow],
        now: datetime,
    ) -> None:
        self.playbook, self.run, self.now = playbook, run, now
        self.rows = {row.step: row for row in steps}
        self.approvals = {row.step: row for row in approvals}
        self.skipped = {row.step for row in self.rows.values() if row.state == "skipped"}
        self.outputs = {row.step: row.output for row in self.rows.values() if row.state in ("done", "skipped")}
        self.scope: dict[str, Any] | None = None
        self.deadline: datetime | None = None
        self.calls: list[StepCall] = []
        self.waits: list[Waiting] = []
        self.settled: list[Settled] = []
        self.parked: list[Parked] = []
        self.asks: list[ApprovalAsk] = []
        self.lapsed: list[Lapsed] = []

    def decide(self) -> Decision:
        if self.run.cancel_by is not None:
            return Cancel(self.run.cancel_by)
        try:
            self._check_failures()
            if self._whole_is_approved():
                self.deadline = self._deadline()
                for step in self.playbook.every_step:
                    self._look_at(step)
                return self._conclude()
        except _Stop as stop:
            return Fail(stop.step, stop.error, stop.reason, self._changes())
        return self._parked_until()

    def digest(self, step: Step | None, arguments: Mapping[str, Any]) -> str:
        """What an approval of this step, or of the whole, is bound to."""
        steps = self.playbook.every_step if step is None else (step,)
        outline = {
            "station": self.run.station.slug,
            "steps": [{"id": one.id, "uses": one.uses} for one in steps],
        }
        return approval_digest(arguments, outline, self.playbook.digest)

    def arguments(self, step: Step | None) -> dict[str, Any]:
        """What would be done with: the run's inputs, or the step's own."""
        if step is None:
            return dict(self.run.inputs)
        return {name: self._evaluate(template) for name, template in step.inputs.items()}

    def _evaluate(self, template: Template) -> Any:
        if isinstance(template, Literal):
            return template.value
        if self.scope is None:
            # Made when first needed: most looks at a run evaluate nothing.
            self.scope = {
                "inputs": self.run.inputs,
                # Grows while steps are settled, as `outputs` does.
                "steps": self.outputs,
                "station": station_scope(self.run.station),
                "run": run_scope(self.playbook, self.run),
            }
        return evaluate(template, self.scope)

    def _check_failures(self) -> None:
        for step in self.playbook.every_step:
            row = self.rows.get(step.id)
            if row is not None and row.state == "failed":
                raise _Stop(step.id, row.error or "failed")

    def _whole_is_approved(self) -> bool:
        rule = self.playbook.approval
        if rule is None and self.run.must_approve:
            rule = ApprovalRule()
        return rule is None or self._is_approved(None, rule, self.arguments(None))

    def _deadline(self) -> datetime | None:
        """When the run must have ended; the time it waited for its own approval does not count."""
        if self.playbook.timeout_seconds is None:
            return None
        begun = self.run.started_at or self.run.created_at
        whole = self.approvals.get(WHOLE)
        if whole is not None and whole.decided_at is not None:
            begun = max(begun, whole.decided_at)
        deadline = begun + timedelta(seconds=self.playbook.timeout_seconds)
        unfinished = [step.id for step in self.playbook.every_step if step.id not in self.outputs]
        if self.now >= deadline and unfinished:
            seconds = f"{self.playbook.timeout_seconds:g} s"
            raise _Stop("", f"the run was not done within {seconds}; unfinished: {', '.join(unfinished)}", "timeout")
        return deadline

    def _look_at(self, step: Step) -> None:
        if step.id in self.outputs or any(need not in self.outputs for need in step.needs):
            return
        try:
            self._go_on(step, self.rows.get(step.id))
        except ExpressionError as error:
            raise _Stop(step.id, str(error)) from error

    def _go_on(self, step: Step, row: StepRow | None) -> None:
        """A step whose needs are settled, and which is not."""
        if row is None:
            if not self._is_wanted(step):
                self._settle(step, "skipped", None)
            elif step.wait is not None:
                self._begin_wait(step)
            else:
                self._act(step, tries=0)
            return
        match row.state:
            case "waiting":
                if step.wait is not None:
                    self._continue_wait(step, row.due_at)
                elif waits_for_answer(row.output) and (row.due_at is None or row.due_at > self.now):
                    self._wait(step, "answer", row.due_at)
                else:
                    self._act(step, tries=row.tries)
            case "retrying":
                if row.due_at is not None and row.due_at > self.now:
                    self._wait(step, "retry", row.due_at)
                else:
                    self._act(step, tries=row.tries)
            case "done" | "skipped" | "failed":
                raise AssertionError(f"{step.id} has ended")
            case _:
                assert_never(row.state)

    def _is_wanted(self, step: Step) -> bool:
        if step.condition is not None:
            return is_true(self._evaluate(step.condition))
        return not any(need in self.skipped for need in step.needs)

    def _act(self, step: Step, tries: int) -> None:
        arguments = self.arguments(step)
        if step.approve is not None and not self._is_approved(step, step.approve, arguments):
            return
        if step.uses is None:
            row = self.approvals[step.id]
            decided = None if row.decided_at is None else row.decided_at.isoformat()
            self._settle(step, "done", {"approved_by": list(row.by), "decided_at": decided, "comment": row.comment})
            return
        timeout = step.timeout_seconds
        if self.deadline is not None:
            timeout = min(timeout, (self.deadline - self.now).total_seconds())
        self.calls.append(StepCall(step.id, step.index, step.title, step.uses, arguments, timeout, tries + 1))

    def _begin_wait(self, step: Step) -> None:
        wait = step.wait
        assert wait is not None
        due: datetime | None = None
        if wait.until is not None:
            due = _moment(step, self._evaluate(wait.until))
        elif wait.for_seconds is not None:
            due = self.now + timedelta(seconds=wait.for_seconds)
        prompt = None if wait.message is None else as_text(self._evaluate(wait.message))
        if due is None or due > self.now:
            self.parked.append(Parked(step.id, step.index, due, prompt))
        self._continue_wait(step, due)

    def _continue_wait(self, step: Step, due: datetime | None) -> None:
        assert step.wait is not None
        if due is None or due > self.now:
            self._wait(step, "timer" if step.wait.message is None else "message", due)
        elif step.wait.message is None:
            self._settle(step, "done", {"until": due.isoformat()})
        else:
            # Nobody answered: the playbook sees null and decides by `if`.
            self._settle(step, "done", None)

    def _is_approved(self, step: Step | None, rule: ApprovalRule, arguments: Mapping[str, Any]) -> bool:
        """True when approved, False when it must wait; raises when it never will be."""
        step_id = WHOLE if step is None else step.id
        row = self.approvals.get(step_id)
        digest = self.digest(step, arguments)
        if row is None:
            self._ask(step, rule, arguments, digest)
            return False
        if row.state == "void" or (row.state != "denied" and row.digest != digest):
            raise _Stop(step_id, "what was to be approved has changed since; the approval is void, start again", "void")
        match row.state:
            case "approved":
                return True
            case "denied":
                raise _Stop(step_id, _denial(row), "denied")
            case "expired":
                raise _Stop(step_id, "nobody approved it in time", "expired")
            case "held":
                self._wait_for(step_id, "approval", None)
                return False
            case "open":
                self._lapse_or_wait(step_id, row)
                return False
            case _:
                assert_never(row.state)

    def _lapse_or_wait(self, step_id: str, row: ApprovalRow) -> None:
        if row.expires_at is None or row.expires_at > self.now:
            self._wait_for(step_id, "approval", row.expires_at)
        elif row.on_expiry == "hold":
            self.lapsed.append(Lapsed(step_id, "held"))
            self._wait_for(step_id, "approval", None)
        else:
            self.lapsed.append(Lapsed(step_id, "expired"))
            raise _Stop(step_id, "nobody approved it in time", "expired")

    def _ask(self, step: Step | None, rule: ApprovalRule, arguments: Mapping[str, Any], digest: str) -> None:
        expires = None if rule.expires_seconds is None else self.now + timedelta(seconds=rule.expires_seconds)
        title = self.playbook.title if step is None else step.title
        if rule.title is not None:
            title = as_text(self._evaluate(rule.title))
        detail = {
            "playbook": self.playbook.id,
            "step": None if step is None else step.id,
            "action": None if step is None else step.uses,
            "arguments": dict(arguments),
        }
        self.asks.append(ApprovalAsk(WHOLE if step is None else step.id, title, rule, expires, digest, detail))
        if step is not None and step.id not in self.rows:
            self.parked.append(Parked(step.id, step.index))
        self._wait_for(WHOLE if step is None else step.id, "approval", expires)

    def _settle(self, step: Step, state: str, output: Any) -> None:
        if state == "skipped":
            self.skipped.add(step.id)
            self.settled.append(Settled(step.id, step.index, "skipped", None))
        else:
            self.settled.append(Settled(step.id, step.index, "done", output))
        self.outputs[step.id] = output

    def _wait(self, step: Step, kind: WaitKind, due: datetime | None) -> None:
        self._wait_for(step.id, kind, due)

    def _wait_for(self, step_id: str, kind: WaitKind, due: datetime | None) -> None:
        self.waits.append(Waiting(step_id, kind, due))

    def _changes(self) -> Changes:
        return Changes(tuple(self.settled), tuple(self.parked), tuple(self.asks), tuple(self.lapsed))

    def _conclude(self) -> Decision:
        if self.calls:
            return RunSteps(tuple(self.calls), self._changes())
        if self.waits:
            return self._parked_until()
        card = self.outputs.get(REPLY)
        if self.playbook.reply_card is not None:
            card = self._written_card(self.playbook.reply_card)
        return Finish(card, self._changes())

    def _written_card(self, template: Template) -> dict[str, Any]:
        try:
            return Card.model_validate(self._evaluate(template)).model_dump(mode="json")
        except (ExpressionError, ValidationError) as error:
            why = explain(error) if isinstance(error, ValidationError) else str(error)
            raise _Stop(REPLY, f"its card can't be written: {why}") from error

    def _parked_until(self) -> Wait:
        dues = [wait.due_at for wait in self.waits if wait.due_at is not None]
        if self.deadline is not None:
            dues.append(self.deadline)
        return Wait(min(dues, default=None), tuple(self.waits), self._changes())


def _denial(row: ApprovalRow) -> str:
    who = f" by {' and '.join(row.by)}" if row.by else ""
    return f"denied{who}: {row.comment}" if row.comment else f"denied{who}"


def _moment(step: Step, value: Any) -> datetime:
    """A time that an expression gave: ISO 8601 text with a zone."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _Stop(step.id, f"waits until {value!r}, which is no time with a zone, e.g. 2026-03-01T12:00:00Z")
    return moment
