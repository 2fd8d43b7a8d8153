"""What the end of a run writes: its result where the question was asked, the last of its progress, the audit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.messages import OutboundKind
from vtoc_bots.core.playbooks.cards import progress_card
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.progress import add_run_outbound, progress_effects, result_card
from vtoc_bots.core.store.effects import Effects
from vtoc_bots.core.store.runs import ClaimedRun, StepRow


def end_effects(
    run: ClaimedRun,
    playbook: Playbook | None,
    steps: Collection[StepRow],
    state: str,
    card: Mapping[str, Any] | None,
    error: str | None,
    at: datetime,
) -> Effects:
    """The effects of a run's end in `state`. `playbook` is None where it can't be read any more."""
    effects = Effects()
    add_run_outbound(effects, run, "result", OutboundKind.RESULT, result_card(run, state, card, error))
    if playbook is not None:
        last = progress_card(playbook, steps, {}, state, run)
        effects.outbox += progress_effects(run, last, only_revise=True).outbox
    effects.audit.append(
        audit_row(
            actor=f"run:{run.id}",
            event=f"run.{state}",
            subject=f"playbook:{run.playbook}",
            station=run.station,
            detail={"error": error, "steps": {row.step: row.state for row in steps}},
            correlation_id=run.correlation_id,
            at=at,
        )
    )
    return effects
