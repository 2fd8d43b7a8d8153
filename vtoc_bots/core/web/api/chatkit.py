"""Commands that a ChatKit organisation's pages send: testing a connector, running a playbook, how a station is."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from vtoc_bots.core.access import Level
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.playbooks.actions import explain
from vtoc_bots.core.web.context import station_of
from vtoc_bots.core.web.documents import Answered, Given, Json, Word
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.core.web.starting import start_playbook
from vtoc_bots.core.web.typed import Call, operation

COMMANDS: Final = ("connector:test", "playbook:run", "station:status")
_WELL: Final = frozenset({"fresh", "finished"})


class ChatKitCommand(Given):
    """A command: `connector:test` (payload: source, or type and options), `playbook:run` (playbook, inputs) or
    `station:status`."""

    channel: Word | None = None
    station_slug: Word | None = None
    command: Word
    payload: Json = Field(default_factory=dict)


class CommandAnswer(Answered):
    """What came of a command; `detail` is what the command tells."""

    status: Literal["ok", "failed", "queued"]
    message: str | None
    detail: Json


@operation("POST", "/chatkit/commands", level=Level.OPERATOR, keyed=True, audited=True)
async def run_command(call: Call, body: ChatKitCommand) -> CommandAnswer:
    """Do a command of the organisation's pages."""
    if body.station_slug is not None:
        named = body.station_slug.lower().replace("_", "-")
        station_of(call.principal, named, await call.parts.people.stations())
    if body.command == "connector:test":
        return await _test_connector(call, body.payload)
    if body.command == "playbook:run":
        return await _run_playbook(call, body.payload)
    if body.command == "station:status":
        counts = await call.parts.runs.counts(call.station.slug)
        detail = {"active_runs": counts["active_runs"], "open_approvals": counts["open_approvals"]}
        return CommandAnswer(status="ok", message=None, detail=detail)
    raise NotFound(f"there is no command {body.command[:80]}; there are {', '.join(COMMANDS)}")


async def _test_connector(call: Call, payload: Json) -> CommandAnswer:
    """How a source is, or whether settings of a connector would do. Nothing is sent anywhere."""
    source = payload.get("source")
    if isinstance(source, str):
        states = {state.slug: state for state in await call.parts.telemetry.sources(call.station)}
        if source not in states:
            raise NotFound(f"there is no source {source[:80]} at station {call.station.slug}")
        state = states[source]
        last = None if state.last_event_at is None else state.last_event_at.isoformat()
        detail = {
            "source": state.slug,
            "type": state.type,
            "mode": state.mode,
            "state": state.state,
            "last_event_at": last,
        }
        message = f"{state.slug} is {state.state}" + ("" if last is None else f"; its last event is of {last}")
        return CommandAnswer(status="ok" if state.state in _WELL else "failed", message=message, detail=detail)
    kind, options = payload.get("type"), payload.get("options", {})
    if not isinstance(kind, str) or not isinstance(options, dict):
        raise Refusal(400, "connector:test needs payload.source, or payload.type with payload.options")
    spec = call.parts.connectors.get(kind)
    if spec is None:
        known = ", ".join(sorted(call.parts.connectors))
        raise NotFound(f"there is no connector of the type {kind[:80]}; there are {known}")
    detail = {"type": kind}
    try:
        spec.settings.model_validate(options)
    except ValidationError as error:
        return CommandAnswer(status="failed", message=explain(error), detail=detail)
    return CommandAnswer(status="ok", message=f"these settings of {kind} will do", detail=detail)


async def _run_playbook(call: Call, payload: Json) -> CommandAnswer:
    """Start a run, as POST /runs does."""
    name, inputs = payload.get("playbook"), payload.get("inputs", {})
    if not isinstance(name, str) or not isinstance(inputs, dict):
        raise Refusal(400, "playbook:run needs payload.playbook, and payload.inputs if it takes any")
    playbook = call.parts.library.get(name)
    run_id = await start_playbook(call, playbook, inputs)
    detail: dict[str, Any] = {"run_id": str(run_id), "playbook": playbook.id}
    return CommandAnswer(status="queued", message=f"{playbook.title} was started", detail=detail)


OPERATIONS = (run_command,)
