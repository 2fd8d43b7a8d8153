"""What the planner is given (rows) and what it gives back (decisions)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from vtoc_bots.core.access import Station
from vtoc_bots.core.playbooks.model import ApprovalRule

StepState = Literal["done", "skipped", "failed", "retrying", "waiting"]
ApprovalState = Literal["open", "approved", "denied", "expired", "void", "held"]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run's row, as far as planning goes. `inputs` are canonical JSON values; `operator` the asker's name.

    `must_approve` is set where a policy asks for an approval that the playbook itself does not declare.
    """

    id: UUID
    inputs: dict[str, Any]
    station: Station
    created_at: datetime
    started_at: datetime | None = None
    operator: str | None = None
    conversation: str | None = None
    correlation_id: UUID | None = None
    cancel_by: str | None = None
    must_approve: bool = False


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step's row. No row means that it has not ended, parked or failed yet. `tries` counts the tries made."""

    step: str
    state: StepState
    tries: int = 0
    output: Any = None
    error: str | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """An approval's row. `by` are the names of those who voted for the outcome, `comment` their reason."""

    step: str
    state: ApprovalState
    digest: str
    expires_at: datetime | None = None
    on_expiry: Literal["deny", "hold"] = "deny"
    decided_at: datetime | None = None
    by: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A step that ends without an action: write its row with this state and output."""

    step: str
    index: int
    state: Literal["done", "skipped"]
    output: Any = None


@dataclass(frozen=True, slots=True)
class Parked:
    """A step that begins to wait: write its row as ``waiting``. `prompt` is a question for the run's conversation."""

    step: str
    index: int
    due_at: datetime | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalAsk:
    """An approval to be asked for now. `detail` is JSON: what is going to be done with which values."""

    step: str
    title: str
    rule: ApprovalRule
    expires_at: datetime | None
    digest: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lapsed:
    """An approval whose time is over: write this state."""

    step: str
    state: Literal["expired", "held"]


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows to write in the same transaction as the decision. Writing them twice must be writing them once."""

    settled: tuple[Settled, ...] = ()
    parked: tuple[Parked, ...] = ()
    asks: tuple[ApprovalAsk, ...] = ()
    lapsed: tuple[Lapsed, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.settled or self.parked or self.asks or self.lapsed)


@dataclass(frozen=True, slots=True)
class StepCall:
    """An action to be run now; `tries` counts this one."""

    step: str
    index: int
    title: str
    action: str
    inputs: Mapping[str, Any]
    timeout_seconds: float
    tries: int


WaitKind = Literal["approval", "message", "timer", "retry", "answer"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that a run waits for, until `due_at` where that is known."""

    step: str
    kind: WaitKind
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunSteps:
    """Run these actions, side by side; write each one's row; then plan again."""

    calls: tuple[StepCall, ...]
    changes: Changes = field(default_factory=Changes)


@dataclass(frozen=True, slots=True)
class Wait:
    """Park the run until `until` (None: until something wakes it)."""

    until: datetime | None
    waits: tuple[Waiting, ...]
    changes: Changes = field(default_factory=Changes)

    @property
    def reason(self) -> str:
        """What it waits for, in a few words, for people and for the run's row."""
        kinds = dict.fromkeys(wait.kind for wait in self.waits)
        return ", ".join(kinds)


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything is done. `card` is the reply's JSON, None where the playbook declares no reply."""

    card: Mapping[str, Any] | None
    changes: Changes = field(default_factory=Changes)


FailReason = Literal["error", "timeout", "denied", "expired", "void"]


@dataclass(frozen=True, slots=True)
class Fail:
    """The run has failed at `step` (empty: the run as a whole); `error` is for the person who asked."""

    step: str
    error: str
    reason: FailReason = "error"
    changes: Changes = field(default_factory=Changes)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody cancelled the run."""

    by: str
    changes: Changes = field(default_factory=Changes)


Decision: TypeAlias = RunSteps | Wait | Finish | Fail | Cancel
