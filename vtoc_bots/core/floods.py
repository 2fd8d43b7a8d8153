"""Messages of strangers who send too many are dropped before the database sees them; operators' never are."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from vtoc_bots.core.messages import Message, MessageKind
from vtoc_bots.core.people import People
from vtoc_bots.core.ports import Clock

PER_MINUTE: Final = 20
"""Messages a stranger may send a minute."""
MOST_SENDERS: Final = 10_000
KNOWN_SECONDS: Final = 60.0
"""How long it is believed that somebody is an operator."""
LOOKUPS_AT_ONCE: Final = 4
"""A crowd's look-ups leave connections for others. Each comes after messages that were stored at far greater cost, and
`People` remembers what it found, so their number needs no limit; whoever was dropped unlooked might be an operator."""


@dataclass(slots=True)
class _Seen:
    tokens: float
    at: float
    known_at: float = float("-inf")
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Floods:
    """Admits messages. Bounded: the senders who were quiet for longest are forgotten."""

    def __init__(self, people: People, clock: Clock) -> None:
        self._people, self._clock = people, clock
        self._senders: OrderedDict[tuple[str, str, str], _Seen] = OrderedDict()
        self._looks = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def admits(self, message: Message) -> bool:
        """Whether to store it: within the sender's rate, or from an operator. What a transport reports by itself is
        stored, and so is what it hears for a log: nobody floods us by what is not answered.

        Raises TransientError where it can't be found out.
        """
        if message.kind is MessageKind.EVENT or message.overheard is not None:
            return True
        key = (message.transport, message.sender.workspace, message.sender.user_id)
        now = self._clock.monotonic()
        seen = self._senders.get(key)
        if seen is None:
            seen = self._senders[key] = _Seen(PER_MINUTE, now)
            if len(self._senders) > MOST_SENDERS:
                self._senders.popitem(last=False)
        self._senders.move_to_end(key)
        seen.tokens = min(PER_MINUTE, seen.tokens + (now - seen.at) * PER_MINUTE / 60.0)
        seen.at = now
        if seen.tokens >= 1.0:
            seen.tokens -= 1.0
            return True
        async with seen.looking:  # those that come meanwhile wait for what is found, they are an operator's perhaps
            if now - seen.known_at > KNOWN_SECONDS:
                async with self._looks:
                    if await self._people.sender(message) is None:
                        return False
                seen.known_at = now
        return True
