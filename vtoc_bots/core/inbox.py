"""Accepting messages: stored durably in one transaction with their hint, then told how to acknowledge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.messages import Message, MessageKind, message_json
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.observers import Observers
from vtoc_bots.core.observe.tracing import current_traceparent
from vtoc_bots.core.ports import Accepted, Acknowledgement, Choices
from vtoc_bots.core.store.inbox import InboxRows, NewMessage

Offer = Callable[[Message], Awaitable[Choices]]


class TransportInbox:
    """The inbox of one transport; `queue` names the jobs that deliver its conversations' replies."""

    def __init__(self, rows: InboxRows, queue: str, offer: Offer, metrics: Metrics, observers: Observers) -> None:
        self._rows, self._queue, self._offer = rows, queue, offer
        self._metrics, self._observers = metrics, observers

    async def accept(self, message: Message) -> Acknowledgement:
        """Store the message; it is on disk when this returns. An event that was stored before is a duplicate.

        Raises TransientError when it could not be stored: do not acknowledge then, the platform will send it again.
        """
        if message.kind is MessageKind.CHOICES:
            return await self._offer(message)
        message_id = new_id()
        new = NewMessage(
            id=message_id,
            transport=message.transport,
            account=message.account,
            event_id=message.event_id,
            conversation=str(message.conversation),
            queue=self._queue,
            body=message_json(message),
            correlation_id=message_id,
            trace=message.trace or current_traceparent(),
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
