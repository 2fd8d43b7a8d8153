"""Accepting messages: stored durably in one transaction with their hint, then told how to acknowledge."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.floods import Floods
from vtoc_bots.core.forms import Form
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.messages import Message, MessageKind, message_json
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.observers import Observers
from vtoc_bots.core.observe.tracing import current_traceparent, span
from vtoc_bots.core.store.inbox import InboxRows, NewMessage
from vtoc_bots.core.transports import Accepted, Acknowledgement, Caps, Choices, Invalid, OpenForm

_CAN_OPEN = (MessageKind.COMMAND, MessageKind.BUTTON)
"""What platforms open a form for."""
_HAVE_MANNERS = (*_CAN_OPEN, MessageKind.FORM)


class Asks(Protocol):
    """What the inbox asks before it stores: `asking.Asking`."""

    async def offer(self, message: Message) -> Choices:
        """Completions for what is typed so far."""
        ...

    async def form(self, message: Message) -> Form | None:
        """The form for what this command lacks, without its token; None where it lacks nothing."""
        ...

    async def check(self, message: Message) -> Invalid | None:
        """What is wrong with a form's values; None where nothing is."""
        ...

    async def manner(self, message: Message) -> tuple[bool, bool]:
        """Whether the answer is for the sender alone, and whether it replaces a card, as far as can be told now."""
        ...


class TransportInbox:
    """The inbox of one transport; `queue` names the jobs that deliver its conversations' replies."""

    def __init__(
        self,
        rows: InboxRows,
        queue: str,
        caps: Caps,
        asks: Asks,
        floods: Floods,
        metrics: Metrics,
        observers: Observers,
    ) -> None:
        self._rows, self._queue, self._caps, self._asks, self._floods = rows, queue, caps, asks, floods
        self._metrics, self._observers = metrics, observers
        self._asked_by = "dialog" if caps.dialog else "button" if caps.forms else ""

    async def accept(self, message: Message) -> Acknowledgement:
        """Store the message; it is on disk when this returns. An event that was stored before is a duplicate.

        Raises TransientError when it could not be stored: do not acknowledge then, the platform will send it again.
        """
        with span("accept", message.trace, platform=message.transport) as traced:
            accepted = await self._accepted(message)
            if isinstance(accepted, (Accepted, OpenForm)) and accepted.message_id is not None:
                traced.set(correlation_id=accepted.message_id)
            return accepted

    async def _accepted(self, message: Message) -> Acknowledgement:
        if not await self._floods.admits(message):
            self._metrics.message_dropped(message.transport)
            return Accepted(None)
        if message.kind is MessageKind.CHOICES:
            return await self._asks.offer(message)
        if message.kind is MessageKind.FORM and self._caps.form_errors:
            wrong = await self._asks.check(message)
            if wrong is not None:
                return wrong
        form = await self._asks.form(message) if self._caps.forms and message.kind in _CAN_OPEN else None
        private = replaces = False
        if self._caps.defers and form is None and message.kind in _HAVE_MANNERS:
            private, replaces = await self._asks.manner(message)
        accepted = await self._store(message, "form" if form else self._asked_by)
        if form is None or accepted.message_id is None:
            return replace(accepted, private=private, replaces=replaces) if private or replaces else accepted
        return OpenForm(replace(form, token=accepted.message_id.hex), accepted.message_id)

    async def unopened(self, message: Message) -> Accepted:
        """Store a message again whose form could not be opened; what it lacks is asked for in a card."""
        return await self._store(replace(message, event_id=f"{message.event_id}:unopened"), self._asked_by)

    async def _store(self, message: Message, asked_by: str) -> Accepted:
        """`asked_by`: how what is missing is asked for, see `Context`."""
        message_id = new_id()
        body = message_json(message)
        if asked_by:
            body["asked_by"] = asked_by
        new = NewMessage(
            id=message_id,
            transport=message.transport,
            account=message.account,
            event_id=message.event_id,
            conversation=str(message.conversation),
            queue=self._queue,
            body=body,
            correlation_id=message_id,
            trace=current_traceparent() or message.trace,
        )
        try:
            stored = await self._rows.accept(new)
        except TransientError:
            self._metrics.message_refused(message.transport)
            raise
        self._metrics.message_accepted(message.transport, duplicate=not stored)
        if stored:
            self._observers.tell(
                "message_accepted", id=message_id, conversation=new.conversation, kind=message.kind.value
            )
        return Accepted(message_id if stored else None, duplicate=not stored)
