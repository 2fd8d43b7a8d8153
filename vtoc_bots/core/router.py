"""From a stored message to its answer: who, how often, what, may they, then the handler; one transaction writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import structlog

from vtoc_bots.core.access import Decision, Verdict
from vtoc_bots.core.asking import Asked, Asking, InvalidForm, Misread, has_slash
from vtoc_bots.core.attachments import with_remarks
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.cards import Button, Buttons, Card, Severity, Text
from vtoc_bots.core.commands import (
    QUESTION_COMMAND,
    Call,
    CommandSpec,
    InvalidValues,
    MissingArguments,
    UnknownCommand,
    bind_values,
    list_card,
    mistake_card,
)
from vtoc_bots.core.context import Context
from vtoc_bots.core.desk import Desk
from vtoc_bots.core.dialogs import (
    CANCEL,
    ask_again,
    ask_next,
    end_dialog,
    invalid_form_card,
    lacking_card,
)
from vtoc_bots.core.errors import Forbidden, LostLease, NotFound, TransientError, UsageError, VtocError
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.leases import LeaseKeeper
from vtoc_bots.core.messages import ConversationId, Message, MessageKind, OutboundKind, message_from_json
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.tracing import current_traceparent, span
from vtoc_bots.core.outbox import BUTTON_SECONDS, add_outbound
from vtoc_bots.core.people import People
from vtoc_bots.core.ports import Clock, Services
from vtoc_bots.core.store.budgets import BudgetRows
from vtoc_bots.core.store.buttons import used_mark
from vtoc_bots.core.store.conversations import ConversationLeases, Held
from vtoc_bots.core.store.effects import Effects
from vtoc_bots.core.store.inbox import Finished, InboxRows, StoredMessage

logger = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 12
"""Beginnings of a message after which it is taken to kill its workers. Many, because a worker that dies of one message
takes the beginnings of the sixty beside it along."""


_LEFT: Final = "It has started nothing; what it had itself written until then stays."
FREE_WORDS: Final = 3
"""Words of a text without a slash from which on it is taken for a question, and not for a mistyped command."""


class Router:
    """Handles conversations' messages, each conversation's in order, different ones side by side."""

    def __init__(
        self,
        rows: InboxRows,
        leases: ConversationLeases,
        keeper: LeaseKeeper[Held],
        people: People,
        desk: Desk,
        services: Services,
        budgets: BudgetRows,
        asking: Asking,
        clock: Clock,
        metrics: Metrics,
        *,
        handler_seconds: float,
        commands_per_minute: int,
    ) -> None:
        self._rows, self._leases, self._keeper = rows, leases, keeper
        self._people, self._desk, self._services = people, desk, services
        self._budgets, self._asking, self._clock, self._metrics = budgets, asking, clock, metrics
        self._handler_seconds, self._per_minute = handler_seconds, commands_per_minute
        self.unlimited: set[tuple[str, str]] = set()
        """(transport, workspace) of accounts that are not limited: the data folder's own terminal."""

    async def handle(self, conversation: str) -> None:
        """Handle what is undone in this conversation while nobody else does."""
        began = self._clock.monotonic()
        held = await self._leases.claim(conversation)
        if held is None:
            return
        with self._keeper.keep(held, began):
            while held is not None:
                stored = await self._rows.next(conversation, held.attempt)
                if stored is None:
                    held = await self._leases.let_go(held)
                elif not await self._finish(stored, held):
                    logger.warning("conversation_lost", conversation=conversation)
                    return

    async def _finish(self, stored: StoredMessage, held: Held) -> bool:
        """Handle one message and write everything; False when the conversation was lost."""
        started = self._clock.monotonic()
        message = message_from_json(stored.body, ConversationId.parse(stored.conversation), stored.trace)
        with span("chat", stored.trace, correlation_id=stored.correlation_id, platform=message.transport):
            if stored.attempt > MAX_ATTEMPTS:
                effects, outcome = self._given_up(stored, message), "failed"
            else:
                try:
                    effects, outcome = await self._answered(stored, message)
                except TransientError as error:
                    seconds = error.after_seconds or min(30.0, 0.5 * 2.0**stored.attempt)
                    logger.warning("message_postponed", error=str(error), seconds=seconds)
                    await self._rows.postpone(stored, held.attempt, seconds, str(error))
                    return True
            state = "failed" if outcome == "failed" else "done"
            done = await self._rows.finish(Finished(stored.id, stored.conversation, held.attempt, state, None, effects))
            self._metrics.message_handled(outcome, self._clock.monotonic() - started)
            logger.info("message_handled", conversation=stored.conversation, outcome=outcome)
        return done

    async def _answered(self, stored: StoredMessage, message: Message) -> tuple[Effects, str]:
        """What this message writes, and how it went: done, refused, failed."""
        operator = await self._people.sender(message)
        station = await self._people.station_of(message, operator)
        ctx = Context(
            message=message,
            message_id=stored.id,
            operator=operator,
            station=station,
            correlation_id=stored.correlation_id,
            clock=self._clock,
            services=self._services,
            desk=self._desk,
            asked_by=stored.body.get("asked_by", ""),
        )
        card, outcome = await self._carded(ctx)
        if operator is not None:
            card = with_remarks(card, message)
        if card is not None:
            self._reply(ctx, card)
        return ctx.effects, outcome

    async def _carded(self, ctx: Context) -> tuple[Card | None, str]:
        try:
            if ctx.message.kind is MessageKind.EVENT:
                return await self._event(ctx), "done"
            asked, card = await self._read(ctx)
            if asked is None:
                return card, "done"
            if isinstance(asked.call, MissingArguments):
                return self._lacking(ctx, asked, asked.call), "refused"
            card, outcome = await self._called(ctx, asked.call)
            if outcome == "done":  # a refusal is for who pressed; the card stays as it is for all
                ctx.replaces, ctx.replaces_private = asked.replaces, asked.alone
                if asked.once is not None:
                    mark = {
                        "token": used_mark(asked.once),
                        "value": {"by": str(ctx.message_id)},
                        "keep": BUTTON_SECONDS,
                    }
                    ctx.effects.buttons.append({**mark, "conversation": str(ctx.message.conversation)})
            return card, outcome
        except (LostLease, TransientError):
            raise
        except Misread as misread:
            found = self._desk.commands.find(misread.text)
            if ctx.operator is None and (found is None or found.spec.level is not None):
                return _stranger_card(), "refused"
            unknown = isinstance(misread.error, UnknownCommand)
            if unknown and not has_slash(ctx.message) and len(misread.text.split()) >= FREE_WORDS:
                return self._help(ctx), "refused"
            return _mistake(misread.text, misread.error), "refused"
        except InvalidForm as error:
            return invalid_form_card(error), "refused"
        except UsageError as error:
            return mistake_card("", error), "refused"
        except Forbidden as error:
            return Card.of("Not allowed", f"{error}.", severity=Severity.WARNING, private=True), "refused"
        except VtocError as error:
            return _failed_card(error), "refused"
        except Exception:
            logger.exception("handler_failed")
            text = f"That went wrong here. {_LEFT} Tell an admin this id: {short_id(ctx.correlation_id)}."
            return Card.of("Failed", text, severity=Severity.BAD), "failed"

    async def _read(self, ctx: Context) -> tuple[Asked | None, Card | None]:
        """The command that is asked for, completed from a dialog where there is one; else what to say, if anything."""
        message = ctx.message
        plain = message.kind is MessageKind.TEXT and not has_slash(message)
        dialog = await self._asking.dialog(message) if ctx.asked_by == "dialog" else None
        if dialog is None:
            if plain:
                # An answer that a run waits for comes before a command without its slash.
                card = await self._plain(ctx)
                if card is not None:
                    return None, card
                if message.overheard and not await self._desk.has_run(str(message.conversation)):
                    return None, await self._overheard(ctx, message.overheard)
                if message.overheard:
                    message = replace(message, mentions_us=True)
                if not message.mentions_us:
                    return None, None
            asked = await self._asking.read(message)
            if message.overheard and asked is not None and asked.call.spec.name == QUESTION_COMMAND:
                return None, await self._overheard(ctx, message.overheard)  # people talk to each other, not to a model
            return asked, None
        answer = await self._asking.answer(message, dialog)
        if answer is None and plain:
            answer = message.text
        if answer is None or answer == CANCEL:
            end_dialog(ctx.effects, message, dialog)
            if answer == CANCEL:
                return None, Card.of("", "Cancelled.")
            return await self._asking.read(message), None
        end_dialog(ctx.effects, message, dialog)
        try:
            return await self._asking.of_dialog(message, dialog, answer), None
        except InvalidValues as error:
            return None, ask_again(ctx.effects, message, dialog, self._asking.spec(dialog.command), error)

    def _lacking(self, ctx: Context, asked: Asked, missing: MissingArguments) -> Card | None:
        """Ask for what a command lacks, as the conversation's platform can."""
        if self._is_strange(ctx, missing.spec):
            return _stranger_card()
        decision = self._desk.access.decide_now(ctx.operator, ctx.station, missing.spec.ask)
        if not decision.allowed:
            raise Forbidden(decision.reason)
        match ctx.asked_by:
            case "form":
                return None  # it is open on the person's screen
            case "dialog":
                return ask_next(ctx.effects, ctx.message, missing, asked.once)
            case _:
                return lacking_card(missing, asked.text if ctx.asked_by == "button" else "")

    async def _event(self, ctx: Context) -> Card | None:
        """What a transport reports by itself, for the command that is declared for it."""
        return await self._told(ctx, ctx.message.command or "", ctx.message.arguments)

    async def _overheard(self, ctx: Context, name: str) -> Card | None:
        """A text that asks for nothing, for the event command that its transport names."""
        return await self._told(ctx, name, {**ctx.message.arguments, "text": ctx.message.text})

    async def _told(self, ctx: Context, name: str, arguments: Mapping[str, Any]) -> Card | None:
        spec = self._desk.commands.event(name)
        if spec is None:
            raise NotFound(f"nothing here is for the event {name}")
        call = bind_values(spec, arguments)
        if isinstance(call, MissingArguments):
            raise UsageError(f"the event {spec.name} lacks {' and '.join(field.name for field in call.fields)}")
        return await self._handled(ctx, call)

    def _help(self, ctx: Context) -> Card:
        """What there is for people who write in their own words where nothing answers such words."""
        card = list_card(spec for spec in self._desk.commands if self._may(ctx, spec))
        text = Text(text="That is no command, and there is no language model here to answer it. You may use:")
        return card.model_copy(update={"blocks": (text, *card.blocks)})

    def _may(self, ctx: Context, spec: CommandSpec) -> bool:
        return self._desk.may(ctx.operator, ctx.station, spec)

    def _is_strange(self, ctx: Context, spec: CommandSpec) -> bool:
        return ctx.operator is None and spec.level is not None

    async def _plain(self, ctx: Context) -> Card | None:
        """A message that is no command: an answer that a run waits for, or nothing of ours."""
        if ctx.operator is not None and await self._desk.answer_waiting(ctx, ctx.message.text):
            return Card.of("", "Noted; the run goes on.")
        return None

    async def _called(self, ctx: Context, call: Call) -> tuple[Card | None, str]:
        if self._is_strange(ctx, call.spec):
            return _stranger_card(), "refused"
        refused = await self._over_limit(ctx)
        if refused is not None:
            return refused, "refused"
        decision = await self._desk.access.decide(ctx.operator, ctx.station, call.ask(ctx.message.transport))
        self._audit(ctx, call, decision)
        if decision.verdict is Verdict.DENY:
            raise Forbidden(decision.reason)
        if decision.verdict is Verdict.REQUIRE_APPROVAL and call.spec.name != "playbook":
            raise Forbidden(f"{decision.reason}; a command can't be approved, ask for a playbook that does this")
        ctx.private = call.spec.private
        try:
            card = await self._handled(ctx, call)
        except TimeoutError:
            text = f"/{call.spec.name} took longer than {self._handler_seconds:g} s and was stopped. {_LEFT}"
            return Card.of("Too slow", text, severity=Severity.BAD), "failed"
        return card, "done"

    async def _handled(self, ctx: Context, call: Call) -> Card | None:
        """The handler's answer. Nothing is written of what one that fails was about to do."""
        before = Effects(audit=list(ctx.effects.audit), dialogs=list(ctx.effects.dialogs))
        try:
            return await asyncio.wait_for(call(ctx), self._handler_seconds)
        except Exception:
            ctx.effects = before
            raise

    async def _over_limit(self, ctx: Context) -> Card | None:
        sender = ctx.message.sender
        if ctx.operator is None or (ctx.message.transport, sender.workspace) in self.unlimited:
            return None
        taken = await self._budgets.take(f"commands:{ctx.operator.id}", self._per_minute)
        return None if taken.allowed else Card.of("Slow down", taken.message, severity=Severity.WARNING, private=True)

    def _audit(self, ctx: Context, call: Call, decision: Decision) -> None:
        actor = f"operator:{ctx.operator.id}" if ctx.operator else f"stranger:{ctx.message.transport}"
        detail = {
            "name": ctx.operator.name if ctx.operator else ctx.message.sender.name,
            "arguments": {} if call.spec.name == "link" else call.arguments(),
            "verdict": decision.verdict.name.lower(),
            "reason": decision.reason,
            "by": decision.by,
            "conversation": str(ctx.message.conversation),
        }
        ctx.effects.audit.append(
            audit_row(
                actor=actor,
                event="command",
                subject=f"command:{call.spec.name}",
                station=ctx.station.slug,
                detail=detail,
                correlation_id=ctx.correlation_id,
                at=self._clock.now(),
            )
        )

    def _given_up(self, stored: StoredMessage, message: Message) -> Effects:
        effects = Effects()
        text = (
            f"This was begun {MAX_ATTEMPTS} times and could not be handled to its end. Tell an admin its id:"
            f" {short_id(stored.correlation_id)}."
        )
        card = Card.of("Given up", text, severity=Severity.BAD)
        _add_reply(effects, stored.id, message, stored.correlation_id, card)
        logger.error("message_given_up", correlation_id=str(stored.correlation_id))
        return effects

    def _reply(self, ctx: Context, card: Card) -> None:
        if ctx.private:
            card = card.model_copy(update={"private": True})
        replaces = ctx.replaces if ctx.replaces_private or not card.private else None
        _add_reply(ctx.effects, ctx.message_id, ctx.message, ctx.correlation_id, card, replaces)


def _add_reply(
    effects: Effects, message_id: UUID, message: Message, correlation_id: UUID, card: Card, replaces: str | None = None
) -> None:
    pages = replaces or any(
        button.replaces for block in card.blocks if isinstance(block, Buttons) for button in block.buttons
    )
    add_outbound(
        effects,
        key=replaces or f"message:{message_id}:reply",
        kind=OutboundKind.PAGE if pages else OutboundKind.REPLY,
        conversation=str(message.conversation),
        card=card,
        correlation_id=correlation_id,
        trace=current_traceparent() or message.trace,
        reply_to=message.message_ref,
        private_to=message.sender.user_id if card.private else None,
        reply_context=message.reply_context,
        message_id=message_id,
    )


def _stranger_card() -> Card:
    text = (
        "I do not know you yet. Ask an admin of this centre for an invitation"
        " (`vtoc-bots operator invite`), then send `/link CODE` here."
    )
    return Card.of("Hello", text, private=True)


def _mistake(text: str, error: UsageError) -> Card:
    """What is wrong with a command, with a button for each command that may have been meant."""
    card = mistake_card(text, error)
    names = error.suggestions if isinstance(error, UnknownCommand) else ()
    if not names:
        return card
    buttons = Buttons(buttons=tuple(Button(label=f"/{name}", command=f"/{name}") for name in names[:3]))
    return card.model_copy(update={"blocks": (*card.blocks, buttons)})


def _failed_card(error: VtocError) -> Card:
    text = str(error)
    return Card.of(
        "That did not work", text if text.endswith((".", "!", "?")) else f"{text}.", severity=Severity.WARNING
    )
