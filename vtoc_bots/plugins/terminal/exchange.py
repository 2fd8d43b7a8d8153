"""What a terminal says and hears: lines handed over, and what became of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from uuid import UUID, uuid4

from vtoc_bots import (
    Accepted,
    Choices,
    Clock,
    ConversationId,
    Form,
    Inbox,
    Message,
    MessageKind,
    OpenForm,
    Outbound,
    OutboundKind,
    Sender,
    TransientError,
)
from vtoc_bots.plugins.terminal.choices import Choice, choices_of_card
from vtoc_bots.plugins.terminal.journal import Journal, OpenLine

PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)
"""Between the tries to hand a line over."""


class LineState(Enum):
    """How far a line is."""

    HANDING = "is being handed over"
    OPEN = "is not answered"
    PARKED = "waits for an approval or an answer"
    ANSWERED = "is answered"
    REFUSED = "was not accepted"


@dataclass(slots=True)
class Handed:
    """A line that was handed over; `number` is its place in this terminal's input, 0 where an earlier terminal at this
    seat read it and was killed."""

    text: str
    number: int = 0
    event_id: str = ""
    message_id: UUID | None = None
    state: LineState = LineState.HANDING
    problem: str = ""

    @property
    def settled(self) -> bool:
        """Whether the next line may follow: this one is answered, waits for a person, or never will be."""
        return self.state not in (LineState.HANDING, LineState.OPEN)

    def is_meant_by(self, outbound: Outbound) -> bool:
        """Whether the outbound came of this line."""
        if self.message_id is not None and self.message_id in (outbound.message_id, outbound.correlation_id):
            return True
        return bool(self.event_id) and outbound.reply_to == self.event_id


@dataclass(slots=True)
class Exchange:
    """One terminal's conversation, shared by whoever reads lines and whoever prints outbounds."""

    inbox: Inbox
    conversation: ConversationId
    sender: Sender
    clock: Clock
    journal: Journal
    lines: list[Handed] = field(default_factory=list)
    """Those without their final answer."""
    _count: int = 0
    trouble: str = ""
    """Why the last line or completion did not get through; empty when it did."""
    _choices: tuple[str, tuple[Choice, ...]] = ("", ())
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _heard: list[Outbound] = field(default_factory=list)
    """What was printed while a line was being handed over: its answer may be quicker than its acknowledgement."""

    def __post_init__(self) -> None:
        self._choices = self.journal.choices
        self.lines += [
            Handed(line.text, message_id=UUID(line.message_id), state=LineState.OPEN)
            for line in self.journal.open_lines
        ]

    async def hand_over(self, text: str) -> Handed:
        """Give one line to the inbox; a number that is a choice of the last card with buttons presses that button.

        A passing fault is tried again a few times. Returns the line with its state; it is REFUSED, with a problem,
        where it could not be stored.
        """
        self._count += 1
        line = Handed(text, self._count, event_id=str(uuid4()))
        self.lines.append(line)
        try:
            acknowledgement = await self._accepted(self._message(line))
        except TransientError as error:
            line.state, line.problem = LineState.REFUSED, str(error)
            return line
        line.state = LineState.OPEN
        match acknowledgement:
            case Accepted(message_id=message_id):
                line.message_id = message_id
            case OpenForm(form=form):
                # This terminal has no forms (see its caps): what is missing must come in the line itself.
                line.state, line.problem = LineState.REFUSED, _missing(form)
        if line.message_id is not None:
            await asyncio.to_thread(self.journal.open_line, OpenLine(str(line.message_id), text))
        heard, self._heard = self._heard, []
        for outbound in heard:
            self._learn(outbound)
        return line

    async def completions(self, text: str) -> tuple[tuple[str, str], ...]:
        """What core offers for a line that is being typed: (value, label). Raises TransientError."""
        message = self._message(Handed(text, event_id=str(uuid4())), MessageKind.CHOICES)
        offered = await self._once(message)
        return offered.choices if isinstance(offered, Choices) else ()

    async def heard(self, outbound: Outbound) -> None:
        """Take note that an outbound was printed."""
        async with self._changed:
            choices = choices_of_card(outbound.card)
            if choices:
                self._choices = (outbound.key, choices)
            elif outbound.key == self._choices[0] or outbound.card.asks:  # a number answers what is asked now
                self._choices = ("", ())
            if any(line.state is LineState.HANDING for line in self.lines):
                self._heard.append(outbound)
            self._learn(outbound)
            self._changed.notify_all()

    async def settled(self, line: Handed) -> None:
        """Wait until the line is settled."""
        async with self._changed:
            await self._changed.wait_for(lambda: line.settled)

    async def answered(self) -> None:
        """Wait until every line has its final answer."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.lines)

    def _learn(self, outbound: Outbound) -> None:
        for line in self.lines:
            if line.state not in (LineState.OPEN, LineState.PARKED) or not line.is_meant_by(outbound):
                continue
            if is_answer(outbound):
                line.state = LineState.ANSWERED
            elif outbound.kind is not OutboundKind.PROGRESS:
                line.state = LineState.PARKED  # its run asks for something that a later line may give
        self.lines = [line for line in self.lines if line.state is not LineState.ANSWERED]

    def _message(self, line: Handed, kind: MessageKind = MessageKind.TEXT) -> Message:
        token = None if kind is MessageKind.CHOICES else self._token(line.text)
        return Message(
            transport=self.conversation.transport,
            account=self.conversation.account,
            event_id=line.event_id,
            conversation=self.conversation,
            sender=self.sender,
            text=line.text,
            mentions_us=True,  # whom else would anything typed here be for
            kind=MessageKind.BUTTON if token else kind,
            token=token,
            message_ref=line.event_id,
            sent_at=self.clock.now(),
        )

    def _token(self, text: str) -> str | None:
        return next((choice.token for choice in self._choices[1] if str(choice.number) == text.strip()), None)

    async def _accepted(self, message: Message) -> object:
        """The acknowledgement. Raises TransientError after the last try; the event id makes tries safe to repeat."""
        for pause in PAUSES_SECONDS:
            try:
                return await self._once(message)
            except TransientError as error:
                await self.clock.sleep(error.after_seconds or pause)
        return await self._once(message)

    async def _once(self, message: Message) -> object:
        try:
            acknowledgement = await self.inbox.accept(message)
        except TransientError as error:
            self.trouble = str(error)
            raise
        self.trouble = ""
        return acknowledgement


def is_answer(outbound: Outbound) -> bool:
    """Whether printing it answers the line that it came of: a run's notices on the way do not."""
    if outbound.kind is OutboundKind.NOTICE:
        return outbound.message_id is not None
    return outbound.kind in (OutboundKind.REPLY, OutboundKind.PAGE, OutboundKind.RESULT)


def answered_id(outbound: Outbound) -> str | None:
    """The id of the line that it answers, if it is one of ours at all."""
    return str(outbound.message_id or outbound.correlation_id) if is_answer(outbound) else None


def _missing(form: Form) -> str:
    wanted = ", ".join(f"{one.name} ({one.help or one.label})" for one in form.fields if one.required)
    return f"{form.title} needs more in the line itself: {wanted}"
