"""The events of a run for whoever watches it: what is new since the last one they saw, from the run's rows alone."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from vtoc_bots.core.store.agent_actions import PRIVATE
from vtoc_bots.core.store.run_pages import RunSeen

ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
_LONGEST_ID: Final = 8000


class RunEvent(NamedTuple):
    """One event of the stream: ``step`` or ``run``; `id` says all that was seen up to it."""

    id: str
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody has seen of a run: its state and what it waits for, and each step's state and tries by index."""

    state: str = ""
    steps: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether they have seen its end."""
        return self.state in ENDED


def id_of(seen: Seen) -> str:
    """The id of the event after which so much was seen."""
    return base64.urlsafe_b64encode(orjson.dumps([seen.state, dict(seen.steps)])).decode().rstrip("=")


def seen_of(event_id: str | None) -> Seen:
    """What was seen by whoever got that event last; nothing where the id is none of ours."""
    if not event_id or len(event_id) > _LONGEST_ID:
        return Seen()
    try:
        state, steps = orjson.loads(base64.urlsafe_b64decode(event_id + "=" * (-len(event_id) % 4)))
        if isinstance(state, str) and all(isinstance(value, str) for value in steps.values()):
            return Seen(state, steps)
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return Seen()
    return Seen()


def events_since(seen: Seen, run: RunSeen) -> tuple[list[RunEvent], Seen]:
    """What is new, steps first and the run's own state last, and what has been seen after it.

    Between two looks a step or run may pass through several states; the last one is told.
    """
    events: list[RunEvent] = []
    for step in run.steps:
        mark = f"{step.state}{step.tries}"
        if seen.steps.get(str(step.number)) == mark:
            continue
        seen = Seen(seen.state, {**seen.steps, str(step.number): mark})
        data = {"run_id": str(run.id), **step._asdict()}
        events.append(RunEvent(id_of(seen), "step", data))
    state = run.state if run.state != "waiting" else f"waiting:{run.waiting_for}"
    if seen.state != state:
        seen = Seen(state, seen.steps)
        data = {"run_id": str(run.id), "state": run.state, "waiting_for": run.waiting_for, "error": run.error}
        events.append(RunEvent(id_of(seen), "run", data))
    return events, seen


def without_errors(run: RunSeen) -> RunSeen:
    """The run as those see it whom it does not concern: what went wrong is not told."""
    steps = tuple(step._replace(error=step.error and PRIVATE) for step in run.steps)
    return run._replace(error=run.error and PRIVATE, steps=steps)
