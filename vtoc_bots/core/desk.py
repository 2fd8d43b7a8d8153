"""What commands may ask of the framework: playbooks, runs, approvals, help, health, the story of an id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vtoc_bots.core.access import Access, Ask, Decision, Level, Operator, Station
from vtoc_bots.core.alerts import Alerts
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.cards import Card, Severity
from vtoc_bots.core.commands import Call, ChoiceSource, Commands, CommandSpec, complete
from vtoc_bots.core.errors import ConfigError, Forbidden, NotFound, UsageError
from vtoc_bots.core.forms import FormField
from vtoc_bots.core.ids import parse_short_id
from vtoc_bots.core.missions import Missions
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.observe.tracing import current_traceparent
from vtoc_bots.core.people import People
from vtoc_bots.core.playbooks.approvals import Approvals, Vote
from vtoc_bots.core.playbooks.cards import dry_run_card
from vtoc_bots.core.playbooks.inputs import bind_inputs, command_text, input_errors
from vtoc_bots.core.playbooks.inquiries import ANSWER, OpenQuestion, values_of
from vtoc_bots.core.playbooks.library import Library
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.plan import message_output
from vtoc_bots.core.playbooks.start import playbook_ask, run_ask, run_row
from vtoc_bots.core.ports import Clock, ProbeResult
from vtoc_bots.core.store.agent_actions import PRIVATE
from vtoc_bots.core.store.approvals import ApprovalRecord, VoteRecord
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.pool import Row, Store
from vtoc_bots.core.store.run_views import RunView, RunViews, WaitingStep

if TYPE_CHECKING:
    from vtoc_bots.core.context import Context


class Desk:
    """Answers commands' questions, each with the caller's own rights."""

    def __init__(
        self,
        store: Store,
        commands: Commands,
        access: Access,
        library: Library,
        approvals: Approvals,
        notices: Notices,
        people: People,
        operators: Operators,
        clock: Clock,
        probe: Callable[[], Awaitable[list[ProbeResult]]],
    ) -> None:
        self.commands, self.access, self.library, self.people = commands, access, library, people
        self.about: Mapping[str, str] = {}
        """Facts about this process for people: version, profile, address."""
        self.missions, self.alerts = Missions(store, notices), Alerts(store, notices)
        self._approvals, self._operators, self._clock, self._probe = approvals, operators, clock, probe
        self._runs = RunViews(store)

    def may(self, operator: Operator | None, station: Station, spec: CommandSpec) -> bool:
        """Whether a command may be used, whatever its arguments: what help and completion show."""
        return self.access.decide_now(operator, station, spec.ask).allowed

    async def complete(self, text: str, operator: Operator | None, station: Station) -> tuple[tuple[str, str], ...]:
        """(value, label) of what may follow `text`."""
        if operator is None:
            return ()
        found = await complete(self.commands, text, lambda spec: self.may(operator, station, spec), self.names(station))
        return tuple((text[: each.start] + each.text, each.label) for each in found)

    def names(self, station: Station) -> ChoiceSource:
        """The names that parameters' values are chosen from at a station."""
        return _Names(self, station)

    async def missing_inputs(self, call: Call, station: Station) -> tuple[FormField, ...]:
        """What a ``/playbook`` or ``/answer`` call still needs; nothing for any other command."""
        asked = await self._asked_by(call, station)
        if asked is None or input_errors(asked, call.inputs):
            return ()
        return bind_inputs(asked, call.inputs).missing

    async def input_errors(self, call: Call, station: Station) -> dict[str, str]:
        """What is wrong with the inputs of a ``/playbook`` or ``/answer`` call, by input."""
        asked = await self._asked_by(call, station)
        if asked is None:
            return {}
        return {name: _for(call, str(error)) for name, error in input_errors(asked, call.inputs).items()}

    async def _asked_by(self, call: Call, station: Station) -> Playbook | None:
        """What asks for the call's inputs: a playbook, or a question that a run waits with."""
        if call.spec.name == ANSWER:
            found = await self._question(station, str(call.values["run"]))
            return None if found is None else found.form
        return self.playbook_of(call)

    async def _question(self, station: Station, short: str) -> OpenQuestion | None:
        bits = parse_short_id(short)
        row = None if bits is None else await self._runs.question(station.slug, bits)
        return None if row is None else OpenQuestion(*row.values())

    async def answer(self, ctx: Context, short: str, given: Mapping[str, Any] | None) -> Card:
        """Answer the question that a run waits with; None declines. One's own run, or with a lead's level anyone's.

        Raises NotFound where no question waits, Forbidden, and UsageError for values that won't do.
        """
        found = await self._question(ctx.station, short)
        if found is None:
            raise NotFound(f"run {short.upper()} waits for no answer; /run {short.upper()} shows how it is")
        operator = ctx.known()
        if found.operator_id != operator.id:
            from_lead = await self.access.decide(operator, ctx.station, Ask("command:answer", Level.LEAD))
            if not from_lead.allowed:
                raise Forbidden(f"you did not start this run, and {from_lead.reason}")
        action, values = "decline", {}
        if given is not None:
            action, values = "accept", values_of(found.question, found.run_id, given)
        said = {"action": action, "values": values, "by": operator.name, "at": self._clock.now().isoformat()}
        if not await self._runs.answer_question(found.run_id, found.step, found.question.id, said):
            return Card.of("Too late", "That was answered already.", severity=Severity.WARNING)
        return Card.of("", "Noted; the run goes on." if given is not None else "Declined; the run goes on.")

    def playbook_of(self, call: Call) -> Playbook | None:
        """The playbook of a ``/playbook`` call; None for any other command, and where there is none of that id."""
        if call.spec.name != "playbook":
            return None
        return self.library.find(str(call.values.get("id") or ""))

    def playbooks(self, ctx: Context) -> list[Playbook]:
        """The playbooks of the station's role that the caller may run, perhaps after an approval."""
        return [p for p in self.library.at(ctx.station.role) if self._ask_now(ctx, p).allowed]

    def _ask_now(self, ctx: Context, playbook: Playbook) -> Decision:
        return self.access.decide_now(ctx.operator, ctx.station, playbook_ask(playbook, None))

    async def start(self, ctx: Context, playbook_id: str, given: Mapping[str, Any], *, dry_run: bool) -> Card | None:
        """Start a run with these inputs, as a part of what this message writes; its result is the answer (None).

        A dry run gives its plan and changes nothing. Raises NotFound, Forbidden and UsageError.
        """
        playbook = self.library.get(playbook_id)
        bound = bind_inputs(playbook, given)
        if bound.missing:
            names = " and ".join(field.name for field in bound.missing)
            example = {**given, **{field.name: f"<{field.name}>" for field in bound.missing}}
            raise UsageError(f"{playbook.id} needs {names}. Try: {command_text(playbook, example)}")
        decision = await self.access.decide(ctx.operator, ctx.station, playbook_ask(playbook, bound.values))
        if dry_run:
            return dry_run_card(playbook, bound.values, ctx.station, self.library.actions, decision)
        if not decision.allowed:
            raise Forbidden(decision.reason)
        message = ctx.message
        ctx.effects.runs.append(
            run_row(
                playbook,
                bound.values,
                ctx.station,
                decision,
                key=f"message:{ctx.message_id}",
                operator_id=None if ctx.operator is None else ctx.operator.id,
                correlation_id=ctx.correlation_id,
                trace=current_traceparent() or message.trace,
                conversation=str(message.conversation),
                reply={
                    "to": message.message_ref,
                    "user": message.sender.user_id,
                    "context": dict(message.reply_context),
                    "text": message.text,
                },
            )
        )
        return None

    async def runs(self, ctx: Context, limit: int, offset: int = 0, *, mine: bool = False) -> list[RunView]:
        """The station's newest runs after the first `offset`; only the caller's own where `mine`."""
        return await self._runs.recent(ctx.station.slug, limit, offset, ctx.known().id if mine else None)

    async def run(self, ctx: Context, short: str) -> tuple[RunView, Sequence[Mapping[str, Any]]]:
        """A run of the station by its short id, with its steps; what went wrong in a private one is for whoever asked
        for it, and for leads. Raises NotFound."""
        bits = parse_short_id(short)
        found = None if bits is None else await self._runs.by_short_id(ctx.station.slug, bits)
        if found is None:
            raise NotFound(f"no run {short} at station {ctx.station.callsign}; /runs lists them")
        steps = [dict(step) for step in await self._runs.steps(found.id)]
        if found.private and not ctx.known().sees_private(found.operator_id, ctx.station.slug):
            found = found._replace(error=found.error and PRIVATE)
            steps = [{**step, "error": step["error"] and PRIVATE} for step in steps]
        return found, steps

    async def calls(self, ctx: Context, run: RunView) -> list[dict[str, str]]:
        """The tools that agents called in a run: tool, given, outcome. Of a private run, and of one that may yet become
        private, they are for those whose it is."""
        if (run.private or run.state != "succeeded") and not ctx.known().sees_private(run.operator_id, run.station):
            return []
        names = ("tool", "given", "outcome")
        found = [each for each in await self._runs.calls(run.id) if isinstance(each, dict) and "tool" in each]
        return [{name: str(each.get(name, "")) for name in names} for each in found]

    async def cancel(self, ctx: Context, short: str) -> bool:
        """Cancel a run: one's own, or with a lead's level anyone's. False when it had ended. Raises Forbidden."""
        run, _ = await self.run(ctx, short)
        operator = ctx.known()
        if run.operator_id != operator.id:
            from_lead = await self.access.decide(
                operator, ctx.station, run_ask("cancel", run.playbook, run.inputs, Level.LEAD)
            )
            if not from_lead.allowed:
                raise Forbidden(f"you did not start this run, and {from_lead.reason}")
        ctx.effects.audit.append(
            audit_row(
                actor=f"operator:{operator.id}",
                event="run.cancel",
                subject=f"run:{run.id}",
                station=run.station,
                detail={"name": operator.name},
                correlation_id=run.correlation_id,
                at=self._clock.now(),
            )
        )
        return await self._runs.cancel(run.id, operator.name)

    async def approvals(self, ctx: Context) -> list[tuple[ApprovalRecord, list[VoteRecord]]]:
        """What waits for a decision at the station."""
        records = await self._approvals.rows.open_at(ctx.station.slug)
        votes = await self._approvals.rows.votes([record.id for record in records])
        return [(record, [vote for vote in votes if vote.approval_id == record.id]) for record in records]

    async def decide(self, ctx: Context, short: str, vote: Vote, reason: str | None) -> Card:
        """Approve or deny. Rights are read anew. Raises NotFound and Forbidden."""
        record = await self._approvals.find(ctx.station.slug, short)
        self.people.forget()
        operator = await self.people.operator(ctx.known().id)
        if operator is None:
            raise Forbidden("only an operator can decide; join this account to one with /link")
        return await self._approvals.vote(record.id, operator, ctx.station, vote, reason, ctx.correlation_id)

    async def story(self, ctx: Context, short: str) -> list[Row]:
        """The audit rows of what has that id: a message, run or approval; the errors of others' private runs are for
        leads. Raises NotFound."""
        bits, operator = parse_short_id(short), ctx.known()
        rows = [] if bits is None else await self._runs.story(bits, ctx.station.slug, False, operator.id)
        if not rows:
            raise NotFound(f"nothing with the id {short} is known at station {ctx.station.callsign}")
        if operator.sees_private(None, ctx.station.slug):
            return rows
        return [_without_error(row) if row["of_others"] else row for row in rows]

    async def counts(self, ctx: Context) -> Row:
        """active_runs, open_approvals, waiting_messages, unsent."""
        return await self._runs.counts(ctx.station.slug)

    async def health(self) -> list[ProbeResult]:
        """Every probe's result."""
        return await self._probe()

    async def set_station(self, operator: Operator, station: Station) -> None:
        """Make it the operator's default."""
        await self._operators.set_default_station(operator.id, station.slug)
        self.people.forget()

    async def link(self, ctx: Context, code: str) -> Card:
        """Join the sender's account to the operator whom an invitation code was made for. Raises NotFound and
        Forbidden."""
        if not self.people.may_be_known(ctx.message):
            raise Forbidden("this account is not on the allow list (OPERATOR_ALLOWLIST); ask an admin to add it")
        sender = ctx.message.sender
        account = (ctx.message.transport, sender.workspace, sender.user_id, sender.name)
        name = await self._operators.redeem(code, *account, ctx.message_id)
        if name is None:
            raise NotFound("this code is unknown, used or expired; ask an admin for a new one")
        self.people.forget()
        return Card.of(
            "Linked", f"This account belongs to {name} now. /whoami shows your rights.", severity=Severity.GOOD
        )

    async def has_run(self, conversation: str) -> bool:
        """Whether a run that was started in this conversation goes on."""
        return await self._runs.has_open(conversation)

    async def answer_waiting(self, ctx: Context, text: str) -> bool:
        """Give a plain message to the run that waits for one of its sender here; False when none does."""
        message = ctx.message
        for waiting in await self._runs.waiting_for_message(message.conversation, message.sender.user_id):
            if await self._may_answer(ctx, waiting):
                said = message_output(text, ctx.known().name, self._clock.now())
                return await self._runs.answer(waiting.run_id, waiting.step, said)
        return False

    async def _may_answer(self, ctx: Context, waiting: WaitingStep) -> bool:
        """Whether the step waits for a message, and the sender may answer: of a private run who started it, of any
        other whoever may run its playbook."""
        operator = ctx.known()
        try:
            playbook = self.library.of_run(waiting.playbook, waiting.digest, waiting.source)
        except ConfigError:
            return False  # an action of it is gone: the run ends saying so
        step = playbook.step(waiting.step)
        if step is None or step.wait is None or step.wait.message is None:
            return False
        if waiting.operator_id == operator.id or waiting.private:
            return waiting.operator_id == operator.id
        station = await self.people.station(waiting.station)
        return (await self.access.decide(operator, station, playbook_ask(playbook, waiting.inputs))).allowed


def _without_error(row: Row) -> Row:
    detail = row["detail"] or {}
    return {**row, "detail": {**detail, "error": PRIVATE} if detail.get("error") else detail}


def _for(call: Call, text: str) -> str:
    """An error's text with the command that was given in it."""
    return text.replace("/playbook ", f"/{call.spec.name} ")


class _Names:
    """The names that parameters' values are chosen from; a ChoiceSource."""

    def __init__(self, desk: Desk, station: Station) -> None:
        self._desk, self._station = desk, station

    async def choices(self, kind: str, prefix: str, limit: int) -> tuple[tuple[str, str], ...]:
        """(value, label) of things of that kind."""
        if kind == "playbook":
            return tuple((p.id, p.title) for p in self._desk.library.at(self._station.role))
        if kind == "command":
            return tuple((spec.name, spec.summary) for spec in self._desk.commands)
        if kind == "mission":
            return await self._desk.missions.names(self._station, limit)
        if kind == "station":
            return tuple((each.slug, each.name) for each in await self._desk.people.stations())
        return ()
