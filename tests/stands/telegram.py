"""Telegram as a stand: people in private chats and a group before the strict Bot API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from html import unescape

from tests.scenario_kit import Stand, until
from tests.telegram_kit import ADA, BOB, GROUP, message, own, press, settings_of
from tests.telegram_server import BOT_ID, TOKEN, BotApiServer, Call, Manner, Refusal
from vtoc_bots import Sender, Transport, TransportContext
from vtoc_bots.plugins.telegram.transport import TelegramTransport
from vtoc_bots.testing import LIMITED_SECONDS, Event, Fault, Shown, ShownButton

YARD = -100300
SENDS = ("sendMessage", "sendPhoto", "sendDocument", "sendMediaGroup", "editMessageText", "editMessageCaption")
MANNERS: Mapping[Fault, Manner] = {
    Fault.REFUSED: Refusal(400, "Bad Request: group chat was deactivated"),
    Fault.LIMITED: Refusal(429, "Too Many Requests: retry later", retry_after=int(LIMITED_SECONDS)),
    Fault.LIMITED_BARE: Refusal(429, "Too Many Requests: retry later"),
    Fault.FAILING: Refusal(500, "Internal Server Error"),
    Fault.HANGING: "do-and-hang",
    Fault.DROPPED: "do-and-drop",
}


class TelegramStand(Stand):
    """The bot hears everything in private chats; each person's first room is their own chat with it."""

    name, asks = "telegram", "dialog"
    transport = "telegram"
    account = str(BOT_ID)
    people = (Sender(str(ADA), "Ada"), Sender(str(BOB), "Bob"))
    rooms = ("group", "yard")
    longest_text = 4096
    shows_alt = False
    credential, secret = "TELEGRAM_BOT_TOKEN", TOKEN
    _chats: Mapping[str, int] = {"group": GROUP, "yard": YARD}

    def __init__(self) -> None:
        self.server = BotApiServer()
        self._faults: list[Fault] = []
        self._is_away = False
        self._listening: AsyncExitStack | None = None
        self.server.manners = self._manner

    def environ(self) -> Mapping[str, str]:
        return {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_BASE_URL": self.server.address}

    def conversation(self, room: str) -> str:
        return f"telegram:{BOT_ID}:{self._chats[room]}"

    def open(self, context: TransportContext) -> Transport:
        return TelegramTransport(context, settings_of(self.server), None, poll_seconds=2)

    async def start(self) -> None:
        await self._listen()
        for person in (*(int(each.user_id) for each in self.people), int(self.stranger)):
            self.server.chat(person)
        for chat in self._chats.values():
            self.server.chat(chat, "supergroup")

    async def stop(self) -> None:
        if self._listening is not None:
            await self._listening.aclose()

    async def ready(self) -> None:
        """Whoever polls is connected."""
        polls = len(self.server.called("getUpdates"))

        async def polled() -> bool:
            return len(self.server.called("getUpdates")) > polls

        await until(polled, "nobody polls")

    @property
    def shown(self) -> Sequence[Shown]:
        rooms = {chat: room for room, chat in self._chats.items()}
        every = [(number, chat, sent) for chat, some in self.server.messages.items() for number, sent in some.items()]
        return [
            Shown(
                str(number),
                rooms.get(chat, str(chat)),
                unescape(re.sub(r"<[^>]*>", "", sent.text)),
                tuple(ShownButton(key["text"], key["callback_data"]) for row in sent.keys for key in row),
                {sent.name or "file": sent.file} if sent.file else {},
                None if chat in rooms else str(chat),
                None if sent.thread is None else str(sent.thread),
                len(sent.history),
            )
            for number, chat, sent in sorted(every, key=lambda each: each[0])
        ]

    @property
    def sends(self) -> int:
        return sum(call.method in SENDS for call in self.server.calls)

    async def says(self, who: Sender, text: str, room: str = "group", thread: str | None = None) -> Event:
        """In a group the bot hears commands, and answers to what it asked."""
        chat = self._chats[room]
        more = {} if text.startswith("/") else {"reply_to_message": own()}
        body = message(self.server.next_message_id(), int(who.user_id), text, chat, **more)
        if thread is not None:
            body.update(message_thread_id=int(thread), is_topic_message=True)
        return self._event(who, await self.server.put({"message": body}))

    async def presses(self, who: Sender, shown: Shown, label: str) -> Event:
        chat = self._chats.get(shown.room, None)
        chat = int(shown.room) if chat is None else chat
        token = next(button.value for button in shown.buttons if button.label == label)
        on = message(int(shown.ref), BOT_ID, shown.text, chat)
        return self._event(who, await self.server.put({"callback_query": press(int(who.user_id), token, on)}))

    async def again(self, event: Event) -> Event:
        """Telegram gives an update again until it is confirmed; one that was, it gives nobody."""
        self.server.updates.append(event.payload)
        return self._event(event.who, event.payload)

    def fails(self, fault: Fault, times: int = 1) -> None:
        if fault is Fault.UNREACHABLE:
            self.server.vanish()
            self._is_away = True
        else:
            self._faults += [fault] * times

    async def recovers(self) -> None:
        if self._is_away:
            self._is_away = False
            await self.stop()
            await self._listen()

    def refuses_credential(self) -> None:
        self.server.token = "1:another"

    def _event(self, who: Sender, update: Mapping[str, int]) -> Event:
        return Event(who, update, _Confirmed(self.server, int(update["update_id"])))  # type: ignore[arg-type]  # is_set is all that is asked for

    def _manner(self, call: Call) -> Manner:
        if call.method not in SENDS or not self._faults:
            return None
        return MANNERS[self._faults.pop(0)]

    async def _listen(self) -> None:
        self._listening = AsyncExitStack()
        await self._listening.enter_async_context(self.server.open())


class _Confirmed:
    """Whether an update was confirmed by a higher offset."""

    def __init__(self, server: BotApiServer, number: int) -> None:
        self._server, self._number = server, number

    def is_set(self) -> bool:
        return self._server.confirmed >= self._number
