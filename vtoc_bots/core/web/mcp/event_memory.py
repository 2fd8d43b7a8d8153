"""The newest events of the streams of sessions, so that a client whose connection broke takes up where it was."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import JSONRPCMessage

MOST_BYTES: Final = 16 * 2**20
"""Of all sessions of a process together; the oldest go first."""
SHARE: Final = 4
"""The part of that which one caller's sessions may have is one of so many."""
_OVERHEAD: Final = 200


@dataclass(frozen=True, slots=True)
class _Event:
    session: int
    stream: StreamId
    message: JSONRPCMessage | None
    size: int


class EventMemory:
    """Holds the newest events; `dropped` is told of each that was let go unread or read."""

    def __init__(self, dropped: Callable[[], None], most_bytes: int = MOST_BYTES) -> None:
        self._dropped, self._most_bytes = dropped, most_bytes
        self._of: dict[str, OrderedDict[int, _Event]] = {}
        """Events by their numbers, by whose they are."""
        self._bytes: Counter[str] = Counter()
        self._numbers, self._sessions = count(1), count(1)

    def part(self, whose: str) -> SessionEvents:
        """The memory of one session of that caller's, which sees no other's."""
        return SessionEvents(self, whose, next(self._sessions))

    def store(self, whose: str, session: int, stream: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Hold an event; its id."""
        size = _OVERHEAD + (0 if message is None else len(message.model_dump_json(by_alias=True, exclude_none=True)))
        number = next(self._numbers)
        self._of.setdefault(whose, OrderedDict())[number] = _Event(session, stream, message, size)
        self._bytes[whose] += size
        while self._bytes[whose] > self._most_bytes // SHARE:
            self._drop_oldest(whose)
        while self._bytes.total() > self._most_bytes:
            self._drop_oldest(min(self._of, key=lambda each: next(iter(self._of[each]))))
        return str(number)

    def after(
        self, whose: str, session: int, event_id: EventId
    ) -> tuple[StreamId, list[tuple[EventId, JSONRPCMessage]]] | None:
        """The stream of an event of that session and what came in it since; None where it isn't held."""
        number = int(event_id) if event_id.isdecimal() and len(event_id) < 20 else 0
        held = self._of.get(whose) or OrderedDict()
        known = held.get(number)
        if known is None or known.session != session:
            return None
        later = [
            (str(each_number), each.message)
            for each_number, each in held.items()
            if each_number > number and (each.session, each.stream) == (session, known.stream) and each.message
        ]
        return known.stream, later

    def _drop_oldest(self, whose: str) -> None:
        self._bytes[whose] -= self._of[whose].popitem(last=False)[1].size
        if not self._of[whose]:
            del self._of[whose], self._bytes[whose]
        self._dropped()


class SessionEvents(EventStore):
    """What the SDK stores of one session: streams are named by their requests' ids, which repeat between sessions."""

    def __init__(self, memory: EventMemory, whose: str, session: int) -> None:
        self._memory, self._whose, self._session = memory, whose, session

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Hold an event; its id."""
        return self._memory.store(self._whose, self._session, stream_id, message)

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send what came since; the stream's name, None where the event is not held here."""
        found = self._memory.after(self._whose, self._session, last_event_id)
        if found is None:
            return None
        stream, later = found
        for event_id, message in later:
            await send_callback(EventMessage(message, event_id))
        return stream
