"""Slack as a stand: people in channels before the strict Slack, which calls us by HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from tests import slack_payloads as payloads
from tests.file_shelf import Shelf
from tests.scenario_kit import Stand, until
from tests.slack_blocks import texts_of
from tests.slack_server import BOT_TOKEN, SECRET, TEAM, FakeSlack
from vtoc_bots import Sender, Transport, TransportContext
from vtoc_bots.plugins.slack.settings import SlackSettings
from vtoc_bots.plugins.slack.transport import SlackTransport
from vtoc_bots.testing import LIMITED_SECONDS, Event, Fault, Shown, ShownButton, ShownForm

HALL, YARD, ADA, BOB, EVE = "C0HALL0001", "C0YARD0001", "U0ADA00001", "U0BOB00001", "U0EVE00001"
SENDS = ("chat.postMessage", "chat.update", "chat.postEphemeral")
MANNERS = {
    Fault.REFUSED: "is_archived",
    Fault.LIMITED: "limit",
    Fault.LIMITED_BARE: "limit-bare",
    Fault.FAILING: "fail",
    Fault.HANGING: "hang",
    Fault.DROPPED: "drop-after",
}


class SlackStand(Stand):
    """Ada and Bob in two channels; the bot is in both. `by_socket`: events come by Socket Mode."""

    name, asks = "slack", "form"
    transport = "slack"
    account = TEAM
    people = (Sender(ADA, "Ada", TEAM), Sender(BOB, "Bob", TEAM))
    rooms = ("hall", "yard")
    stranger = EVE
    credential, secret = "SLACK_BOT_TOKEN", BOT_TOKEN
    shows = f"Bearer {BOT_TOKEN}"
    _channels: Mapping[str, str] = {"hall": HALL, "yard": YARD}

    def __init__(self) -> None:
        self.slack = FakeSlack()
        self.slack.retry_after = int(LIMITED_SECONDS)
        self.slack.keeps_alive = False  # a pooled connection that dies is of unknown fate, not unreachable
        self._faults: list[Fault] = []
        self._forms: list[ShownForm] = []
        self._refuses_forms = False
        self._stack = AsyncExitStack()
        self._http: aiohttp.ClientSession | None = None
        self._deliveries: set[asyncio.Task[None]] = set()
        self.slack.manners = self._manner

    def environ(self) -> Mapping[str, str]:
        return {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_BASE_URL": f"{self.slack.address}/api/",
        }

    def conversation(self, room: str) -> str:
        return f"slack:{TEAM}:{self._channels[room]}"

    def open(self, context: TransportContext) -> Transport:
        return SlackTransport(context, SlackSettings.model_validate(self.environ()))

    async def start(self) -> None:
        await self._stack.enter_async_context(self.slack.open())
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        for room, channel in self._channels.items():
            self.slack.channel(channel, room, ADA, BOB, EVE)

    async def stop(self) -> None:
        for task in list(self._deliveries):
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        await self._stack.aclose()

    async def ready(self) -> None:
        """The endpoint answers, and knows who it is."""
        calls = len(self.slack.of("auth.test"))

        async def known() -> bool:
            body = json.dumps({"type": "url_verification", "challenge": "x", "token": "t"})
            return (
                len(self.slack.of("auth.test")) >= min(calls, 1)
                and (await self._post(body, "application/json"))[0] == 200
            )

        await until(known, "Slack's endpoint does not answer")

    @property
    def shown(self) -> Sequence[Shown]:
        rooms = {channel: room for room, channel in self._channels.items()}
        found: list[tuple[str, Shown]] = []
        for channel in self.slack.channels.values():
            for message in self.slack.shown(channel.id):
                found.append((message["ts"], self._shown(message, rooms.get(channel.id, channel.id), channel.user)))
        for whisper in self.slack.ephemerals:
            found.append((whisper["ts"], self._shown(whisper, rooms[whisper["channel"]], whisper["user"])))
        for number, response in enumerate(self.slack.responses):
            if response.get("blocks") or response.get("text"):
                found.append((f"9999999999.{number:06}", self._shown({"ts": f"r{number}", **response}, "hall", None)))
        return [shown for _, shown in sorted(found, key=lambda each: each[0])]

    def _shown(self, message: dict[str, Any], room: str, user: str | None) -> Shown:
        blocks = message.get("blocks") or []
        words = [text for block in blocks for text in texts_of(block)] or [message.get("text", "")]
        buttons = [
            ShownButton(label, value)
            for block in blocks
            for element in block.get("elements", ())
            for label, value in _choices(element)
        ]
        files = {file["name"]: self.slack.files[file["id"]]["data"] for file in message.get("files", ())}
        thread = message.get("thread_ts")
        return Shown(
            message["ts"], room, "\n".join(words), tuple(buttons), files, user, thread, int("edited" in message)
        )

    @property
    def shelf(self) -> Shelf:
        """Where files that people sent are, at `origin`; `shows` is what we show there."""
        return self.slack.shelf

    @property
    def origin(self) -> str:
        return self.slack.address

    @property
    def sends(self) -> int:
        return sum(call.method in SENDS for call in self.slack.calls)

    async def says(self, who: Sender, text: str, room: str = "hall", thread: str | None = None) -> Event:
        """Commands by the slash command (which Slack lets nobody give in a thread), the rest as a mention."""
        channel = self._channels[room]
        if text.startswith("/") and thread is None:
            return self._deliver(who, payloads.slash(self.slack, who.user_id, "/vtoc", text[1:], channel))
        event = payloads.said(self.slack, who.user_id, f"<@U0BOTUSER> {text}", channel, thread)
        return self._deliver(who, payloads.callback(self.slack, payloads.mention_of(event)))

    async def shares(self, who: Sender, text: str, size: int, url: str, *, to_us: bool = True) -> Event:
        """Say something with a file, which is at this address."""
        file = {"id": self.slack.id("F"), "name": "plan.pdf", "mimetype": "application/pdf", "size": size}
        files = [{**file, "mode": "hosted", "url_private": url, "url_private_download": url}]
        said = f"<@U0BOTUSER> {text}" if to_us else text
        event = payloads.said(self.slack, who.user_id, said, HALL, subtype="file_share", files=files)
        return self._deliver(who, payloads.callback(self.slack, event))

    async def again(self, event: Event) -> Event:
        return self._deliver(event.who, event.payload)

    async def gives(self, who: Sender, command: str, arguments: Mapping[str, str], room: str = "hall") -> Event:
        text = " ".join([command, *(f"{name}={value}" for name, value in arguments.items())])
        return self._deliver(who, payloads.slash(self.slack, who.user_id, "/vtoc", text, self._channels[room]))

    async def presses(self, who: Sender, shown: Shown, label: str) -> Event:
        channel = self._channels.get(shown.room, shown.room)
        everything = [*self.slack.ephemerals, *(self.slack.channels[channel].messages)]
        message = next(each for each in everything if each["ts"] == shown.ref)
        for block in message["blocks"]:
            for element in block.get("elements", ()):
                for each, value in _choices(element):
                    if each == label:
                        press = payloads.pressed(
                            self.slack, who.user_id, message, channel, element, block["block_id"], value
                        )
                        return self._deliver(who, press)
        raise AssertionError(f"no button {label}")

    @property
    def forms(self) -> Sequence[ShownForm]:
        for view in self.slack.views[len(self._forms) :]:
            inputs = [block for block in view["blocks"] if block["type"] == "input"]
            labels = {block["block_id"]: block["label"]["text"] for block in inputs}
            self._forms.append(ShownForm(self.people[0], view["title"]["text"], labels, {}, view))
        return self._forms

    async def submits(self, form: ShownForm, values: Mapping[str, str]) -> Event:
        payload = payloads.submitted(self.slack, form.who.user_id, form.payload, dict(values))
        return self._deliver(form.who, payload, form)

    def fails_to_open(self) -> None:
        self._refuses_forms = True

    async def forges(self, text: str) -> bool:
        payload = payloads.slash(self.slack, ADA, "/vtoc", text.removeprefix("/"), HALL)
        body, kind = payloads.encoded(payload)
        headers = {**payloads.signed(body, self.slack.now(), "another secret"), "Content-Type": kind}
        status, _ = await self._post(body, kind, headers)
        return status in (401, 403)

    def fails(self, fault: Fault, times: int = 1) -> None:
        if fault is Fault.UNREACHABLE:
            self.slack.vanish()
        else:
            self._faults += [fault] * times

    async def recovers(self) -> None:
        self._faults.clear()
        await self.slack.return_()

    def refuses_credential(self) -> None:
        self.slack.bot_token = "xoxb-another"

    def _manner(self, method: str, arguments: dict[str, Any]) -> str | None:
        if method == "views.open" and self._refuses_forms:
            self._refuses_forms = False
            return "expired_trigger_id"
        if method not in SENDS or not self._faults:
            return None
        return MANNERS[self._faults.pop(0)]

    def _deliver(self, who: Sender, payload: dict[str, Any], form: ShownForm | None = None) -> Event:
        event = Event(who, payload)

        async def deliver() -> None:
            body, kind = payloads.encoded(payload)
            status, answer = await self._post(body, kind)
            if form is not None and isinstance(answer, dict) and answer.get("response_action") == "errors":
                form.errors = answer["errors"]
            if status == 200:
                assert event.acknowledged is not None
                event.acknowledged.set()

        task = asyncio.create_task(deliver())
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)
        return event

    async def _post(self, body: str, kind: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        assert self._http is not None
        sent = {**payloads.signed(body, self.slack.now()), "Content-Type": kind, **(headers or {})}
        try:
            async with self._http.post(f"{self.address}/slack/events", data=body, headers=sent) as response:
                text = await response.text()
                return response.status, json.loads(text) if text.startswith("{") else text
        except aiohttp.ClientError as error:
            return 0, str(error)


def _choices(element: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, value) of a button, or of every entry of a menu."""
    if element.get("type") == "button":
        return [(element["text"]["text"], element["value"])]
    return [(option["text"]["text"], option["value"]) for option in element.get("options", ())]
