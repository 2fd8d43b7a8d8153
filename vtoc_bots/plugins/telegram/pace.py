"""How fast we may send: Telegram's flood limits, kept before they are hit and obeyed when they were."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, Literal

from vtoc_bots import Clock

OVERALL: Final = (30, 1.0)
GROUP: Final = (20, 60.0)
"""Messages in so many seconds (core.telegram.org/bots/faq, limits)."""
CHAT_SECONDS: Final = 1.0
"""Between two cards in a chat, for each message of the first."""
AHEAD_SECONDS: Final = 3.0
"""How far a card of several messages may run ahead of that: Telegram bears short bursts."""
MOST_CHATS: Final = 4096

Call = Literal["send", "edit"]


class Window:
    """At most `most` times in any `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._times: deque[float] = deque(maxlen=most)

    def wait(self, now: float) -> float:
        """Seconds until the next is allowed; 0 if it is now."""
        if len(self._times) < self._most:
            return 0.0
        return max(0.0, self._times[0] + self._seconds - now)

    def add(self, now: float) -> None:
        """Count one."""
        self._times.append(now)


@dataclass(slots=True)
class _Chat:
    minute: Window | None = None
    next_at: dict[Call, float] = field(default_factory=dict)
    """When the next card may begin."""
    until: float = float("-inf")


class Pace:
    """Says when the next call may go out. Bounded: the chats that were quiet for longest are forgotten."""

    def __init__(self, clock: Clock, most_chats: int = MOST_CHATS) -> None:
        self._clock, self._most_chats = clock, most_chats
        self._overall = Window(*OVERALL)
        self._chats: OrderedDict[int, _Chat] = OrderedDict()
        self.held_back = 0
        """Calls that were told to wait."""
        self.limited = 0
        """Calls that Telegram itself told to wait."""
        self.forgotten = 0
        """Chats that were forgotten."""

    def take(self, chat_id: int, call: Call, *, goes_on: bool = False) -> float:
        """Count a call that goes out now and return 0, or return the seconds to wait and count nothing.

        `goes_on`: it is a further message of the card before; the next card waits for the longer.
        """
        now, chat = self._clock.monotonic(), self._chat(chat_id)
        windows = [self._overall, *([chat.minute] if chat.minute is not None and call == "send" else [])]
        next_at = chat.next_at.get(call, now)
        ahead = AHEAD_SECONDS if goes_on else 0.0
        wait = max(chat.until - now, next_at - ahead - now, *(window.wait(now) for window in windows))
        if wait > 0.0:
            self.held_back += 1
            return wait
        for window in windows:
            window.add(now)
        chat.next_at[call] = max(now, next_at) + CHAT_SECONDS
        return 0.0

    def obey(self, chat_id: int, seconds: float) -> None:
        """Telegram asks to leave this chat alone for so long."""
        self.limited += 1
        self._chat(chat_id).until = self._clock.monotonic() + seconds

    def _chat(self, chat_id: int) -> _Chat:
        chat = self._chats.get(chat_id)
        if chat is None:
            # Ids of groups and channels are negative.
            chat = self._chats[chat_id] = _Chat(minute=Window(*GROUP) if chat_id < 0 else None)
            if len(self._chats) > self._most_chats:
                self._chats.popitem(last=False)
                self.forgotten += 1
        self._chats.move_to_end(chat_id)
        return chat
