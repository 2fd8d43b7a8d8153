"""The World's people: what they say, press and fill in, and what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from vtoc_bots.core.cards import Button, Buttons, Card
from vtoc_bots.core.messages import Outbound, Sender
from vtoc_bots.core.transports import Accepted, OpenForm
from vtoc_bots.testing.platform import Shown, ShownForm
from vtoc_bots.testing.simulated import Delivery, SimulatedPlatform
from vtoc_bots.testing.words import words_of

if TYPE_CHECKING:
    from vtoc_bots.testing.world import World

ROOM: Final = "hall"


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a person did, as it was accepted. `message_id` is None for a repeat and for what was not stored.

    `problem` says why it was not acknowledged; the platform would deliver it again.
    """

    person: Person
    delivery: Delivery
    message_id: UUID | None
    problem: str = ""

    @property
    def duplicate(self) -> bool:
        """Whether it had been accepted before."""
        return isinstance(self.delivery.answer, Accepted) and self.delivery.answer.duplicate


@dataclass(frozen=True, slots=True)
class Reply:
    """A card that came of something said."""

    outbound: Outbound

    @property
    def card(self) -> Card:
        """The card."""
        return self.outbound.card

    @property
    def title(self) -> str:
        """Its title."""
        return self.card.title

    @property
    def text(self) -> str:
        """All its words."""
        return words_of(self.card)

    @property
    def buttons(self) -> tuple[Button, ...]:
        """Its buttons."""
        return tuple(button for block in self.card.blocks if isinstance(block, Buttons) for button in block.buttons)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account on a platform; an operator if the World knows them."""

    world: World
    platform: SimulatedPlatform
    sender: Sender

    @property
    def name(self) -> str:
        """How they are called."""
        return self.sender.name

    async def says(self, text: str, room: str = ROOM, thread: str | None = None) -> Said:
        """Send a text; it is accepted when this returns."""
        return await self._said(await self.platform.says(self.sender, text, room, thread))

    async def asks(self, text: str, room: str = ROOM, thread: str | None = None) -> Reply:
        """Send a text and wait for the reply, or for the result of the run that it started."""
        return await self.world.reply_to(await self.says(text, room, thread))

    async def gives(self, command: str, room: str = ROOM, **arguments: str) -> Said:
        """Give a native command with values by parameter name (a text with a slash where the platform has none)."""
        return await self._said(await self.platform.gives(self.sender, command, arguments, room))

    async def presses(self, label: str, room: str | None = None) -> Said:
        """Press the newest button of that label that they can see, in one room or wherever it is."""
        for shown in reversed(self.sees(room)):
            if any(button.label == label for button in shown.buttons):
                return await self._said(await self.platform.presses(self.sender, shown, label))
        labels = sorted({button.label for shown in self.sees(room) for button in shown.buttons})
        raise AssertionError(f"{self.name} sees no button {label!r}; there are {labels}")

    async def fills(self, **values: str) -> Said:
        """Fill the form that is open before them, and send it."""
        form = self.form
        if form is None:
            raise AssertionError(f"no form is open before {self.name}")
        unknown = values.keys() - form.labels.keys()
        if unknown:
            raise AssertionError(f"the form {form.title} has no {sorted(unknown)}; it has {sorted(form.labels)}")
        return await self._said(await self.platform.submits(form, values))

    async def repeats(self, said: Said) -> Said:
        """The platform delivers something once more."""
        return await self._said(await self.platform.again(said.delivery))

    @property
    def form(self) -> ShownForm | None:
        """The form that is open before them; its `errors` say what is wrong in it."""
        mine = [form for form in self.platform.forms if form.who.user_id == self.sender.user_id]
        return mine[-1] if mine else None

    def sees(self, room: str | None = None) -> Sequence[Shown]:
        """What they can see now, oldest first: in a room or everywhere, without what is for another alone."""
        return [
            shown
            for shown in self.platform.shown
            if shown.only_for in (None, self.sender.user_id) and room in (None, shown.room)
        ]

    async def _said(self, delivery: Delivery) -> Said:
        await delivery.done.wait()
        answer = delivery.answer
        message_id = answer.message_id if isinstance(answer, Accepted | OpenForm) else None
        return Said(self, delivery, message_id, delivery.problem)
