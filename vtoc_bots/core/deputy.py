"""What an agent may do for the person who asked: look things up as they may, and put before them what does more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
import structlog

from vtoc_bots.core.access import Decision, Operator, Verdict
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.cards import Card, Table
from vtoc_bots.core.commands import (
    Call,
    CommandSpec,
    MissingArguments,
    bind_values,
    code_span,
    json_schema,
    usage_line,
)
from vtoc_bots.core.context import Context
from vtoc_bots.core.desk import Desk
from vtoc_bots.core.errands import Earlier, Errand, Looked, Proposal
from vtoc_bots.core.errors import ActionError, Forbidden, NotFound, UsageError, VtocError
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.markup import text_of_card
from vtoc_bots.core.messages import ConversationId, Message, message_from_json
from vtoc_bots.core.playbooks.cards import dry_run_card
from vtoc_bots.core.playbooks.inputs import bind_inputs, command_text, inputs_schema
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.start import playbook_ask
from vtoc_bots.core.ports import ActionContext, Clock, Services
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.store.originals import OriginalRows
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.run_views import RunOrigin, RunViews

logger = structlog.get_logger(__name__)

PROPOSE_PLAYBOOK: Final = "propose_playbook"
PROPOSE_COMMAND: Final = "propose_command"
LONGEST_COMMAND: Final = 500
LONGEST_LABEL: Final = 40
"""Characters of a proposed command, and of those on its button."""
QUOTED: Final = 500
"""Characters of arguments that are no JSON object which the audit keeps."""


@dataclass(frozen=True, slots=True)
class _Asker:
    """For whom an agent works, by which message of theirs."""

    operator: Operator
    origin: RunOrigin
    message: Message
    message_id: UUID


class ForPerson:
    """Implements ports.Deputy over the desk: the same commands, decided by the same function."""

    def __init__(self, desk: Desk, services: Services, store: Store, clock: Clock, handler_seconds: float) -> None:
        self._desk, self._services, self._store, self._clock = desk, services, store, clock
        self._runs, self._originals, self._seconds = RunViews(store), OriginalRows(store), handler_seconds

    async def errands(self, ctx: ActionContext) -> list[Errand]:
        """The looking-up commands that the person may use, and the two ways to propose something."""
        asker = await self._asker(ctx)
        usable = [spec for spec in self._desk.commands if self._desk.may(asker.operator, ctx.station, spec)]
        found = [Errand(spec.native_name, _about(spec), json_schema(spec)) for spec in usable if _looks_up(spec)]
        playbooks = self._playbooks(ctx, asker)
        if playbooks:
            found.append(_for_playbooks(playbooks))
        commands = [spec for spec in usable if spec.agents == "propose" and spec.name != "playbook"]
        if commands:
            found.append(_for_commands(commands))
        return found

    async def run(self, ctx: ActionContext, name: str, given: str) -> Looked | Proposal:
        """Look something up or prepare a proposal; decided on with the person's rights as they are now, and audited."""
        asker = await self._asker(ctx)
        arguments: Any = given[:QUOTED]
        try:
            arguments = _object(given)
            call, playbook = self._meant(ctx, asker, name, arguments)
            if playbook is None:
                ask = call.ask(asker.message.transport)
            else:
                ask = playbook_ask(playbook, _bound(playbook, call))
            decision = await self._desk.access.decide(asker.operator, ctx.station, ask)
        except VtocError as error:
            await self._audit(ctx, asker, f"tool:{name[:80]}", arguments, Decision(Verdict.DENY, str(error), "tool"))
            raise
        await self._audit(ctx, asker, ask.action, arguments, decision)
        if not decision.allowed or (playbook is None and decision.verdict is not Verdict.ALLOW):
            raise Forbidden(decision.reason)
        if _looks_up(call.spec) and playbook is None:
            return await self._looked(ctx, asker, call)
        if playbook is None:
            return _command_proposal(call.spec, str(arguments["command"]))
        bound = _bound(playbook, call)
        card = dry_run_card(playbook, bound, ctx.station, self._desk.library.actions, decision)
        return Proposal(f"Run {playbook.id}"[:LONGEST_LABEL], command_text(playbook, call.inputs), card)

    async def earlier(self, ctx: ActionContext, most: int) -> list[Earlier]:
        """The newest of the person's runs of this playbook in this conversation that were answered, the newest last."""
        asker = await self._asker(ctx)
        assert ctx.run_id is not None
        found = []
        for row in await self._runs.earlier(ctx.run_id, asker.operator.id, most):
            card = Card.model_validate(row["result"])
            found.append(Earlier(row["inputs"], _words(card), card.private or row["private"], card.exercise))
        return found[::-1]

    async def _asker(self, ctx: ActionContext) -> _Asker:
        """Whose rights count: whoever sent the message that started the run, found as the router finds them.

        Raises Forbidden where no message did, or its sender is no operator any more.
        """
        origin = None if ctx.run_id is None else await self._runs.origin(ctx.run_id)
        message_id = None if origin is None else origin.message_id
        # A run may have waited for days before its agent is asked.
        stored = None if message_id is None else await self._originals.message(message_id, of_any_age=True)
        if origin is not None and message_id is not None and stored is not None:
            message = message_from_json(stored.body, ConversationId.parse(stored.conversation), stored.trace)
            operator = await self._desk.people.sender(message)
            if operator is not None and (ctx.operator is None or ctx.operator.id == operator.id):
                return _Asker(operator, origin, message, message_id)
        raise Forbidden("an agent works for an operator who asks it in a chat; nobody it could work for asked here")

    def _playbooks(self, ctx: ActionContext, asker: _Asker) -> list[Playbook]:
        """What may be proposed: not what the agent itself is a step of."""
        access = self._desk.access
        return [
            each
            for each in self._desk.library.at(ctx.station.role)
            if each.id != asker.origin.playbook
            and access.decide_now(asker.operator, ctx.station, playbook_ask(each, None)).allowed
        ]

    def _meant(
        self, ctx: ActionContext, asker: _Asker, name: str, arguments: dict[str, Any]
    ) -> tuple[Call, Playbook | None]:
        """The command that a tool stands for, and its playbook where it proposes one."""
        if name == PROPOSE_PLAYBOOK:
            text = f"/playbook {arguments.get('id')}"
            return self._proposed(ctx, asker, self._playbook_text(arguments) or text)
        if name == PROPOSE_COMMAND:
            return self._proposed(ctx, asker, str(arguments.get("command", "")))
        spec = next((each for each in self._desk.commands if each.native_name == name and _looks_up(each)), None)
        if spec is None:
            raise NotFound(f"there is no tool {name[:80]}")
        return _whole(bind_values(spec, arguments)), None

    def _playbook_text(self, arguments: dict[str, Any]) -> str | None:
        """The command that runs a playbook with these inputs, None where there is no such playbook."""
        playbook = self._desk.library.find(str(arguments.get("id")))
        inputs = arguments.get("inputs") or {}
        if not isinstance(inputs, dict):
            raise UsageError("inputs is an object: values by input name")
        return None if playbook is None else command_text(playbook, inputs)

    def _proposed(self, ctx: ActionContext, asker: _Asker, text: str) -> tuple[Call, Playbook | None]:
        if not text.startswith("/") or len(text) > LONGEST_COMMAND or not text.isprintable():
            raise UsageError(f"command is one line of at most {LONGEST_COMMAND} characters that begins with a slash")
        call = _whole(
            self._desk.commands.parse(text, may=lambda spec: self._desk.may(asker.operator, ctx.station, spec))
        )
        if call.spec.agents == "never":
            raise Forbidden(f"/{call.spec.name} is what people decide by themselves; it can't be proposed")
        if call.spec.name != "playbook":
            return call, None
        playbook = self._desk.playbook_of(call)
        if playbook is None or playbook not in self._playbooks(ctx, asker):
            raise NotFound(f"there is no playbook {call.values.get('id')} that {asker.operator.name} may run here")
        return call, playbook

    async def _looked(self, ctx: ActionContext, asker: _Asker, call: Call) -> Looked:
        """A looking-up command's answer. What it would write is not written."""
        context = Context(
            message=asker.message,
            message_id=asker.message_id,
            operator=asker.operator,
            station=ctx.station,
            correlation_id=asker.origin.correlation_id,
            clock=self._clock,
            services=self._services,
            desk=self._desk,
        )
        try:
            async with asyncio.timeout(self._seconds):  # wait_for would swallow a cancellation that comes as it ends
                card = await call(context)
        except TimeoutError as error:
            raise ActionError(f"/{call.spec.name} took longer than {self._seconds:g} s and was stopped") from error
        except VtocError:
            raise
        except Exception as error:
            logger.exception("agent_tool_failed", command=call.spec.name)
            raise ActionError(f"/{call.spec.name} went wrong here") from error
        if context.effects or card is None:
            raise ActionError(f"/{call.spec.name} does more than look something up; it can only be proposed")
        return Looked(_words(card), card.private or call.spec.private or context.private, card.exercise)

    async def _audit(self, ctx: ActionContext, asker: _Asker, subject: str, arguments: Any, decision: Decision) -> None:
        """Note what is about to be done, or was refused."""
        assert ctx.run_id is not None
        row = audit_row(
            actor=f"operator:{asker.operator.id}",
            event="agent.call",
            subject=subject,
            station=ctx.station.slug,
            detail={
                "name": asker.operator.name,
                "arguments": arguments,
                "verdict": decision.verdict.name.lower(),
                "reason": decision.reason,
                "by": decision.by,
                "run": short_id(ctx.run_id),
            },
            correlation_id=asker.origin.correlation_id,
            at=self._clock.now(),
        )
        await write_effects(self._store, asker.origin.correlation_id, Effects(audit=[row]))


def _looks_up(spec: CommandSpec) -> bool:
    return spec.agents == "use"


def _object(given: str) -> dict[str, Any]:
    """The arguments. Raises UsageError for what is no JSON object."""
    try:
        found = orjson.loads(given or "{}")
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the arguments are no JSON ({error})") from error
    if not isinstance(found, dict):
        raise UsageError("the arguments are no JSON object")
    return found


def _whole(call: Call | MissingArguments) -> Call:
    if isinstance(call, MissingArguments):
        raise UsageError(call.message)
    return call


def _bound(playbook: Playbook, call: Call) -> Mapping[str, Any]:
    """A playbook's inputs from the command that proposes it. Raises UsageError where some are wrong or missing."""
    bound = bind_inputs(playbook, call.inputs)
    if bound.missing:
        raise UsageError(f"{playbook.id} needs {' and '.join(field.name for field in bound.missing)}")
    return bound.values


def _command_proposal(spec: CommandSpec, command: str) -> Proposal:
    card = Card.of(f"Proposed: /{spec.name}", spec.summary, f"It would be given as {code_span(command)}")
    return Proposal(command if len(command) <= LONGEST_LABEL else f"/{spec.name} …", command, card)


def _words(card: Card) -> str:
    """All that a card says; a table as lines of its cells, since columns that are aligned cost a model three times."""
    head = card.model_copy(update={"blocks": ()})
    parts = [text_of_card(head)]
    for block in card.blocks:
        if isinstance(block, Table):
            parts.append("\n".join(" | ".join(row) for row in (block.columns, *block.rows)))
        else:
            parts.append(text_of_card(Card(blocks=(block,))))
    return "\n\n".join(part for part in parts if part)


def _about(spec: CommandSpec) -> str:
    return " ".join(part for part in (f"{spec.summary}.", " ".join(spec.help.split())) if part)


def _for_playbooks(playbooks: list[Playbook]) -> Errand:
    listed = "\n".join(f"- {each.id}: {each.title}. {each.description} Inputs: {_inputs(each)}" for each in playbooks)
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "enum": [each.id for each in playbooks]},
            "inputs": {"type": "object", "description": "Values by input name"},
        },
        "required": ["id"],
        "additionalProperties": False,
    }
    return Errand(PROPOSE_PLAYBOOK, f"Put a playbook's plan before the person, who may confirm it:\n{listed}", schema)


def _inputs(playbook: Playbook) -> str:
    return orjson.dumps(inputs_schema(playbook)["properties"]).decode()


def _for_commands(commands: list[CommandSpec]) -> Errand:
    listed = "\n".join(f"- {usage_line(each)}: {each.summary}" for each in commands)
    schema = {
        "type": "object",
        "properties": {"command": {"type": "string", "description": "The whole command, beginning with its slash"}},
        "required": ["command"],
        "additionalProperties": False,
    }
    return Errand(PROPOSE_COMMAND, f"Put a command before the person, who may confirm it:\n{listed}", schema)
