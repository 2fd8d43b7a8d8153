"""What a command's handler is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from vtoc_bots.core.access import Operator, Station
from vtoc_bots.core.messages import Message
from vtoc_bots.core.ports import Blobs, Clock, Services
from vtoc_bots.core.questions import Inquiry
from vtoc_bots.core.store.effects import Effects

if TYPE_CHECKING:
    from vtoc_bots.core.desk import Desk


@dataclass(slots=True)
class Context:
    """One command being handled: who asked, where, and what the handler may use."""

    message: Message
    message_id: UUID
    operator: Operator | None
    """None only for commands that anyone may use."""
    station: Station
    correlation_id: UUID
    clock: Clock
    services: Services
    desk: Desk
    """The framework itself: playbooks, runs, approvals, help, health."""
    effects: Effects = field(default_factory=Effects)
    """What is written together with the reply, in one transaction."""
    private: bool = False
    asked_by: str = ""
    """How this platform asks for what is missing: ``form`` (it has), ``button`` (that opens one), ``dialog``, or empty:
    by a card."""
    replaces: str | None = None
    """The key of the card that the answer replaces, of a page's button."""
    replaces_private: bool = False
    """Whether the sender alone sees that card: no private answer stands in the place of any other."""

    @property
    def run_id(self) -> UUID | None:
        """A command is no run."""
        return None

    @property
    def idempotency_key(self) -> str:
        """The same however often this message is handled."""
        return f"message:{self.message_id}"

    @property
    def blobs(self) -> Blobs:
        """Where pictures and files go."""
        return self.services.blobs

    @property
    def inquiry(self) -> Inquiry:
        """A command asks nobody anything."""
        return Inquiry()

    @property
    def prompt(self) -> str:
        """The message's text."""
        return self.message.text

    @property
    def can_ask(self) -> bool:
        """An action that needs an answer of a person is a step of a playbook."""
        return False

    async def act(self, name: str, **inputs: Any) -> Any:
        """Call an action by name; returns its result. For what takes less than the handler's ten seconds."""
        return await self.services.act(self, name, inputs)

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Nothing: a command is answered at once or is a playbook."""

    async def keep(self, memo: Mapping[str, Any]) -> None:
        """Nothing: a command that ends too early is handled again from its beginning."""

    def known(self) -> Operator:
        """The operator, where the command's level has made sure that there is one."""
        if self.operator is None:
            raise RuntimeError("this command is open to anyone, so it has no operator")
        return self.operator
