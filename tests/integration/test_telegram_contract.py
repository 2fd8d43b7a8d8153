"""Telegram passes the contract of transports, against the strict Bot API server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.telegram_kit import BOT_ID, chat_of, message, press, settings_of, user
from tests.telegram_server import TOKEN, BotApiServer, Call, Manner, Refusal
from vtoc_bots import Sender, Transport, TransportContext
from vtoc_bots.plugins.telegram.transport import TelegramTransport
from vtoc_bots.testing import LIMITED_SECONDS, Event, FakePlatform, Fault, Shown, ShownButton, TransportContract

MANNERS: dict[Fault, Manner] = {
    Fault.REFUSED: Refusal(400, "Bad Request: chat not found"),
    Fault.LIMITED: Refusal(429, "Too Many Requests: retry after 7", retry_after=int(LIMITED_SECONDS)),
    Fault.LIMITED_BARE: Refusal(429, "Too Many Requests"),
    Fault.FAILING: Refusal(500, "Internal Server Error"),
    Fault.HANGING: "hang",
    Fault.DROPPED: "do-and-drop",
}


class Confirmed:
    """Whether the update's offset was confirmed."""

    def __init__(self, server: BotApiServer, update_id: int) -> None:
        self._server, self._update_id = server, update_id

    def is_set(self) -> bool:
        return self._server.confirmed >= self._update_id


class TelegramChats(FakePlatform):
    """Two people and two groups whose members a bot hears, by long polling."""

    transport, account = "telegram", str(BOT_ID)
    people = (Sender("4001", "Ada"), Sender("4002", "Bob"))
    rooms = ("-100200", "-100300")
    longest_text = 4096
    credential, secret = "TELEGRAM_BOT_TOKEN", TOKEN
    cannot = frozenset({Fault.UNREACHABLE})
    patience_seconds = 0.5

    def __init__(self) -> None:
        self.server = BotApiServer()
        self._stack = AsyncExitStack()
        self._faults: list[Fault] = []
        self._polls = 0

    async def start(self) -> None:
        await self._stack.enter_async_context(self.server.open())
        for who in self.people:
            self.server.chat(int(who.user_id))
        for room in self.rooms:
            self.server.chat(int(room), "supergroup")
        self.server.manners = self._manner

    async def stop(self) -> None:
        await self._stack.aclose()
        assert self.server.problems == []

    def open(self, context: TransportContext) -> Transport:
        self._polls = len(self.server.called("getUpdates"))
        return TelegramTransport(context, settings_of(self.server), None, poll_seconds=1)

    async def ready(self) -> None:
        while len(self.server.called("getUpdates")) <= self._polls:  # noqa: ASYNC110  the server counts, it tells nobody
            await asyncio.sleep(0.005)

    @property
    def shown(self) -> Sequence[Shown]:
        return [self._shown(chat, each) for chat in sorted(self.server.messages) for each in self.server.shown(chat)]

    def _shown(self, chat: int, each: Any) -> Shown:
        keys = tuple(ShownButton(key["text"], key["callback_data"]) for row in each.keys for key in row)
        return Shown(
            f"{chat}:{each.id}",
            str(chat),
            each.text,
            keys,
            {each.name: each.file} if each.file else {},
            str(chat) if chat > 0 else None,
            None if each.thread is None else str(each.thread),
            len(each.history),
        )

    @property
    def sends(self) -> int:
        return sum(call.method.startswith(("send", "edit")) for call in self.server.calls)

    async def says(self, who: Sender, text: str, room: str = "", thread: str | None = None) -> Event:
        topic = {} if thread is None else {"message_thread_id": int(thread), "is_topic_message": True}
        number = self.server.next_message_id()
        return await self._put(who, {"message": message(number, int(who.user_id), text, int(room), **topic)})

    async def presses(self, who: Sender, shown: Shown, label: str) -> Event:
        value = next(button.value for button in shown.buttons if button.label == label)
        number = int(shown.ref.partition(":")[2])
        on = {"message_id": number, "chat": chat_of(int(shown.room)), "date": 1_796_000_000, "from": user(BOT_ID)}
        return await self._put(who, {"callback_query": press(int(who.user_id), value, on)})

    async def again(self, event: Event) -> Event:
        """Telegram gives an update again until it is confirmed; one that was, it gives nobody."""
        update = event.payload
        self.server.updates.append(update)
        return Event(event.who, update, Confirmed(self.server, update["update_id"]))  # type: ignore[arg-type]  # as much of an event as is asked for

    def fails(self, fault: Fault, times: int = 1) -> None:
        self._faults += [fault] * times

    def refuses_credential(self) -> None:
        self.server.token = "77001:another"

    async def _put(self, who: Sender, body: dict[str, Any]) -> Event:
        update = await self.server.put(body)
        return Event(who, update, Confirmed(self.server, update["update_id"]))  # type: ignore[arg-type]  # as much of an event as is asked for

    def _manner(self, call: Call) -> Manner:
        if call.method.startswith(("send", "edit")) and self._faults:
            return MANNERS[self._faults.pop(0)]
        return None


class TestPolling(TransportContract):
    @pytest.fixture
    def platform(self) -> FakePlatform:
        return TelegramChats()
