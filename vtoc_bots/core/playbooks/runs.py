"""Advancing runs: claim, look at the rows, do what the planner says, checkpoint, and again until it parks or ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, assert_never
from uuid import UUID

import structlog

from vtoc_bots.core.cards import Card
from vtoc_bots.core.elsewhere import KEPT, Elsewhere
from vtoc_bots.core.errors import LostLease, TransientError, VtocError
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.leases import Grip, LeaseKeeper
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.observers import Observers
from vtoc_bots.core.observe.tracing import span
from vtoc_bots.core.people import People
from vtoc_bots.core.playbooks import decisions
from vtoc_bots.core.playbooks.acting import StoppedByCancel, acted
from vtoc_bots.core.playbooks.actions import call_action
from vtoc_bots.core.playbooks.approvals import Approvals
from vtoc_bots.core.playbooks.cards import progress_card
from vtoc_bots.core.playbooks.decisions import (
    Cancel,
    Changes,
    Fail,
    Finish,
    RunSteps,
    RunView,
    StepCall,
    StepState,
    Wait,
)
from vtoc_bots.core.playbooks.endings import end_effects
from vtoc_bots.core.playbooks.held import HeldRuns
from vtoc_bots.core.playbooks.inquiries import inquiry_of, is_carried, kept_of, question_effects, remembered
from vtoc_bots.core.playbooks.library import Library
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.plan import plan, retry_at
from vtoc_bots.core.playbooks.progress import ProgressBoard, add_prompts
from vtoc_bots.core.playbooks.step_context import StepContext
from vtoc_bots.core.ports import Clock, Services
from vtoc_bots.core.questions import PersonNeeded
from vtoc_bots.core.store.effects import Effects
from vtoc_bots.core.store.runs import Checkpoint, ClaimedRun, Move, RunRows, StepRow

logger = structlog.get_logger(__name__)

MAX_FAILURES: Final = 12
"""Claims in a row without a checkpoint, after which a run is taken to kill its workers."""


class Runner:
    """Advances the runs of one worker."""

    def __init__(
        self,
        rows: RunRows,
        library: Library,
        approvals: Approvals,
        board: ProgressBoard,
        services: Services,
        people: People,
        clock: Clock,
        metrics: Metrics,
        observers: Observers,
        lease_seconds: float,
    ) -> None:
        self._observers = observers
        self._rows, self._library, self._approvals, self._board = rows, library, approvals, board
        self._services, self._people, self._clock, self._metrics = services, people, clock, metrics
        self.keeper: LeaseKeeper[tuple[UUID, int]] = LeaseKeeper(_run_of, self._renew, clock, lease_seconds)
        self._cancels: dict[UUID, asyncio.Event] = {}
        self.held = HeldRuns(clock)

    async def advance(self, payload: str) -> None:
        """Take the run as far as it goes now. Does nothing when it is held elsewhere, ended or not due."""
        began = self._clock.monotonic()
        run = await self._rows.claim(UUID(payload))
        if run is None:
            return
        cancelled = self._cancels[run.id] = asyncio.Event()
        try:
            spanned = span("run", run.trace, correlation_id=run.correlation_id, playbook=run.playbook)
            with self.keeper.keep((run.id, run.attempt), began) as grip, spanned:
                await _Advance(self, run, grip, cancelled).go()
        except LostLease as lost:
            logger.warning("run_lost", run=short_id(run.id), error=str(lost))
        finally:
            self._cancels.pop(run.id, None)
            self._board.drop(run.id)

    async def _renew(self, held: list[tuple[UUID, int]]) -> set[UUID]:
        still = await self._rows.renew(held)
        for run_id, cancel_by in still.items():
            if cancel_by is not None and run_id in self._cancels:
                self._cancels[run_id].set()
        return set(still)


def _run_of(held: tuple[UUID, int]) -> UUID:
    return held[0]


class _Advance:
    """One claim of one run."""

    def __init__(self, runner: Runner, run: ClaimedRun, grip: Grip[tuple[UUID, int]], cancelled: asyncio.Event) -> None:
        self._runner, self._run, self._grip, self._cancelled = runner, run, grip, cancelled
        self._rows, self._clock = runner._rows, runner._clock
        self._wake_seq, self._cancel_by = run.wake_seq, run.cancel_by
        self._steps: dict[str, StepRow] = {}
        self._running: dict[str, str] = {}
        self._unstored: list[StepRow] = []
        """Checkpoints that go with the next write; no step begins before they are stored."""

    async def go(self) -> None:
        run = self._run
        try:
            playbook = self._runner._library.of_run(run.playbook, run.digest, run.source)
            station = await self._runner._people.station(run.station)
            operator = None if run.operator_id is None else await self._runner._people.operator(run.operator_id)
        except TransientError:
            raise  # the database, not the playbook: the run is taken up again when its lease has run out
        except VtocError as error:
            await self._end(None, "failed", None, str(error))
            return
        if run.failures > MAX_FAILURES:
            stuck = f"it ended {MAX_FAILURES} workers without finishing a step, and is not tried again"
            await self._end(playbook, "failed", None, stuck)
            return
        if run.attempt > 1:
            await self._load()
        self._playbook, self._station, self._operator = playbook, station, operator
        try:
            while await self._step():
                pass
        except Exception:
            # What was done stays done, whatever is wrong with what follows from it.
            await self._store_all()
            raise

    async def _load(self) -> None:
        self._steps = {row.step: row for row in await self._rows.steps(self._run.id)}

    async def _step(self) -> bool:
        """One look and what follows from it; False when the run is parked or has ended."""
        decision = await self._decide()
        match decision:
            case RunSteps():
                await self._apply(decision.changes)
                await self._store_all()
                await self._run_all(decision.calls)
                return True
            case Wait():
                await self._apply(decision.changes)
                return not await self._park(decision)
            case Finish():
                await self._apply(decision.changes)
                return not await self._end(self._playbook, "succeeded", decision.card, None)
            case Fail():
                await self._apply(decision.changes)
                where = f"step {decision.step}: " if decision.step else ""
                return not await self._end(self._playbook, "failed", None, where + decision.error)
            case Cancel():
                return not await self._end(self._playbook, "cancelled", None, f"cancelled by {decision.by}")
            case _:
                assert_never(decision)

    async def _decide(self) -> decisions.Decision:
        run = self._run
        approvals: list[decisions.ApprovalRow] = []
        if run.must_approve or self._playbook.has_approvals:
            approvals = await self._runner._approvals.rows_of(run.id)
        view = RunView(
            id=run.id,
            inputs=run.inputs,
            station=self._station,
            created_at=run.created_at,
            started_at=run.started_at,
            operator=None if self._operator is None else self._operator.name,
            conversation=run.conversation,
            correlation_id=run.correlation_id,
            cancel_by=self._cancel_by,
            must_approve=run.must_approve,
        )
        rows = [
            decisions.StepRow(row.step, row.state, row.tries, row.output, row.error, row.due_at)
            for row in self._steps.values()
        ]
        return plan(self._playbook, view, rows, approvals, self._clock.now())

    async def _apply(self, changes: Changes) -> None:
        """The rows of a decision: its steps go with the next write, its questions are put at once."""
        for settled in changes.settled:
            self._keep(StepRow(settled.step, settled.index, settled.state, 1, settled.output, None, None, None))
        if changes.asks or changes.lapsed or any(parked.prompt for parked in changes.parked):
            await self._store_all()
            effects = self._runner._approvals.effects(self._run, changes)
            add_prompts(effects, self._run, changes.parked)
            # Before the rows that say it was asked: who takes the run over in between asks again, by the same key.
            await self._move("ready", effects=effects)
            await self._runner._approvals.lapse(self._run.id, changes.lapsed)
        for parked in changes.parked:
            self._keep(StepRow(parked.step, parked.index, "waiting", 0, None, None, parked.due_at, None))

    def _keep(self, row: StepRow) -> None:
        self._steps[row.step] = row
        self._unstored.append(row)

    async def _store_all(self) -> None:
        rows, self._unstored = self._unstored, []
        await asyncio.gather(*(self._store(row) for row in rows))

    async def _store(self, row: StepRow) -> None:
        stored = await self._rows.checkpoint(Checkpoint(self._run.id, self._run.attempt, row))
        if stored is None:
            raise LostLease(f"run {short_id(self._run.id)} was taken over at step {row.step}")
        self._steps[row.step] = row
        self._cancel_by = stored.cancel_by or self._cancel_by

    async def _run_all(self, calls: tuple[StepCall, ...]) -> None:
        # Frozen after the last checkpoint, this worker would begin what another has done meanwhile.
        self._grip.check()
        for call in calls:
            self._running[call.step] = call.title
        self._tell()
        if len(calls) == 1:
            await self._run_one(calls[0])
            return
        ended = await asyncio.gather(*(self._run_one(call) for call in calls), return_exceptions=True)
        for failure in ended:
            if failure is not None:
                raise failure

    async def _run_one(self, call: StepCall) -> None:
        started, tries = self._clock.now(), call.tries
        state: StepState = "done"
        output: Any = None
        error: str | None = None
        due: datetime | None = None
        try:
            with span("step", None, step=call.step, action=call.action):
                output = await self._act(call)
        except StoppedByCancel:
            await self._read_wakes()
            return
        except PersonNeeded as needed:
            await self._ask(call, needed, started)
            return
        except Elsewhere as away:
            state, tries, output, error = "waiting", tries - 1, {KEPT: dict(away.memo)}, str(away)
            due = self._clock.now() + timedelta(seconds=away.after_seconds)
        except Exception as failure:
            state, error, due = self._failure(call, failure)
            output = self._kept(call.step)  # what was answered is not asked again
        finally:
            self._running.pop(call.step, None)
        self._runner._metrics.step_ended(call.action, state)
        row = StepRow(call.step, call.index, state, tries, output, error, due, started)
        if not self._running:
            self._keep(row)
            return
        # The steps beside it may run for long yet.
        await self._store(row)
        self._tell()

    async def _ask(self, call: StepCall, needed: PersonNeeded, started: datetime) -> None:
        """Put the action's question to people, and keep it in the step's row; the run waits then."""
        kept = kept_of(needed, self._kept(call.step))
        due = self._clock.now() + timedelta(seconds=needed.question.seconds)
        await self._move("ready", effects=question_effects(self._run, call.step, needed.question))
        await self._store(StepRow(call.step, call.index, "waiting", call.tries - 1, kept, None, due, started))
        if needed.held:
            self._runner.held.add(self._run.id, needed.question.seconds)

    def _kept(self, step: str) -> Any:
        """What the step's row holds of questions and answers or of work elsewhere, None where there is nothing."""
        row = self._steps.get(step)
        return row.output if row is not None and is_carried(row.output) else None

    async def _act(self, call: StepCall) -> Any:
        """The action's output. Raises TimeoutError past its timeout, and what the action raises."""
        spec = self._runner._library.action(call.action)
        context = StepContext(
            self._run.id,
            call.step,
            self._station,
            self._operator,
            self._clock,
            self._runner._services,
            self._told,
            lambda memo: self._store(remembered(call, memo, self._clock.now())),
            inquiry_of(self._kept(call.step)),
            self._run.conversation is not None,
            (self._run.reply or {}).get("text", ""),
        )
        return await acted(call_action(spec, context, call.inputs), call.action, self._cancelled, call.timeout_seconds)

    def _failure(self, call: StepCall, failure: Exception) -> tuple[StepState, str, datetime | None]:
        step = self._playbook.step(call.step)
        assert step is not None
        due = retry_at(step, failure, call.tries, self._clock.now(), random.random)
        known = isinstance(failure, VtocError | TimeoutError)
        log = logger.info if known else logger.exception
        log("step_failed", run=short_id(self._run.id), step=call.step, action=call.action, error=str(failure))
        text = str(failure) if known else f"{type(failure).__name__}: {failure}"
        return ("failed" if due is None else "retrying"), text, due

    def _told(self, step: str, text: str, done: int | None, total: int | None) -> None:
        share = f" {done}/{total}" if done is not None and total is not None else ""
        self._running[step] = f"{text}{share}"
        self._tell()

    def _card(self, state: str) -> Card:
        return progress_card(self._playbook, self._steps.values(), self._running, state, self._run)

    def _tell(self) -> None:
        if self._run.conversation is not None:
            self._runner._board.tell(self._run, self._card("running"))

    async def _park(self, decision: Wait) -> bool:
        """Park the run; False when it was woken meanwhile and is to be looked at again."""
        told = await self._runner._board.parked(self._run, self._card("waiting"), decision)
        if await self._try_move("waiting", waiting_for=decision.reason, due_at=decision.until, effects=told):
            self._moved("waiting")
            return True
        await self._look_again()
        return False

    async def _look_again(self) -> None:
        """Take in what happened since the run was last looked at."""
        await self._store_all()
        await self._read_wakes()
        await self._load()

    async def _read_wakes(self) -> None:
        wakes = await self._rows.wakes(self._run.id, self._run.attempt)
        if wakes is None:
            raise LostLease(f"run {short_id(self._run.id)} was taken over")
        self._wake_seq, self._cancel_by = wakes

    async def _end(
        self, playbook: Playbook | None, state: str, card: Mapping[str, Any] | None, error: str | None
    ) -> bool:
        """End the run and tell; False when it was woken as its last step ended, and is to be looked at again."""
        run = self._run
        effects = end_effects(run, playbook, self._steps.values(), state, card, error, self._clock.now())
        self._runner._board.drop(run.id)
        if not await self._try_move(state, result=card, error=error, effects=effects):
            if not self._unstored:
                raise LostLease(f"run {short_id(run.id)} was taken over before it ended")
            await self._look_again()
            return False
        if playbook is None or playbook.has_approvals or run.must_approve:
            await self._runner._approvals.void(run.id)
        self._moved(state)
        logger.info("run_ended", run=short_id(run.id), playbook=run.playbook, state=state, error=error)
        return True

    def _moved(self, state: str) -> None:
        run = self._run
        self._runner._metrics.run_moved(state)
        self._runner._observers.tell("run_changed", id=run.id, playbook=run.playbook, station=run.station, state=state)

    async def _move(self, state: str, **change: Any) -> None:
        if not await self._try_move(state, **change):
            raise LostLease(f"run {short_id(self._run.id)} was taken over")

    async def _try_move(
        self,
        state: str,
        *,
        waiting_for: str | None = None,
        due_at: datetime | None = None,
        result: Any = None,
        error: str | None = None,
        effects: Effects | None = None,
    ) -> bool:
        move = Move(
            self._run.id,
            self._run.attempt,
            self._wake_seq,
            state,
            waiting_for,
            due_at,
            result,
            error,
            effects or Effects(),
            tuple(self._unstored),
        )
        if not await self._rows.move(move):
            return False
        self._unstored = []
        return True
