"""Starting runs for callers of the API: decided, stored once under their key, with its hint and audit row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from vtoc_bots.core.access import Decision
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.errors import Forbidden, NotFound, UsageError
from vtoc_bots.core.observe.tracing import current_traceparent
from vtoc_bots.core.playbooks.inputs import bind_inputs
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.start import playbook_ask, run_row
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.store.idempotency import remember
from vtoc_bots.core.store.pool import Connection
from vtoc_bots.core.web.typed import Call

Also = Callable[[Connection, UUID], Awaitable[None]]
"""What else the transaction writes for a new run of that id."""


async def start_playbook(call: Call, playbook: Playbook, given: Mapping[str, Any], also: Also | None = None) -> UUID:
    """Start a run for the caller; its id.

    Raises UsageError for inputs that won't do, Forbidden, and NotFound where it works only for who asks in a chat.
    """
    if not call.parts.library.is_for_programs(playbook):
        raise NotFound(f"{playbook.id} works only for an operator who asks in a chat")
    bound = bind_inputs(playbook, given)
    if bound.missing:
        names = " and ".join(field.name for field in bound.missing)
        raise UsageError(f"{playbook.id} needs {names}")
    ask = playbook_ask(playbook, bound.values)
    decision = await call.parts.access.decide(call.principal.operator, call.station, ask)
    return await start_run(call, playbook, bound.values, decision, also)


async def start_run(
    call: Call, playbook: Playbook, inputs: Mapping[str, Any], decision: Decision, also: Also | None = None
) -> UUID:
    """Store the run, its hint, its audit row and the caller's key in one transaction; the run's id.

    Under a key that is known it is the id of the run that was started then. Raises Forbidden and KeyReused.
    """
    if not decision.allowed:
        raise Forbidden(decision.reason)
    row = run_row(
        playbook,
        inputs,
        call.station,
        decision,
        key=call.request_key,
        operator_id=call.principal.operator.id,
        correlation_id=call.correlation_id,
        trace=current_traceparent(),
    )
    audit = audit_row(
        actor=call.principal.actor,
        event="run.asked",
        subject=f"playbook:{playbook.id}",
        station=call.station.slug,
        detail={
            "name": call.principal.operator.name,
            "run": str(row["id"]),
            "inputs": dict(inputs),
            "verdict": decision.verdict.name,
            "reason": decision.reason,
        },
        correlation_id=call.correlation_id,
        at=call.parts.clock.now(),
    )

    async def work(connection: Connection) -> UUID:
        if call.key is not None:
            result = {"run_id": str(row["id"])}
            known = await remember(connection, call.principal.actor, call.key, call.digest, result)
            if not known.first:
                return UUID(known.result["run_id"])
        await write_effects(connection, call.correlation_id, Effects(runs=[row], audit=[audit]))
        if also is not None:
            await also(connection, row["id"])
        return row["id"]  # type: ignore[no-any-return]  # made by run_row

    return await call.parts.store.run(work, transaction=True, idempotent=True)
