"""A playbook as the planner sees it: checked, parsed, immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from vtoc_bots.core.access import Level
from vtoc_bots.core.playbooks.expressions import Template

REPLY: Final = "reply"
"""The id under which the reply's action stands among the steps."""
WHOLE: Final = ""
"""The step id of an approval that covers the whole run."""

DEFAULT_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input. `default` is text or a plain value as the YAML has it; None where there is none."""

    name: str
    type: str
    default: Any = None
    required: bool = False
    help: str = ""
    choices: tuple[str, ...] = ()
    minimum: Any = None
    maximum: Any = None


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """Who must approve. `expires_seconds` None means never; `on_expiry` ``hold`` keeps it open past its time."""

    quorum: int = 1
    level: Level = Level.LEAD
    exclude_requester: bool = True
    expires_seconds: float | None = 24 * 3600.0
    on_expiry: Literal["deny", "hold"] = "deny"
    title: Template | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` counts the first try too. The delay doubles from `backoff_seconds` up to `max_delay_seconds`.

    `jitter` is the fraction of a delay, 0 to 1, that chance may take away.
    """

    attempts: int = 3
    backoff_seconds: float = 1.0
    max_delay_seconds: float = 60.0
    jitter: float = 0.5


@dataclass(frozen=True, slots=True)
class WaitRule:
    """What a step waits for: a span (`for_seconds`), a moment (`until`), or a message (`message` is the question).

    With `message`, `for_seconds` is how long at most.
    """

    for_seconds: float | None = None
    until: Template | None = None
    message: Template | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One unit. It either uses an action (perhaps after an approval), or only waits or only asks for approval.

    `needs` are the ids of steps above it: those it names and those its expressions refer to.
    """

    id: str
    index: int
    title: str
    needs: tuple[str, ...] = ()
    uses: str | None = None
    inputs: Mapping[str, Template] = field(default_factory=dict)
    condition: Template | None = None
    approve: ApprovalRule | None = None
    wait: WaitRule | None = None
    retry: Retry | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class Playbook:
    """A role's declared procedure. `role` None means every role.

    `reply` is a last step (its id is REPLY) whose action returns a card, `reply_card` a card written out; at most one
    is set. `digest` is the SHA-256 of the canonical content: comments and layout don't count. `where` is the file.
    """

    id: str
    title: str
    steps: tuple[Step, ...]
    role: str | None = None
    description: str = ""
    level: Level = Level.OPERATOR
    private: bool = True
    inputs: tuple[InputSpec, ...] = ()
    approval: ApprovalRule | None = None
    timeout_seconds: float | None = None
    reply: Step | None = None
    reply_card: Template | None = None
    source: str = ""
    digest: str = ""
    where: str = ""

    @property
    def every_step(self) -> tuple[Step, ...]:
        """The steps and, last, the reply's where it has an action."""
        return self.steps if self.reply is None else (*self.steps, self.reply)

    @property
    def has_approvals(self) -> bool:
        """Whether anything in it is declared to need an approval."""
        return self.approval is not None or any(step.approve is not None for step in self.steps)

    def step(self, step_id: str) -> Step | None:
        """The step of an id, REPLY included."""
        return next((step for step in self.every_step if step.id == step_id), None)
