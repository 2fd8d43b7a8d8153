"""The newest events of the streams of sessions, so that a client whose connection broke takes up where it was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import JSONRPCMessage

MOST_BYTES: Final = 16 * 2**20
"""Of all sessions of a process together; the oldest go first."""
_OVERHEAD: Final = 200


@dataclass(frozen=True, slots=True)
class _Event:
    owner: int
    stream: StreamId
    message: JSONRPCMessage | None
    size: int


class EventMemory:
    """Holds the newest events; `dropped` is told of each that was let go unread or read."""

    def __init__(self, dropped: Callable[[], None], most_bytes: int = MOST_BYTES) -> None:
        self._dropped, self._most_bytes = dropped, most_bytes
        self._events: OrderedDict[EventId, _Event] = OrderedDict()
        self._bytes = 0
        self._numbers, self._owners = count(1), count(1)

    def part(self) -> SessionEvents:
        """The memory of one session, which sees no other's."""
        return SessionEvents(self, next(self._owners))

    def store(self, owner: int, stream: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Hold an event; its id."""
        size = _OVERHEAD + (0 if message is None else len(message.model_dump_json(by_alias=True, exclude_none=True)))
        event_id = str(next(self._numbers))
        self._events[event_id] = _Event(owner, stream, message, size)
        self._bytes += size
        while self._bytes > self._most_bytes:
            self._bytes -= self._events.popitem(last=False)[1].size
            self._dropped()
        return event_id

    def after(self, owner: int, event_id: EventId) -> tuple[StreamId, list[tuple[EventId, JSONRPCMessage]]] | None:
        """The stream of an event of that owner and what came in it since; None where it isn't held."""
        known = self._events.get(event_id)
        if known is None or known.owner != owner:
            return None
        number = int(event_id)
        later = [
            (each_id, each.message)
            for each_id, each in self._events.items()
            if int(each_id) > number and (each.owner, each.stream) == (owner, known.stream) and each.message is not None
        ]
        return known.stream, later


class SessionEvents(EventStore):
    """What the SDK stores of one session: streams are named by their requests' ids, which repeat between sessions."""

    def __init__(self, memory: EventMemory, owner: int) -> None:
        self._memory, self._owner = memory, owner

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Hold an event; its id."""
        return self._memory.store(self._owner, stream_id, message)

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send what came since; the stream's name, None where the event is not held here."""
        found = self._memory.after(self._owner, last_event_id)
        if found is None:
            return None
        stream, later = found
        for event_id, message in later:
            await send_callback(EventMessage(message, event_id))
        return stream
