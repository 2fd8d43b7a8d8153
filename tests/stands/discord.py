"""Discord as a stand: people in two channels and in direct messages before the strict platform."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from nacl.signing import SigningKey

from tests import discord_payloads as payloads
from tests.discord_people import Person, text_of
from tests.discord_people import until as soon
from tests.discord_server import TOKEN, FakeDiscord, Held
from tests.discord_server import Fault as Behaviour
from tests.file_shelf import Shelf
from tests.scenario_kit import Stand
from vtoc_bots import Sender, Transport, TransportContext
from vtoc_bots.plugins.discord.settings import DiscordSettings
from vtoc_bots.plugins.discord.transport import DiscordTransport
from vtoc_bots.testing import LIMITED_SECONDS, Event, Fault, Shown, ShownButton, ShownForm

CREATE = ("POST", r"/channels/\d+/messages")
SENDS = re.compile(r"POST /channels/\d+/messages|PATCH /channels/\d+/messages/\d+|(POST|PATCH) /webhooks/.*", re.ASCII)
BEHAVIOURS: Mapping[Fault, tuple[str | int, Any]] = {
    Fault.REFUSED: (400, {"code": 50035, "message": "Invalid Form Body"}),
    Fault.LIMITED: (429, {"message": "You are being rate limited.", "retry_after": LIMITED_SECONDS, "global": False}),
    Fault.LIMITED_BARE: (429, {"message": "You are being rate limited."}),
    Fault.FAILING: (500, {"message": "500: Internal Server Error", "code": 0}),
    Fault.HANGING: ("hang", None),
    Fault.DROPPED: ("drop after", None),
}


class DiscordStand(Stand):
    """The application may read messages; what is no command is said to the bot by its name."""

    name, asks = "discord", "form"
    transport = "discord"
    account = payloads.APP
    people = (Sender("130000000000000000101", "Ada"), Sender("130000000000000000102", "Bob"))
    rooms = ("hall", "ops")
    stranger = "130000000000000000109"
    shows_alt = False
    shows = None
    credential, secret = "DISCORD_BOT_TOKEN", TOKEN
    _channels: Mapping[str, str] = {"hall": payloads.HALL, "ops": payloads.OPS}

    def __init__(self) -> None:
        self.discord = FakeDiscord()
        self.discord.flags, self.discord.gateway.allowed = 1 << 19, 1 << 15
        self.discord.keeps_alive = False
        self._key = SigningKey.generate()
        self._people: dict[str, Person] = {}
        self._is_away = False

    def environ(self) -> Mapping[str, str]:
        return {
            "DISCORD_BOT_TOKEN": TOKEN,
            "DISCORD_APP_ID": payloads.APP,
            "DISCORD_API_BASE_URL": self.discord.base_url,
            "DISCORD_GATEWAY_URL": self.discord.gateway.url,
            "DISCORD_PUBLIC_KEY": self._key.verify_key.encode().hex(),
        }

    def conversation(self, room: str) -> str:
        return f"discord:{payloads.APP}:{self._channels[room]}"

    def open(self, context: TransportContext) -> Transport:
        return DiscordTransport(context, DiscordSettings.model_validate(self.environ()))

    async def start(self) -> None:
        await self.discord.listen()

    async def stop(self) -> None:
        await self.discord.vanish()
        assert self.discord.refused == []

    async def ready(self) -> None:
        await soon(lambda: any(len(each.events) > 1 for each in self.discord.gateway.live), 60)

    @property
    def shown(self) -> Sequence[Shown]:
        discord = self.discord
        every = {each["id"]: (each, None) for channel in self.discord.channels for each in discord.shown(channel)}
        for held in discord.interactions.values():
            who = str((held.payload.get("user") or held.payload["member"]["user"])["id"])
            for each in (held.original, *held.follow_ups):
                if each is not None and each["flags"] & 64:
                    every[each["id"]] = (each, who)
        return [
            self._shown(message, who)
            for message, who in sorted(every.values(), key=lambda each: int(each[0]["id"]))
            if not message["flags"] & 128
        ]

    def _shown(self, message: Mapping[str, Any], only_for: str | None) -> Shown:
        channel = self.discord.channels[message["channel_id"]]
        if channel["type"] == 1:
            only_for = str(channel["recipients"][0]["id"])
        room = channel["parent_id"] if channel["type"] == 11 else channel["id"]
        return Shown(
            str(message["id"]),
            {number: name for name, number in self._channels.items()}.get(room, room),
            re.sub(r"\\([^0-9A-Za-z\s])", r"\1", text_of(message)),
            tuple(_buttons(message)),
            {each["filename"]: self.discord.contents[each["id"]] for each in message["attachments"]},
            only_for,
            str(channel["id"]) if channel["type"] == 11 else None,
            sum(each["id"] == message["id"] for each in self.discord.edits),
        )

    @property
    def shelf(self) -> Shelf:
        """Where files that people sent are, at `origin`; nothing is shown there."""
        return self.discord.shelf

    @property
    def origin(self) -> str:
        return self.discord.base_url.removesuffix("/api/v10")

    @property
    def sends(self) -> int:
        return sum(bool(SENDS.fullmatch(f"{method} {path}")) for method, path in self.discord.requests)

    async def says(self, who: Sender, text: str, room: str = "hall", thread: str | None = None) -> Event:
        channel = self._channels[room]
        if thread is not None:
            self.discord.channels.setdefault(thread, payloads.thread_channel(thread, channel, "thread"))
        said = text if text.startswith("/") else f"<@{payloads.ME}> {text}"
        made = await self._person(who).say(said, thread or channel)
        where = {"guild_id": payloads.GUILD, "member": payloads.member(payloads.BOT)}
        return Event(who, ("MESSAGE_CREATE", made | where), None)

    async def shares(self, who: Sender, text: str, size: int, url: str, *, to_us: bool = True) -> Event:
        """Say something with a file, which is at this address."""
        file = {"id": payloads.snowflake(), "filename": "plan.pdf", "content_type": "application/pdf", "size": size}
        said = f"<@{payloads.ME}> {text}" if to_us else text
        made = await self._person(who).say(said, payloads.HALL, attachments=[{**file, "url": url, "proxy_url": url}])
        return Event(who, ("MESSAGE_CREATE", made), None)

    async def again(self, event: Event) -> Event:
        """As after a resume: the same event once more."""
        await self.discord.gateway.dispatch(*event.payload)
        return event

    async def presses(self, who: Sender, shown: Shown, label: str) -> Event:
        channels = self.discord.messages.values()
        every = [each for messages in channels for each in messages] + self._person(who).private()
        found = next(each for each in every if each["id"] == shown.ref)
        return self._event(who, await self._person(who).press(label, found))

    async def gives(self, who: Sender, command: str, arguments: Mapping[str, str], room: str = "hall") -> Event:
        first = command.split()[0]
        if any(each["name"] == first for each in self.discord.commands[None]):
            return self._event(who, await self._person(who).slash(command, self._channels[room], **arguments))
        options = [{"name": name, "type": 3, "value": value} for name, value in arguments.items()]
        data = _command(command, options)
        return self._event(who, await self._person(who).sends(data, 2, self._channels[room]))

    async def completes(self, who: Sender, command: str, parameter: str, typed: str) -> Sequence[str]:
        data = _command(command, [{"name": parameter, "type": 3, "value": typed, "focused": True}])
        held = await self._person(who).sends(data, 4, payloads.HALL)
        answer = await soon(lambda: held.answer)
        return [each["value"] for each in answer["data"]["choices"]]

    @property
    def forms(self) -> Sequence[ShownForm]:
        return [_form(held) for held in self.discord.interactions.values() if (held.answer or {}).get("type") == 9]

    async def submits(self, form: ShownForm, values: Mapping[str, str]) -> Event:
        return self._event(form.who, await self._person(form.who).fill_in(form.payload, **values))

    def fails_to_open(self) -> None:
        self.discord.faults.append(Behaviour("POST", "/interactions/.*", 400, {"code": 50035, "message": "Invalid"}))

    async def forges(self, text: str) -> bool:
        """An interaction that somebody else signed."""
        data = _command("help", [{"name": "command", "type": 3, "value": text}])
        channel = self.discord.channels[payloads.HALL]
        payload = payloads.interaction(2, payloads.user("1", "Eve"), channel, data, self.discord.now().timestamp())
        timestamp = str(int(self.discord.now().timestamp()))
        signature = SigningKey.generate().sign(timestamp.encode() + repr(payload).encode()).signature.hex()
        headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": timestamp}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.address}/discord/interactions", data=repr(payload), headers=headers) as response,
        ):
            return response.status == 401

    def fails(self, fault: Fault, times: int = 1) -> None:
        if fault is Fault.UNREACHABLE:
            self._is_away = True
            self.discord.leave()
            return
        does, body = BEHAVIOURS[fault]
        self.discord.faults.append(Behaviour(*CREATE, does, body, times=times))

    async def recovers(self) -> None:
        if self._is_away:
            self._is_away = False
            await self.discord.vanish()
            await self.discord.listen()
            await self.ready()

    def refuses_credential(self) -> None:
        self.discord.token = "another"

    async def drops(self) -> None:
        await self.discord.gateway.cut()

    def _person(self, who: Sender) -> Person:
        found = self._people.get(who.user_id)
        if found is None:
            found = self._people[who.user_id] = Person(self.discord, who.name, 0)
            found.user["id"] = who.user_id
        return found

    def _event(self, who: Sender, held: Held) -> Event:
        return Event(who, ("INTERACTION_CREATE", held.payload), _Answered(held))  # type: ignore[arg-type]  # is_set is all that is asked for


class _Answered:
    """Whether an interaction was acknowledged."""

    def __init__(self, held: Held) -> None:
        self._held = held

    def is_set(self) -> bool:
        return self._held.answer is not None


def _command(name: str, options: list[dict[str, Any]]) -> dict[str, Any]:
    """The data of a slash command."""
    first, *rest = name.split()
    for depth, word in enumerate(reversed(rest)):
        options = [{"name": word, "type": 1 if depth == 0 else 2, "options": options}]
    return {"id": "1", "name": first, "type": 1, "options": options}


def _buttons(message: Mapping[str, Any]) -> Sequence[ShownButton]:
    """Buttons, and the choices of menus."""
    every = [each for row in message["components"] for each in row["components"]]
    return [
        ShownButton(each["label"], each.get("value") or each["custom_id"])
        for component in every
        for each in component.get("options", (component,))
    ]


def _form(held: Held) -> ShownForm:
    assert held.answer is not None
    data = held.answer["data"]
    who = (held.payload.get("user") or held.payload["member"]["user"])["id"]
    labels = {label["component"]["custom_id"]: label["label"] for label in data["components"]}
    return ShownForm(Sender(str(who), ""), data["title"], labels, payload=held)
