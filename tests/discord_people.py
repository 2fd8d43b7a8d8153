"""People on the fake Discord: they type, press, choose and fill in what is shown to them, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests import discord_payloads as payloads
from tests.discord_server import FakeDiscord, Held

_PYTHON = {3: str, 4: int, 5: bool, 10: (int, float)}


class Person:
    """Somebody with an account, who sees what is shown to all and to them."""

    def __init__(self, discord: FakeDiscord, name: str, number: int) -> None:
        self.discord = discord
        self.user = payloads.user(f"13000000000000001{number:02}", name)
        self.send: Callable[[dict[str, Any]], Any] = self._by_gateway

    @property
    def id(self) -> str:
        """The account's id."""
        return str(self.user["id"])

    async def sends(self, data: dict[str, Any], kind: int, channel: str) -> Held:
        """An interaction whose data the test made."""
        return await self._interact(kind, channel, data)

    async def _by_gateway(self, payload: dict[str, Any]) -> None:
        await self.discord.gateway.dispatch("INTERACTION_CREATE", payload)

    # Typing

    async def slash(self, name: str, channel: str = payloads.HALL, guild: str | None = None, **values: Any) -> Held:
        """Give a slash command that is published, with options as they were published."""
        data = self._command(name, guild, values, None)
        return await self._interact(2, channel, data)

    async def typing(self, name: str, option: str, text: str, **values: Any) -> list[tuple[Any, str]]:
        """Type into an option: the choices that come."""
        data = self._command(name, None, {**values, option: text}, option)
        held = await self._interact(4, payloads.HALL, data)
        await until(lambda: held.answer is not None)
        assert held.answer is not None
        return [(each["value"], each["name"]) for each in held.answer["data"]["choices"]]

    def _command(self, name: str, guild: str | None, values: Mapping[str, Any], focused: str | None) -> dict[str, Any]:
        """The data of a command; fails where Discord's client would not let it be sent."""
        first, *rest = name.split()
        command = next((each for each in self.discord.commands[guild] if each["name"] == first), None)
        assert command is not None, f"/{first} is not published"
        level, path = command, []
        for word in rest:
            level = next(each for each in level["options"] if each["name"] == word and each["type"] in (1, 2))
            path.append(level)
        known = {each["name"]: each for each in level.get("options") or () if each["type"] > 2}
        missing = [option for option, each in known.items() if each.get("required") and option not in values]
        assert not missing, f"Discord's client asks for {missing}"
        options: list[dict[str, Any]] = []
        for option, value in values.items():
            label = option.rstrip("_").replace("_", "-")
            spec = known[label]
            if label == focused or option == focused:
                assert spec.get("autocomplete"), f"{label} has no autocomplete"
                options.append({"name": label, "type": spec["type"], "value": str(value), "focused": True})
                continue
            assert isinstance(value, _PYTHON[spec["type"]]), f"{label} is no {spec['type']}"
            if spec.get("choices"):
                assert value in [each["value"] for each in spec["choices"]], f"{label} has no {value}"
            options.append({"name": label, "type": spec["type"], "value": value})
        for each in reversed(path):
            options = [{"name": each["name"], "type": each["type"], "options": options}]
        return {"id": command["id"], "name": first, "type": 1, "options": options}

    async def say(self, text: str, channel: str = payloads.HALL, **parts: Any) -> dict[str, Any]:
        """Write a message. Without the Message Content intent the bot only sees what is for it."""
        direct = self.discord.channels[channel]["type"] == 1
        mentioned = f"<@{payloads.ME}>" in text
        where = {} if direct else {"guild_id": payloads.GUILD, "member": payloads.member(self.user)}
        mentions = [payloads.BOT | {"member": payloads.member(payloads.BOT)}] if mentioned else []
        made = payloads.message(self.user, channel, self.discord.now(), content=text, mentions=mentions, **parts)
        self.discord.messages[channel].append(made)
        seen = made | where
        for session in self.discord.gateway.sessions[-1:]:
            if not (direct or mentioned or session.intents & 1 << 15):
                seen = seen | {"content": "", "attachments": []}
            await self.discord.gateway.dispatch("MESSAGE_CREATE", seen, session)
        return made

    async def edit(self, message: dict[str, Any], text: str, **parts: Any) -> None:
        """Change the words of a message."""
        mentions = [payloads.BOT] if f"<@{payloads.ME}>" in text else []
        changed = {"content": text, "mentions": mentions, "edited_timestamp": self.discord.now().isoformat(), **parts}
        message.update(changed)
        await self.updated(message)

    async def updated(self, message: dict[str, Any]) -> None:
        """Discord reports a message as it is now."""
        where = {"guild_id": payloads.GUILD, "member": payloads.member(self.user)}
        await self.discord.gateway.dispatch("MESSAGE_UPDATE", message | where)

    # Pressing

    async def press(self, label: str, message: Mapping[str, Any] | None = None) -> Held:
        """Press a button, or choose from a menu, of a message or of the newest that has it."""
        for each in [message] if message is not None else self._seen():
            for row in each["components"]:
                for component in row["components"]:
                    data = _pressed(component, label)
                    if data is not None:
                        return await self._interact(3, each["channel_id"], data, message=dict(each))
        raise AssertionError(f"nobody sees {label!r}")

    def _seen(self) -> list[dict[str, Any]]:
        found = {each["id"]: each for messages in self.discord.messages.values() for each in messages}
        for each in self.private():
            found[each["id"]] = each
        return sorted(found.values(), key=lambda each: int(each["id"]), reverse=True)

    async def fill_in(self, held: Held, **values: str) -> Held:
        """Send the form that an interaction was answered with."""
        await until(lambda: held.answer is not None)
        assert held.answer is not None
        assert held.answer["type"] == 9, held.answer
        components = []
        for label in held.answer["data"]["components"]:
            inner = label["component"]
            given = values.pop(inner["custom_id"], None)
            assert given is not None or not inner.get("required", True), f"{inner['custom_id']} is needed"
            if inner["type"] == 3:
                assert given is None or given in [each["value"] for each in inner["options"]]
                filled = {"type": 3, "custom_id": inner["custom_id"], "values": [given] if given else []}
            else:
                filled = {"type": 4, "custom_id": inner["custom_id"], "value": given or inner.get("value", "")}
            components.append({"type": 18, "id": len(components) + 1, "component": filled})
        assert not values, f"the form does not ask for {values}"
        data = {"custom_id": held.answer["data"]["custom_id"], "components": components}
        return await self._interact(5, held.payload["channel_id"], data)

    async def _interact(self, kind: int, channel: str, data: dict[str, Any], **parts: Any) -> Held:
        now = self.discord.now()
        where = self.discord.channels[channel]
        payload = payloads.interaction(kind, self.user, where, data, now.timestamp(), **parts)
        held = Held(payload, now, time.monotonic())
        self.discord.interactions[payload["token"]] = held
        await self.send(payload)
        return held

    # Seeing

    def private(self) -> list[dict[str, Any]]:
        """What only this person sees in channels."""
        found = []
        for held in self.discord.interactions.values():
            who = held.payload.get("user") or held.payload["member"]["user"]
            if who["id"] == self.id:
                found += [each for each in (held.original, *held.follow_ups) if each and each["flags"] & 64]
        return found

    def direct(self) -> list[dict[str, Any]]:
        """The bot's direct messages to this person."""
        return self.discord.shown(self.direct_channel())

    def direct_channel(self) -> str:
        """The channel of direct messages with the bot."""
        channel = f"9{self.id[1:]}"
        self.discord.channels.setdefault(channel, payloads.direct_channel(channel, self.user))
        return channel


def _pressed(component: Mapping[str, Any], label: str) -> dict[str, Any] | None:
    if component["type"] == 2 and component["label"] == label and not component.get("disabled"):
        return {"custom_id": component["custom_id"], "component_type": 2}
    for option in component.get("options") or ():
        if option["label"] == label:
            return {"custom_id": component["custom_id"], "component_type": 3, "values": [option["value"]]}
    return None


async def until(condition: Callable[[], Any], seconds: float = 15.0, what: Callable[[], Any] = lambda: "") -> Any:
    """Wait until something is so; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what() or "it did not come to be"
        await asyncio.sleep(0.01)
    return value


def text_of(message: Mapping[str, Any] | None) -> str:
    """All that a message says, with its fields."""
    if message is None:
        return ""
    parts = [message.get("content", "")]
    for embed in message.get("embeds") or ():
        parts += [(embed.get("author") or {}).get("name"), embed.get("title"), embed.get("description")]
        parts += [f"{each['name']}: {each['value']}" for each in embed.get("fields") or ()]
        parts.append((embed.get("footer") or {}).get("text"))
    return "\n".join(part for part in parts if part)
