"""Agent actions: which tools there are, executing one, what became of it elsewhere, and the audits of all."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from vtoc_bots.core.access import Level
from vtoc_bots.core.errors import ConfigError, NotFound, UsageError
from vtoc_bots.core.playbooks.actions import checked_inputs
from vtoc_bots.core.playbooks.load import parse_source
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.core.store.agent_actions import (
    FINAL,
    audits_page,
    find_action,
    queue_action,
    report_action,
    wake_waiting,
)
from vtoc_bots.core.store.clean import dumps_clean
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.store.pool import Connection, Row
from vtoc_bots.core.web.context import chat_context, station_named
from vtoc_bots.core.web.documents import (
    Answered,
    Given,
    Json,
    Moment,
    Page,
    PageQuery,
    Text,
    Word,
    cursor_of,
    page_of,
    place_of,
)
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.core.web.starting import start_playbook, start_run
from vtoc_bots.core.web.tools import Tool, action_ask, action_tools, is_allowed, playbook_tools
from vtoc_bots.core.web.typed import Call, SignedCall, operation

Status = Literal["queued", "running", "succeeded", "failed"]
ActionId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]
CALL: Final = "call"
"""The one step of the run that a single action becomes."""


class Execute(Given):
    """Which tool to execute. `metadata` may say in which channel and for whom, in the platform's many ways."""

    tool_name: Word
    action_input: Json = Field(default_factory=dict)
    metadata: Json | None = None
    channel_slug: Word | None = None
    initiator_id: Word | None = None


class Executed(Answered):
    """What has become of an action so far."""

    action_id: str
    status: Status
    result: Any
    message: str | None


class Completion(Given):
    """What became of an action that a remote AgentKit did."""

    action_id: ActionId
    status: Status
    result: Any = None
    error: Text | None = None
    channel_slug: Word | None = None
    initiator_id: Word | None = None


class Received(Answered):
    """It is stored."""

    received: Literal[True]


class AuditDocument(Answered):
    """What was asked of a tool, and what became of it."""

    id: UUID
    action_id: str
    tool_name: str
    status: Status
    request_payload: Any
    response_payload: Any
    error_message: str | None
    completed_at: Moment | None
    channel_slug: str | None
    initiator_id: str | None
    created_at: Moment
    updated_at: Moment


@operation("GET", "/agent-actions/tools")
async def list_tools(call: Call) -> list[Tool]:
    """List the playbooks and actions that the caller may run, of those that CHATKIT_ALLOWED_TOOLS allows."""
    return [*playbook_tools(call), *action_tools(call)]


@operation("POST", "/agent-actions/execute", level=Level.OPERATOR, status=202, keyed=True, starts=True)
async def execute_action(call: Call, body: Execute) -> Executed:
    """Execute a playbook or action, as a run that is stored before the answer is given.

    Under the same Idempotency-Key it is executed once; the answer then says what has become of it.
    """
    name = body.tool_name
    playbook, spec = call.parts.library.find(name), call.parts.library.actions.get(name)
    if not is_allowed(call, name):
        raise Refusal(403, f"{name} is not among the tools that CHATKIT_ALLOWED_TOOLS allows")
    context = chat_context(body.model_dump(), call.request.headers)

    async def also(connection: Connection, run_id: UUID) -> None:
        is_new = await queue_action(
            connection,
            str(run_id),
            call.station.slug,
            name,
            run_id,
            CALL if playbook is None else None,
            body.action_input,
            context.channel_slug,
            context.initiator_id,
            call.correlation_id,
        )
        action = await find_action(connection, str(run_id))
        if action is None or not is_new:
            return  # the commit of the first try had succeeded
        row = call.parts.actions.audit(action, call.principal.actor)
        await write_effects(connection, call.correlation_id, Effects(audit=[row]))

    if playbook is not None:
        run_id = await start_playbook(call, playbook, body.action_input, also)
    elif spec is not None and not spec.in_chat:
        run_id = await _start_action(call, spec, body.action_input, also)
    else:
        raise NotFound(f"there is no tool {name}; GET /agent-actions/tools lists them")
    await call.parts.actions.tell(str(run_id))
    action = await find_action(call.parts.store, str(run_id))
    if action is None:
        raise Refusal(422, "this Idempotency-Key was used for something else than an agent action")
    return Executed.model_validate(
        {"action_id": action.action_id, "status": action.status, "result": action.response, "message": action.error}
    )


@operation("POST", "/agent-actions/webhook", status=202, signed=True, problems=(409,))
async def complete_action(call: SignedCall, body: Completion) -> Received:
    """Take a remote AgentKit's word of what became of an action.

    The body is signed as a ChatKit webhook is. A run that waits for the action goes on with its end.
    What has ended stays as it ended, null never overwrites, and what a run here does is told by that run alone.
    """
    context = chat_context(body.model_dump(), call.request.headers)
    station = await _station_of(call, context.channel_slug)
    actions, store = call.parts.actions, call.parts.store

    async def work(connection: Connection) -> None:
        known = await find_action(connection, body.action_id)
        if known is not None and known.run_id is not None:
            raise Refusal(409, "this action is done by a run here; nobody else can say what becomes of it")
        action = await report_action(
            connection,
            body.action_id,
            station,
            body.status,
            body.result,
            body.error,
            context.channel_slug,
            context.initiator_id,
            call.correlation_id,
        )
        if action is not None:
            row = actions.audit(action, "webhook:agentkit")
            await write_effects(connection, call.correlation_id, Effects(audit=[row]))
            if action.status in FINAL:
                await wake_waiting(connection, body.action_id)

    await store.run(work, transaction=True, idempotent=True)
    await actions.tell(body.action_id)
    return Received(received=True)


@operation("GET", "/agent-actions/audits", level=Level.OPERATOR)
async def list_audits(call: Call, query: PageQuery) -> Page[AuditDocument]:
    """List what was asked of tools at the station, newest first."""
    async with call.parts.store.session(call.station) as session:
        rows = await audits_page(session, place_of(query.cursor), query.limit + 1)
    return page_of(rows, query.limit, lambda row: cursor_of(row["created_at"], row["id"]), _audit_document)


async def _start_action(call: Call, spec: ActionSpec, given: Json, also: Any) -> UUID:
    """Start the run of one action. Raises UsageError for inputs that won't do, and Forbidden."""
    checked_inputs(spec, given)
    playbook = single(spec, given, call)
    decision = await call.parts.access.decide(call.principal.operator, call.station, action_ask(spec, dict(given)))
    return await start_run(call, playbook, {}, decision, also)


def single(spec: ActionSpec, given: Json, call: Call) -> Playbook:
    """A playbook of one step that calls an action with these values, which are data and never expressions."""
    if b"${{" in dumps_clean(given):
        raise UsageError("action_input holds ${{, which begins an expression in playbooks; leave it out")
    source = {
        "id": f"{CALL}_{spec.name.replace('.', '_')}",
        "title": spec.summary or spec.name,
        "role": call.station.role,
        "private": False,
        "steps": [{"id": CALL, "uses": spec.name, "with": given}],
    }
    try:
        return parse_source(dumps_clean(source).decode(), call.parts.library.actions, where=f"the call of {spec.name}")
    except ConfigError as error:  # no file is wrong, but what was given
        raise UsageError(str(error)) from error


async def _station_of(call: SignedCall, channel_slug: str | None) -> str:
    """The station of a completion: the channel's, else the one that the headers name, else this process's own."""
    known = {station.slug for station in await call.parts.people.stations()}
    by_id = {str(station.id): station.slug for station in await call.parts.people.stations()}
    in_channel = station_named(channel_slug, {})
    in_headers = station_named(None, call.request.headers)
    for named in (in_channel, in_headers):
        if named is not None and (named in known or named in by_id):
            return by_id.get(named, named)
    return call.parts.own_station


def _audit_document(row: Row) -> AuditDocument:
    return AuditDocument.model_validate(dict(row))


OPERATIONS = (list_tools, execute_action, complete_action, list_audits)
