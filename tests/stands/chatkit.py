"""ChatKit as a stand: people in two channels of a strict organisation, which posts signed webhooks."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from tests.chatkit_org import KEY, ORG, ChatKitOrg, Manner, Posted
from tests.file_shelf import Shelf
from tests.scenario_kit import Stand, until
from vtoc_bots import Sender, Transport, TransportContext
from vtoc_bots.core.web.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature_of
from vtoc_bots.plugins.chatkit.settings import ChatKitSettings
from vtoc_bots.plugins.chatkit.transport import ChatKitTransport
from vtoc_bots.plugins.chatkit.webhook import PATH
from vtoc_bots.testing import LIMITED_SECONDS, Event, Fault, Shown, ShownButton

SECRET = "a-secret-of-webhooks"
MANNERS: Mapping[Fault, Manner] = {
    Fault.REFUSED: (400, {}),
    Fault.LIMITED: (429, {"Retry-After": str(int(LIMITED_SECONDS))}),
    Fault.LIMITED_BARE: (429, {}),
    Fault.FAILING: (500, {}),
    Fault.HANGING: "hang",
    Fault.DROPPED: "drop",
}


class ChatKitStand(Stand):
    """Everybody hears everything; whoever may post webhooks is who signs them."""

    name, asks = "chatkit", "dialog"
    account = ORG
    people = (Sender("u-ada", "Ada", ORG), Sender("u-bob", "Bob", ORG))
    rooms = ("toc-s1", "toc-s2")
    credential, secret = "CHATKIT_API_KEY", KEY
    shows = f"Bearer {KEY}"

    def __init__(self) -> None:
        self.org = ChatKitOrg()
        self.org.manner = self._manner
        self.answers: list[int] = []
        self._faults: list[Fault] = []
        self._number = 0
        self._kept: dict[str, Shown] = {}
        self._away: asyncio.Future[None] | None = None
        self._posting: set[asyncio.Task[None]] = set()

    def environ(self) -> Mapping[str, str]:
        return {
            "CHATKIT_API_BASE_URL": self.org.address,
            "CHATKIT_API_KEY": KEY,
            "CHATKIT_ORG_ID": ORG,
            "CHATKIT_WEBHOOK_SECRET": SECRET,
            "POSTGRES_STATION_ROLE": "ops",
            "STATION_CALLSIGN": "TOC-S1",
        }

    def conversation(self, room: str) -> str:
        return f"chatkit:{ORG}:{room}"

    def open(self, context: TransportContext) -> Transport:
        settings = ChatKitSettings.model_validate(self.environ())
        return ChatKitTransport(context, settings, None, {"toc-s1": "TOC-S1", "toc-s2": "TOC-S2"}, "toc-s1")

    async def start(self) -> None:
        await self.org.start()

    async def stop(self) -> None:
        for task in self._posting:
            task.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)
        await self.org.stop()

    async def ready(self) -> None:
        async def has_channels() -> bool:
            return set(self.rooms) <= set(self.org.channels) or "toc-s1" in self.org.channels

        await until(has_channels, "no channels were made")

    @property
    def shown(self) -> Sequence[Shown]:
        return [self._shown(posted) for posted in self.org.posts]

    def _shown(self, posted: Posted) -> Shown:
        blocks = posted.body.get("card", {}).get("blocks", [])
        buttons = [button for block in blocks if block["type"] == "buttons" for button in block["buttons"]]
        attached = [each for each in posted.body.get("attachments", []) if "data" in each]
        made = Shown(
            posted.id,
            self.org.threads[posted.thread].channel,
            re.sub(r"\\([^\w\s])", r"\1", posted.body["text"]),
            tuple(ShownButton(button["label"], button["token"]) for button in buttons),
            {each["name"]: base64.b64decode(each["data"]) for each in attached},
            thread=posted.thread,
            edits=posted.edits,
        )
        # One object for each message, however often it is looked at: the suites tell new ones by identity.
        kept = self._kept.setdefault(posted.id, made)
        kept.text, kept.buttons, kept.files, kept.edits = made.text, made.buttons, made.files, made.edits
        return kept

    @property
    def shelf(self) -> Shelf:
        """Where files that people sent are, at `origin`; `shows` is what we show there."""
        return self.org.shelf

    @property
    def origin(self) -> str:
        return self.org.address

    @property
    def sends(self) -> int:
        return self.org.sends

    async def says(self, who: Sender, text: str, room: str = "toc-s1", thread: str | None = None, **more: Any) -> Event:
        if thread is not None:
            self.org.thread(room, thread)
            more["thread_id"] = thread
        return self._event(who, {"type": "message.created", "channel": room, "text": text, **more})

    async def shares(self, who: Sender, text: str, size: int, url: str, *, to_us: bool = True) -> Event:
        """Say something with a file, which is at this address."""
        file = {"name": "plan.pdf", "content_type": "application/pdf", "size": size, "url": url}
        return await self.says(who, text, attachments=[file])

    async def presses(self, who: Sender, shown: Shown, label: str) -> Event:
        token = next(button.value for button in shown.buttons if button.label == label)
        action = {"id": "button", "value": token}
        return self._event(
            who, {"type": "action.invoked", "channel": shown.room, "thread_id": shown.thread, "action": action}
        )

    async def again(self, event: Event) -> Event:
        repeat = Event(event.who, event.payload)
        self._post(repeat)
        return repeat

    async def forges(self, text: str) -> bool:
        body = orjson.dumps({"id": "forged", "type": "message.created", "channel": "toc-s1", "text": text})
        return await self.post(body, secret="another-secret-than-ours") == 401

    def fails(self, fault: Fault, times: int = 1) -> None:
        if fault is Fault.UNREACHABLE:
            self._away = asyncio.ensure_future(self.org.stop())
        else:
            self._faults += [fault] * times

    async def recovers(self) -> None:
        if self._away is not None:
            await self._away
            self._away = None
            await self.org.start()

    def refuses_credential(self) -> None:
        self.org.key = "another-key"

    async def post(self, body: bytes, *, secret: str = SECRET, headers: Mapping[str, str] | None = None) -> int:
        """Post a signed body; the status that is answered."""
        stamp = str(int(time.time()))
        signed = {SIGNATURE_HEADER: signature_of(secret, body, stamp), TIMESTAMP_HEADER: stamp}
        everything = {"Content-Type": "application/json", **signed, **(headers or {})}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.address}{PATH}", data=body, headers=everything) as answer,
        ):
            await answer.read()
            self.answers.append(answer.status)
            return answer.status

    async def _status(self, body: bytes) -> int:
        try:
            return await self.post(body)
        except aiohttp.ClientError:
            return 503

    def _event(self, who: Sender, members: dict[str, Any]) -> Event:
        self._number += 1
        user = {"id": who.user_id, "name": who.name}
        payload = {"id": f"ev-{id(self)}-{self._number}", "user": user, "created_at": "2026-01-02T03:04:05Z", **members}
        event = Event(who, payload)
        self._post(event)
        return event

    def _post(self, event: Event) -> None:
        async def post() -> None:
            """As often as it takes: an organisation posts again what nobody could take."""
            body = orjson.dumps(event.payload)
            statuses: list[int] = []

            async def taken() -> bool:
                statuses.append(await self._status(body))
                return statuses[-1] != 503

            await until(taken, "the event was never taken")
            assert event.acknowledged is not None
            if statuses[-1] == 202:
                event.acknowledged.set()

        task = asyncio.create_task(post())
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    def _manner(self) -> Manner:
        return MANNERS[self._faults.pop(0)] if self._faults else None
