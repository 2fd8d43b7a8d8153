"""Playbook runs: started, listed, watched, cancelled."""

from __future__ import annotations

from typing import Any, Final, Literal
from uuid import UUID

import orjson
from aiohttp import web
from aiohttp_sse import sse_response
from pydantic import Field

from vtoc_bots.core.access import Level
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.errors import Forbidden, NotFound
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.playbooks.start import run_ask
from vtoc_bots.core.store.agent_actions import PRIVATE
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.store.pool import Connection, Row
from vtoc_bots.core.web.documents import (
    Answered,
    Given,
    Json,
    Moment,
    Page,
    PageQuery,
    Word,
    cursor_of,
    page_of,
    place_of,
)
from vtoc_bots.core.web.run_events import ENDED, events_since, seen_of, without_errors
from vtoc_bots.core.web.starting import start_playbook
from vtoc_bots.core.web.typed import Call, operation

State = Literal["ready", "waiting", "succeeded", "failed", "cancelled"]
LOOK_AGAIN_SECONDS: Final = 20.0
"""How often a stream's credential is looked at again."""


class StartRun(Given):
    """Which playbook to run, with which inputs: texts as people write them, or JSON values."""

    playbook: Word
    inputs: Json = Field(default_factory=dict)


class RunDocument(Answered):
    """A run. What a private one came to, its card in `result` or its `error`, is for whoever started it and leads."""

    id: UUID
    short_id: str
    playbook: str
    title: str
    station: str
    state: State
    waiting_for: str | None
    cancel_by: str | None
    inputs: Json
    result: Any
    error: str | None
    private: bool
    mine: bool = Field(description="Whether the caller started it")
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    correlation_id: UUID


class StepDocument(Answered):
    """A step of a run, as far as it has come."""

    index: int
    step: str
    state: Literal["done", "skipped", "failed", "retrying", "waiting"]
    tries: int
    error: str | None
    due_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None


class WholeRun(RunDocument):
    """A run with its steps."""

    steps: list[StepDocument]


class RunQuery(PageQuery):
    """Which runs."""

    state: State | None = None
    playbook: Word | None = None


class Cancelled(Answered):
    """Whether a run is being cancelled."""

    id: UUID
    cancelling: bool = Field(description="False: it had ended already")


@operation("POST", "/runs", level=Level.OPERATOR, status=202, keyed=True, starts=True)
async def start_run(call: Call, body: StartRun) -> RunDocument:
    """Start a run of a playbook.

    It is stored before the answer is given; under the same Idempotency-Key it is started once.
    """
    run_id = await start_playbook(call, call.parts.library.get(body.playbook), body.inputs)
    return _document(call, await _found(call, run_id))


@operation("GET", "/runs")
async def list_runs(call: Call, query: RunQuery) -> Page[RunDocument]:
    """List the station's runs, newest first."""
    before = place_of(query.cursor)
    rows = await call.parts.pages.page(call.station.slug, query.state, query.playbook, before, query.limit + 1)
    return page_of(
        rows, query.limit, lambda row: cursor_of(row["created_at"], row["id"]), lambda row: _document(call, row)
    )


@operation("GET", "/runs/{run_id}")
async def get_run(call: Call, run_id: UUID) -> WholeRun:
    """Show a run with its steps."""
    row = await _found(call, run_id)
    steps = [dict(step) for step in await call.parts.runs.steps(run_id)]
    if _is_hidden(call, row):
        steps = [{**step, "error": step["error"] and PRIVATE} for step in steps]
    document = _document(call, row).model_dump()
    return WholeRun(**document, steps=[StepDocument.model_validate(step) for step in steps])


@operation("POST", "/runs/{run_id}/cancel", level=Level.OPERATOR)
async def cancel_run(call: Call, run_id: UUID) -> Cancelled:
    """Cancel a run: one's own, or with a lead's level anyone's. It stops after what it is doing now."""
    row = await _found(call, run_id)
    operator = call.principal.operator
    if row["operator_id"] != operator.id:
        lead = await call.parts.access.decide(
            operator, call.station, run_ask("cancel", row["playbook"], row["inputs"], Level.LEAD)
        )
        if not lead.allowed:
            raise Forbidden(f"you did not start this run, and {lead.reason}")
    audit = audit_row(
        actor=call.principal.actor,
        event="run.cancel",
        subject=f"run:{run_id}",
        station=call.station.slug,
        detail={"name": operator.name},
        correlation_id=row["correlation_id"],
        at=call.parts.clock.now(),
    )

    async def work(connection: Connection) -> None:
        await write_effects(connection, call.correlation_id, Effects(audit=[audit]))

    await call.parts.store.run(work, transaction=True, idempotent=True)
    return Cancelled(id=run_id, cancelling=await call.parts.runs.cancel(run_id, operator.name))


@operation("GET", "/runs/{run_id}/events")
async def watch_run(call: Call, run_id: UUID) -> web.StreamResponse:
    """Watch a run as server-sent events.

    `step` tells that a step came to a state, `run` that the run did; the stream ends with the run. Each event's id says
    all that was seen, so that a client which sends it as Last-Event-ID gets what is new since; where nothing more will
    come the answer is 204.
    """
    hidden = _is_hidden(call, await _found(call, run_id))
    seen = seen_of(call.request.headers.get("Last-Event-ID"))
    async with call.parts.watch.watch(run_id, call.principal.actor) as watcher:
        run = await watcher.next(LOOK_AGAIN_SECONDS)
        if run is not None and seen.has_ended and not events_since(seen, run)[0]:
            return web.Response(status=204)
        look_at = call.parts.clock.monotonic() + LOOK_AGAIN_SECONDS
        async with sse_response(call.request) as stream:
            while True:
                if call.parts.clock.monotonic() >= look_at:  # somebody whose token was revoked sees no more
                    look_at = call.parts.clock.monotonic() + LOOK_AGAIN_SECONDS
                    await call.parts.authenticator.principal(call.request.headers.get("Authorization"))
                if run is not None:
                    events, seen = events_since(seen, without_errors(run) if hidden else run)
                    for event in events:
                        await stream.send(orjson.dumps(event.data).decode(), id=event.id, event=event.kind)
                    if run.state in ENDED:
                        return stream
                run = await watcher.next(max(0.0, look_at - call.parts.clock.monotonic()))


async def _found(call: Call, run_id: UUID) -> Row:
    row = await call.parts.pages.one(call.station.slug, run_id)
    if row is None:
        raise NotFound(f"there is no run {run_id} at station {call.station.slug}")
    return row


def _document(call: Call, row: Row) -> RunDocument:
    result, error = row["result"], row["error"]
    if _is_hidden(call, row):
        result, error = None, error and PRIVATE
    values = {name: row[name] for name in RunDocument.model_fields if name not in ("short_id", "mine")}
    values |= {"short_id": short_id(row["id"]), "mine": row["operator_id"] == call.principal.operator.id}
    values |= {"result": result, "error": error, "private": _is_private(row)}
    return RunDocument.model_validate(values)


def _is_private(row: Row) -> bool:
    """Whether it is for whoever started it: a public playbook's card may be for one alone, too."""
    return bool(row["private"] or (row["result"] and row["result"].get("private")))


def _is_hidden(call: Call, row: Row) -> bool:
    return _is_private(row) and not call.principal.operator.sees_private(row["operator_id"], call.station.slug)


OPERATIONS = (start_run, list_runs, get_run, cancel_run, watch_run)
