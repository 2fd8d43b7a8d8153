"""Approvals: asked for by runs, decided by people on any surface, through one function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal
from uuid import UUID

from vtoc_bots.core.access import Access, Level, Operator, Station
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.cards import Block, Button, Buttons, Card, Fields, Pair, Severity
from vtoc_bots.core.errors import Forbidden, NotFound
from vtoc_bots.core.ids import new_id, short_id
from vtoc_bots.core.messages import OutboundKind
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.outbox import add_outbound
from vtoc_bots.core.playbooks import decisions
from vtoc_bots.core.playbooks.decisions import ApprovalAsk, Changes, Lapsed
from vtoc_bots.core.playbooks.progress import add_run_outbound
from vtoc_bots.core.playbooks.start import run_ask
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.queue import ADVANCE, Hint
from vtoc_bots.core.store.approvals import ApprovalRecord, ApprovalRows, VoteRecord
from vtoc_bots.core.store.effects import Effects, effect_arguments, effects_sql
from vtoc_bots.core.store.pool import Connection, Store
from vtoc_bots.core.store.runs import ClaimedRun

Vote = Literal["approve", "deny"]
Ended = Literal["approved", "denied", "expired", "held", "void"]
BUTTON_SECONDS: Final = 30 * 24 * 3600.0

_WRITE: Final = f"WITH head AS (SELECT $1::uuid AS id), {effects_sql(2)} SELECT id FROM head"
_SHOWN: Final = """SELECT key, conversation FROM vtoc_engine.outbox
    WHERE run_id = $1 AND kind = 'approval' AND (key = $2 OR starts_with(key, $2 || '@'))"""


class Approvals:
    """Asks, decides and closes approvals."""

    def __init__(self, store: Store, access: Access, clock: Clock, notices: Notices) -> None:
        self._store, self._access, self._clock, self._notices = store, access, clock, notices
        self.rows = ApprovalRows(store)

    async def rows_of(self, run_id: UUID) -> list[decisions.ApprovalRow]:
        """The run's approvals as the planner sees them."""
        records = await self.rows.of_run(run_id)
        votes = await self.rows.votes([record.id for record in records]) if records else []
        return [_planned(record, [vote for vote in votes if vote.approval_id == record.id]) for record in records]

    def effects(self, run: ClaimedRun, changes: Changes) -> Effects:
        """What asking for these approvals writes: their rows, a card each where the run was started and
        where the station is told of such things, the audit."""
        effects = Effects()
        for ask in changes.asks:
            approval_id = new_id()
            effects.approvals.append(_approval_row(approval_id, run, ask))
            card = _open_card(approval_id, run.title, ask)
            key = f"approval:{ask.step}"
            add_run_outbound(effects, run, key, OutboundKind.APPROVAL, card, button_seconds=BUTTON_SECONDS)
            for conversation in self._notices.of(run.station):
                if conversation != run.conversation:
                    add_outbound(
                        effects,
                        key=f"run:{run.id}:{key}@{conversation}",
                        kind=OutboundKind.APPROVAL,
                        conversation=conversation,
                        card=card,
                        correlation_id=run.correlation_id,
                        trace=run.trace,
                        run_id=run.id,
                        button_seconds=BUTTON_SECONDS,
                    )
            detail = {"digest": ask.digest, "quorum": ask.rule.quorum, "level": str(ask.rule.level), **ask.detail}
            effects.audit.append(
                audit_row(
                    actor=f"run:{run.id}",
                    event="approval.asked",
                    subject=f"approval:{approval_id}",
                    station=run.station,
                    detail=detail,
                    correlation_id=run.correlation_id,
                    at=self._clock.now(),
                )
            )
        return effects

    async def lapse(self, run_id: UUID, lapsed: Iterable[Lapsed]) -> None:
        """Write that these approvals' time is over; someone who decided them in between has the better right."""
        steps = {lapse.step: lapse.state for lapse in lapsed}
        if not steps:
            return
        async with self._store.transaction() as connection:
            for record in await self.rows.of_run(run_id):
                if record.step not in steps or record.state != "open":
                    continue
                locked = await self.rows.lock(connection, record.id)
                if locked is not None and locked.state == "open":
                    await self._close(connection, locked, steps[record.step], [], "time ran out")

    async def void(self, run_id: UUID) -> None:
        """Close what a run that has ended still asked for."""
        for record in await self.rows.of_run(run_id):
            if record.state not in ("open", "held"):
                continue
            async with self._store.transaction() as connection:
                locked = await self.rows.lock(connection, record.id)
                if locked is not None and locked.state in ("open", "held"):
                    votes = await self.rows.votes_in(connection, record.id)
                    await self._close(connection, locked, "void", votes, "The run has ended.")

    async def find(self, station: str, short: str) -> ApprovalRecord:
        """The open approval with that short id at the station. Raises NotFound saying where to look."""
        wanted = short.strip().upper()
        found = [record for record in await self.rows.open_at(station, 500) if short_id(record.id) == wanted]
        if not found:
            raise NotFound(f"no open approval {wanted} at station {station}; /approvals lists them")
        return found[0]

    async def vote(
        self,
        approval_id: UUID,
        operator: Operator,
        station: Station,
        verdict: Vote,
        reason: str | None,
        correlation_id: UUID,
    ) -> Card:
        """Record an operator's decision and, with it, decide: the one place where approvals are.

        One transaction holds the approval's row, so of two at once one decides and the other is told. Raises Forbidden
        with the reason where the operator may not.
        """
        async with self._store.transaction() as connection:
            record = await self.rows.lock(connection, approval_id)
            if record is None:
                raise NotFound("this approval does not exist any more")
            votes = await self.rows.votes_in(connection, approval_id)
            if record.state not in ("open", "held"):
                return _decided_card(record, votes, f"It was already {record.state}.")
            if record.state == "open" and record.expires_at is not None and record.expires_at <= self._clock.now():
                await self.rows.wake_run(connection, record.run_id)
                return _decided_card(record, votes, "Its time is over.")
            await self._may(connection, record, operator, station)
            if not await self.rows.vote(connection, approval_id, operator.id, operator.name, verdict, reason):
                return _decided_card(record, votes, "Your vote was recorded before; a vote can't be changed.")
            votes = await self.rows.votes_in(connection, approval_id)
            return await self._count(connection, record, votes, operator, verdict, correlation_id)

    async def _may(self, connection: Connection, record: ApprovalRecord, operator: Operator, station: Station) -> None:
        if record.exclude_requester and record.requester == operator.id:
            raise Forbidden("you asked for this yourself; somebody else must decide it")
        inputs = await self.rows.inputs(connection, record.run_id)
        ask = run_ask("approve", str(record.detail.get("playbook", "")), inputs, Level.parse(record.level))
        decision = await self._access.decide(operator, station, ask)
        if not decision.allowed:
            raise Forbidden(decision.reason)

    async def _count(
        self,
        connection: Connection,
        record: ApprovalRecord,
        votes: list[VoteRecord],
        operator: Operator,
        verdict: Vote,
        correlation_id: UUID,
    ) -> Card:
        approved = sum(vote.verdict == "approve" for vote in votes)
        state: Ended | None = "denied" if verdict == "deny" else "approved" if approved >= record.quorum else None
        effects = Effects()
        effects.audit.append(
            audit_row(
                actor=f"operator:{operator.id}",
                event=f"approval.{verdict}",
                subject=f"approval:{record.id}",
                station=record.station,
                detail={
                    "name": operator.name,
                    "state": state or record.state,
                    "digest": record.digest,
                    "decided_in": str(correlation_id),
                },
                # The run's story: what the deciding message or request was is told by its own rows.
                correlation_id=record.correlation_id,
                at=self._clock.now(),
            )
        )
        if state is None:
            await connection.fetch(_WRITE, record.id, *effect_arguments([(record.id, effects)]))
            return _decided_card(record, votes, f"{approved} of {record.quorum} approvals.")
        await self._close(connection, record, state, votes, "", effects)
        done = record._replace(state=state)
        return _decided_card(done, votes, "")

    async def _close(
        self,
        connection: Connection,
        record: ApprovalRecord,
        state: Ended,
        votes: Sequence[VoteRecord],
        note: str,
        effects: Effects | None = None,
    ) -> None:
        """End an approval: its state, its message edited everywhere, its run woken."""
        effects = effects or Effects()
        if state == "held":
            await connection.execute("UPDATE vtoc_engine.approvals SET state = 'held' WHERE id = $1", record.id)
        else:
            await self.rows.end(connection, record.id, state)
        done = record._replace(state=state, decided_at=self._clock.now())
        card = _decided_card(done, votes, note)
        for shown in await connection.fetch(_SHOWN, record.run_id, _card_key(record.run_id, record.step)):
            add_outbound(
                effects,
                key=shown["key"],
                kind=OutboundKind.APPROVAL,
                conversation=shown["conversation"],
                card=card,
                correlation_id=record.correlation_id,
                trace=record.trace,
                run_id=record.run_id,
            )
        await self.rows.wake_run(connection, record.run_id)
        effects.hints.append(Hint(ADVANCE, str(record.run_id)))
        await connection.fetch(_WRITE, record.id, *effect_arguments([(record.id, effects)]))


def _card_key(run_id: UUID, step: str) -> str:
    return f"run:{run_id}:approval:{step}"


def _approval_row(approval_id: UUID, run: ClaimedRun, ask: ApprovalAsk) -> dict[str, Any]:
    return {
        "id": approval_id,
        "run_id": run.id,
        "step": ask.step,
        "station": run.station,
        "title": ask.title,
        "detail": dict(ask.detail),
        "digest": ask.digest,
        "quorum": ask.rule.quorum,
        "level": str(ask.rule.level),
        "exclude_requester": ask.rule.exclude_requester,
        "requester": run.operator_id,
        "on_expiry": ask.rule.on_expiry,
        "expires_at": ask.expires_at,
        "correlation_id": run.correlation_id,
        "trace": run.trace,
    }


def _planned(record: ApprovalRecord, votes: list[VoteRecord]) -> decisions.ApprovalRow:
    decisive = [vote for vote in votes if (vote.verdict == "deny") == (record.state == "denied")]
    return decisions.ApprovalRow(
        step=record.step,
        state=record.state,
        digest=record.digest,
        expires_at=record.expires_at,
        on_expiry=record.on_expiry,
        decided_at=record.decided_at,
        by=tuple(vote.operator for vote in decisive),
        comment=next((vote.reason for vote in reversed(decisive) if vote.reason), None),
    )


def _arguments(detail: Any) -> tuple[Pair, ...]:
    arguments = detail.get("arguments") or {}
    return tuple(Pair(name=name, value=str(value)) for name, value in arguments.items())


def _open_card(approval_id: UUID, title: str, ask: ApprovalAsk) -> Card:
    short = short_id(approval_id)
    rule = ask.rule
    need = f"{rule.quorum} × {rule.level} or higher" if rule.quorum > 1 else f"{rule.level} or higher"
    facts = [Pair(name="approval", value=short), Pair(name="needs", value=need)]
    if rule.exclude_requester:
        facts.append(Pair(name="not by", value="who asked"))
    if ask.expires_at is not None:
        facts.append(Pair(name="until", value=f"{ask.expires_at:%Y-%m-%d %H:%MZ}, then {rule.on_expiry}"))
    blocks: list[Block] = [
        Fields(fields=(*facts, *_arguments(ask.detail))),
        Buttons(
            buttons=(
                Button(label="Approve", command=f"/approve {short}", style="good"),
                Button(label="Deny", command=f"/deny {short}", style="bad"),
            )
        ),
    ]
    heading = f"Approval needed: {ask.title}" if ask.title == title else f"Approval needed: {title} – {ask.title}"
    return Card(title=heading, blocks=tuple(blocks), severity=Severity.WARNING)


def _decided_card(record: ApprovalRecord, votes: Sequence[VoteRecord], note: str) -> Card:
    severity = {"approved": Severity.GOOD, "denied": Severity.BAD}.get(record.state, Severity.WARNING)
    said = [
        f"{'Approved' if vote.verdict == 'approve' else 'Denied'} by {vote.operator} at {vote.at:%Y-%m-%d %H:%M:%SZ}"
        + (f": {vote.reason}" if vote.reason else "")
        for vote in votes
    ]
    lines = [*said, *([note] if note else [])]
    facts = Fields(fields=(Pair(name="approval", value=short_id(record.id)), *_arguments(record.detail)))
    text = "\n\n".join(lines) or f"It is {record.state}."
    return Card.of(f"Approval {record.state}: {record.title}", text, facts, severity=severity)
