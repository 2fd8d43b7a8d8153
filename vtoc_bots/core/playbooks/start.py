"""The row of a run that begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from vtoc_bots.core.access import Ask, Decision, Level, Station, Verdict
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.store.effects import Row


def run_row(
    playbook: Playbook,
    inputs: Mapping[str, Any],
    station: Station,
    decision: Decision,
    *,
    key: str,
    operator_id: UUID | None,
    correlation_id: UUID,
    trace: str | None,
    conversation: str | None = None,
    reply: Mapping[str, Any] | None = None,
) -> Row:
    """Columns by name, for `Effects.runs`. `inputs` are canonical, `decision` is that of `playbook_ask`."""
    return {
        "id": new_id(),
        "key": key,
        "playbook": playbook.id,
        "title": playbook.title,
        "role": playbook.role,
        "station": station.slug,
        "source": playbook.source,
        "digest": playbook.digest,
        "inputs": dict(inputs),
        "conversation": conversation,
        "operator_id": operator_id,
        "private": playbook.private,
        "must_approve": decision.verdict is Verdict.REQUIRE_APPROVAL and not playbook.has_approvals,
        "correlation_id": correlation_id,
        "trace": trace,
        "reply": reply,
    }


def playbook_ask(playbook: Playbook, inputs: Mapping[str, Any] | None) -> Ask:
    """What `Access.decide` is asked about running a playbook."""
    roles = frozenset({playbook.role}) if playbook.role else frozenset()
    return Ask(f"playbook:{playbook.id}", playbook.level, roles, inputs)


def run_ask(what: Literal["approve", "cancel"], playbook: str, inputs: Mapping[str, Any], level: Level) -> Ask:
    """What `Access.decide` is asked about somebody else's run: rules may look at its playbook and its inputs."""
    return Ask(f"{what}:{playbook}", level, arguments={**inputs, "playbook": playbook})
