"""A chat platform in memory that behaves by a profile: what the World's people use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from vtoc_bots.core.cards import Buttons, Card, File, Image
from vtoc_bots.core.errors import NotFound, NotSent, RateLimited, Refused, TransientError, Unknown
from vtoc_bots.core.forms import Form
from vtoc_bots.core.messages import ConversationId, Message, MessageKind, Outbound, Receipt, Sender
from vtoc_bots.core.transports import (
    Acknowledgement,
    Caps,
    Choices,
    Inbox,
    Invalid,
    OpenForm,
    TransportContext,
)
from vtoc_bots.testing.platform import LIMITED_SECONDS, Event, FakePlatform, Fault, Shown, ShownButton, ShownForm
from vtoc_bots.testing.profiles import Profile
from vtoc_bots.testing.words import words_of

ACCOUNT: Final = "bot"
MENTION: Final = "@bots"
"""What a text begins with that is addressed to us."""
LONGEST_LABEL: Final = 80


@dataclass(slots=True)
class Delivery(Event):
    """An event of a simulated platform: the message, how it was acknowledged, and why it was not."""

    message: Message | None = None
    answer: Acknowledgement | None = None
    problem: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)


class SimulatedTransport:
    """One process's link to the platform."""

    def __init__(self, platform: SimulatedPlatform, context: TransportContext) -> None:
        self._platform, self.context = platform, context
        self.inbox: Inbox | None = None
        self.is_cut = False

    @property
    def caps(self) -> Caps:
        """The profile's."""
        return self._platform.profile.caps

    async def run(self, inbox: Inbox) -> None:
        """Take what people do until cancelled."""
        self.inbox = inbox
        self._platform.links.append(self)
        self._platform.linked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cut()

    def cut(self) -> None:
        """The process is gone: nothing comes through any more, either way."""
        self.is_cut = True
        if self in self._platform.links:
            self._platform.links.remove(self)

    async def send(self, outbound: Outbound) -> Receipt:
        """Show it, or fail as the test wants."""
        return await self._platform.take(outbound, self)


class LookingTransport(SimulatedTransport):
    """Also finds out what became of a send."""

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """What is shown under the key."""
        ref = self._platform.refs.get(outbound.key)
        return None if ref is None else Receipt(ref, self.context.clock.now())


class SimulatedPlatform(FakePlatform):
    """People and the bots of any number of processes on one platform."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.transport = profile.name
        self.account, self.longest_text = ACCOUNT, profile.longest_text
        self.patience_seconds = 0.2
        self.links: list[SimulatedTransport] = []
        self.linked = asyncio.Event()
        self.outbounds: list[Outbound] = []
        """Everything that was shown, edits included, in order."""
        self.refs: dict[str, str] = {}
        self.when: Callable[[Outbound], bool] = lambda outbound: True
        """Which outbounds the faults are for."""
        self.raises: Callable[[Outbound], Exception | None] = lambda outbound: None
        """What a send of this raises whatever the faults are, None for nothing."""
        self._shown: dict[str, list[Shown]] = {}
        self._forms: list[ShownForm] = []
        self._faults: list[tuple[Fault | Exception, float]] = []
        self._form_faults = 0
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sends = 0

    # What the transport's side does

    def open(self, context: TransportContext) -> SimulatedTransport:
        """A link for one more process."""
        kind = LookingTransport if self.profile.caps.looks_up_receipts else SimulatedTransport
        self.linked.clear()
        return kind(self, context)

    async def take(self, outbound: Outbound, link: SimulatedTransport) -> Receipt:
        """Show an outbound, unless it is to fail."""
        if link.is_cut:
            await asyncio.Event().wait()
        self._sends += 1
        judged = self.raises(outbound)
        if judged is not None:
            raise judged
        fault, after = self._faults[0] if self._faults and self.when(outbound) else (None, 0.0)
        if fault is not None:
            self._faults.pop(0)
        if fault is Fault.DROPPED:
            await self._show(outbound, link)
        if fault is not None:
            await _raise(fault, after)
        return await self._show(outbound, link)

    async def _show(self, outbound: Outbound, link: SimulatedTransport) -> Receipt:
        ref = outbound.edits.ref if outbound.edits is not None else f"m{next(self._numbers)}"
        files = dict([await _file(link, each) for each in _files(outbound.card)])
        only_for = outbound.private_to if self.profile.caps.private else None
        pieces = pieces_of(self._text(outbound), self.profile.longest_text)
        edits = self._shown[ref][0].edits + 1 if ref in self._shown else 0
        place = outbound.conversation
        shown = [
            Shown(f"{ref}.{number}", place.channel, text, (), {}, only_for, place.thread, edits)
            for number, text in enumerate(pieces)
        ]
        shown[-1].files = files
        if self.profile.caps.buttons:
            shown[-1].buttons = _buttons(outbound.card)
        self._shown[ref] = shown
        self.refs[outbound.key] = ref
        self.outbounds.append(outbound)
        return Receipt(ref, link.context.clock.now())

    def _text(self, outbound: Outbound) -> str:
        mark = "(may be a repeat)\n" if outbound.may_be_repeat else ""
        return mark + words_of(outbound.card)

    # What people see and do

    @property
    def shown(self) -> Sequence[Shown]:
        """What can be seen now."""
        return [shown for pieces in self._shown.values() for shown in pieces]

    @property
    def sends(self) -> int:
        """Requests to send."""
        return self._sends

    @property
    def forms(self) -> Sequence[ShownForm]:
        """The open forms."""
        return self._forms

    async def ready(self) -> None:
        """A process has linked itself."""
        await self.linked.wait()

    async def says(self, who: Sender, text: str, room: str = "hall", thread: str | None = None) -> Delivery:
        """Deliver a text; one that begins with MENTION is addressed to us."""
        words = text.removeprefix(f"{MENTION} ")
        return self.deliver(self._message(who, room, thread, text=words, mentions_us=words != text))

    async def gives(self, who: Sender, command: str, arguments: Mapping[str, str], room: str = "hall") -> Delivery:
        """Give a native command, where the profile has forms: such platforms have those too."""
        if not self.profile.caps.forms:
            words = " ".join([f"/{command}", *arguments.values()])
            return await self.says(who, words, room)
        return self.deliver(
            self._message(who, room, kind=MessageKind.COMMAND, command=command, arguments=dict(arguments))
        )

    async def presses(self, who: Sender, shown: Shown, label: str) -> Delivery:
        """Press a button."""
        value = next(button.value for button in shown.buttons if button.label == label)
        return self.deliver(self._message(who, shown.room, shown.thread, kind=MessageKind.BUTTON, token=value))

    async def completes(self, who: Sender, command: str, parameter: str, typed: str) -> Sequence[str]:
        """What is offered for a value."""
        message = self._message(
            who,
            self.rooms[0],
            kind=MessageKind.CHOICES,
            command=command,
            arguments={parameter: typed},
            focused=parameter,
        )
        answer = await self._inbox().accept(message)
        assert isinstance(answer, Choices)
        return [value for value, _ in answer.choices]

    async def submits(self, form: ShownForm, values: Mapping[str, str]) -> Delivery:
        """Send a form; it closes unless something is wrong in it."""
        place: ConversationId = form.payload[1]
        return self.deliver(
            self._message(
                form.who,
                place.channel,
                place.thread,
                kind=MessageKind.FORM,
                token=form.payload[0],
                arguments=dict(values),
            ),
            form,
        )

    async def again(self, event: Event) -> Delivery:
        """Deliver the same message again."""
        assert isinstance(event, Delivery)
        assert event.message is not None
        return self.deliver(event.message)

    def fails(self, fault: Fault | Exception, times: int = 1, *, after_seconds: float = LIMITED_SECONDS) -> None:
        """Treat the next requests to send in this way; an exception is raised as it is."""
        self._faults += [(fault, after_seconds)] * times

    async def recovers(self) -> None:
        """Fail no more."""
        self._faults.clear()

    def fails_to_open(self) -> None:
        """Refuse the next form."""
        self._form_faults += 1

    def deliver(self, message: Message, form: ShownForm | None = None) -> Delivery:
        """Bring a message to a process; the delivery says what came of it."""
        delivery = Delivery(message.sender, payload=message.text or message.command, message=message)
        task = asyncio.create_task(self._deliver(delivery, form))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return delivery

    async def stop(self) -> None:
        """Deliver nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, delivery: Delivery, form: ShownForm | None) -> None:
        assert delivery.message is not None
        assert delivery.acknowledged is not None
        try:
            delivery.answer = await self._inbox().accept(delivery.message)
            delivery.acknowledged.set()
            await self._answered(delivery, form)
        except TransientError as error:
            delivery.problem = str(error)
        finally:
            delivery.done.set()

    async def _answered(self, delivery: Delivery, form: ShownForm | None) -> None:
        """Do what the acknowledgement asks for."""
        message, answer = delivery.message, delivery.answer
        assert message is not None
        if isinstance(answer, OpenForm):
            if self._form_faults:
                self._form_faults -= 1
                await self._inbox().unopened(message)
            else:
                self._forms.append(_shown_form(message, answer.form))
        elif isinstance(answer, Invalid):
            if form is not None:
                form.errors = dict(answer.errors)
        elif form is not None and form in self._forms:
            self._forms.remove(form)

    def _inbox(self) -> Inbox:
        for link in reversed(self.links):
            if link.inbox is not None:
                return link.inbox
        raise TransientError("no process is linked to this platform")

    def _message(self, who: Sender, room: str, thread: str | None = None, **fields: Any) -> Message:
        number = next(self._numbers)
        return Message(
            transport=self.profile.name,
            account=self.account,
            event_id=f"e{number}",
            conversation=ConversationId(self.profile.name, self.account, room, thread),
            sender=who,
            message_ref=f"m{number}",
            **fields,
        )


async def _raise(fault: Fault | Exception, after_seconds: float) -> None:
    match fault:
        case Exception():
            raise fault
        case Fault.REFUSED:
            raise Refused("the platform takes no such message")
        case Fault.LIMITED:
            raise RateLimited("too many requests", after_seconds)
        case Fault.LIMITED_BARE:
            raise RateLimited("too many requests", 1.0)
        case Fault.UNREACHABLE:
            raise NotSent(f"the platform is {fault.value}")
        case Fault.FAILING | Fault.DROPPED:
            raise Unknown(f"the platform is {fault.value}")
        case Fault.HANGING:
            await asyncio.Event().wait()


def pieces_of(text: str, limit: int) -> list[str]:
    """The text in pieces of at most `limit` characters, parted at white space where there is some."""
    pieces: list[str] = []
    while len(text) > limit:
        at = max(text.rfind(" ", 0, limit), text.rfind("\n", 0, limit))
        at = limit if at <= 0 else at
        pieces.append(text[:at])
        text = text[at:].lstrip()
    return [*pieces, text]


def _buttons(card: Card) -> tuple[ShownButton, ...]:
    return tuple(
        ShownButton(button.label[:LONGEST_LABEL], button.token)
        for block in card.blocks
        if isinstance(block, Buttons)
        for button in block.buttons
        if button.token is not None
    )


def _files(card: Card) -> list[Image | File]:
    return [block for block in card.blocks if isinstance(block, Image | File)]


async def _file(link: SimulatedTransport, block: Image | File) -> tuple[str, bytes]:
    try:
        return block.name, await link.context.blobs.get(block.blob)
    except NotFound:
        return f"{block.name} (gone)", b""


def _shown_form(message: Message, form: Form) -> ShownForm:
    labels = {field.name: field.label for field in form.fields}
    return ShownForm(message.sender, form.title, labels, payload=(form.token, message.conversation))
