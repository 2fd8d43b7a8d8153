"""A World with people who speak in rooms, an action and commands that misbehave, and words for what tests ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from tests.platform_kit import until
from vtoc_bots import (
    Acknowledgement,
    ActionContext,
    Button,
    Buttons,
    Caps,
    Card,
    Context,
    ConversationId,
    Inbox,
    Message,
    MessageKind,
    Outbound,
    Sender,
    TransientError,
    action,
    command,
    hookimpl,
)
from vtoc_bots.core.access import Level
from vtoc_bots.core.runtime import Duties, Runtime
from vtoc_bots.core.store.inbox import Finished
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing import Profile, SimulatedPlatform, World


class CentrePlugin:
    """An action that counts its calls, one that waits for the test, and commands that misbehave."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.failures = 0

    @hookimpl
    def vtoc_actions(self) -> tuple[Any, ...]:
        """centre.count, centre.wait and centre.fail."""

        @action("centre.count")
        async def count(ctx: ActionContext, what: str = "") -> str:
            """Count a call."""
            self.calls.append(f"{ctx.idempotency_key.rpartition(':')[2]}:{what}")
            return what

        @action("centre.wait")
        async def wait(ctx: ActionContext) -> None:
            """Wait until the test opens the gate."""
            self.calls.append("waiting")
            await self.gate.wait()

        @action("centre.fail")
        async def fail(ctx: ActionContext, times: int) -> str:
            """Fail so many times, then succeed."""
            self.failures += 1
            if self.failures <= times:
                raise TransientError("not yet", after_seconds=0.05)
            return "at last"

        return (count, wait, fail)

    @hookimpl
    def vtoc_commands(self) -> tuple[Any, ...]:
        """/busy is transient the first time, /sleepy never ends, /broken raises."""

        @command("busy", level="observer")
        async def busy(ctx: Context) -> Card:
            """Be busy once."""
            self.failures += 1
            if self.failures == 1:
                raise TransientError("busy", after_seconds=0.2)
            return Card.of("not busy any more")

        @command("sleepy", level="observer")
        async def sleepy(ctx: Context) -> Card:
            """Never answer."""
            await asyncio.Event().wait()
            return Card.of("never")

        @command("broken", level="observer")
        async def broken(ctx: Context) -> Card:
            """Raise."""
            raise ZeroDivisionError("a secret of the code")

        @command("count", level="observer", examples=("count 3 --unit km",))
        async def counted(ctx: Context, number: Annotated[int, Ge(1)], *, unit: Literal["km", "nm"] = "km") -> Card:
            """Count to a number, page by page."""
            self.calls.append(f"count {number} {unit}")
            following = Button(label="Next", command=f"/count {number + 1} --unit {unit}", replaces=True)
            return Card.of(f"{number} {unit}", Buttons(buttons=(following,)))

        @command("room event", event=True)
        async def event(ctx: Context, what: str) -> Card | None:
            """Something happened in the room."""
            self.calls.append(f"event {what}")
            return Card.of("Noticed", what)

        return (busy, sleepy, broken, counted, event)


class Rooms:
    """What was sent to the rooms: every send in order, and the latest under each key; `fails` makes sends fail."""

    def __init__(self, platform: SimulatedPlatform) -> None:
        self._platform = platform

    @property
    def sends(self) -> list[Outbound]:
        """Every one that was shown."""
        return self._platform.outbounds

    @property
    def latest(self) -> dict[str, Outbound]:
        """The newest revision, by key."""
        return {outbound.key: outbound for outbound in self._platform.outbounds}

    @property
    def inbox(self) -> Inbox | None:
        """Where the rooms' messages go."""
        return self._platform.links[-1].inbox if self._platform.links else None

    @property
    def fails(self) -> Callable[[Outbound], Exception | None]:
        """What a send of this raises, None for nothing."""
        return self._platform.raises

    @fails.setter
    def fails(self, judge: Callable[[Outbound], Exception | None]) -> None:
        self._platform.raises = judge


class Centre:
    """A World with one platform, `room`, seen by people who are named as their accounts are."""

    def __init__(self, world: World, plugin: CentrePlugin) -> None:
        self.world, self.plugin = world, plugin
        self.transport = Rooms(world.platforms["room"])
        self._number = 0

    @property
    def runtime(self) -> Runtime:
        """Of the process that was started last."""
        return self.world.process.runtime

    async def person(self, name: str, level: Level = Level.ADMIN) -> str:
        """An operator with an account of that name."""
        await self.runtime.operators.own(name, "room", "", name, level)
        return name

    async def say(self, who: str, text: str, room: str = "hall", **more: Any) -> Any:
        """Send a text as somebody; the message's id."""
        return getattr(await self.send(who, text, room, **more), "message_id", None)

    def message(self, who: str, text: str, room: str = "hall", **more: Any) -> Message:
        """A message of somebody."""
        self._number += 1
        conversation = ConversationId("room", "bot", room)
        event_id = more.pop("event_id", f"e{self._number}")
        return Message("room", "bot", event_id, conversation, Sender(who, who), text, **more)

    async def send(self, who: str, text: str, room: str = "hall", **more: Any) -> Acknowledgement:
        """Send a text as somebody; how to acknowledge it."""
        assert self.transport.inbox is not None
        return await self.transport.inbox.accept(self.message(who, text, room, **more))

    def token(self, label: str) -> str:
        """The token of the newest button of that label."""
        for outbound in reversed(self.transport.sends):
            for block in outbound.card.blocks:
                for button in block.buttons if isinstance(block, Buttons) else ():
                    if button.label == label and button.token is not None:
                        return button.token
        raise AssertionError(f"no button {label}")

    async def press(self, who: str, label: str, room: str = "hall") -> Any:
        """Press the newest button of that label; the message's id."""
        return await self.say(who, "", room, kind=MessageKind.BUTTON, token=self.token(label))

    async def answer(self, message_id: Any, seconds: float = 20) -> Card:
        """The reply to a message, or the result of the run that it started."""

        def find() -> Outbound | None:
            for outbound in self.transport.sends:
                is_result = outbound.message_id == message_id and outbound.kind == "result"
                if is_result or outbound.key == f"message:{message_id}:reply":
                    return outbound
            return None

        async def there() -> bool:
            return find() is not None

        await until(there, seconds, lambda: f"no answer; sent: {[o.key for o in self.transport.sends]}")
        found = find()
        assert found is not None
        return found.card

    async def ask(self, who: str, text: str, room: str = "hall") -> Card:
        """Say it and wait for the answer."""
        return await self.answer(await self.say(who, text, room))

    def dies_before_it_answers(self, room: str = "hall") -> asyncio.Event:
        """From now on this process handles the room's messages, and never writes what came of it. Set once it would."""
        reached, finish = asyncio.Event(), self.runtime.inbox_rows.finish

        async def never(done: Finished) -> bool:
            if done.conversation != f"room:bot:{room}":
                return await finish(done)
            reached.set()
            await asyncio.Event().wait()
            return False

        self.runtime.inbox_rows.finish = never  # type: ignore[method-assign]  # where the worker dies
        return reached

    async def row(self, sql: str, *arguments: Any) -> Any:
        """A row of the database as a dictionary."""
        return await self.world.row(sql, *arguments)

    async def wait_for(self, sql: str, expected: Any, seconds: float = 20) -> None:
        """Wait until a query's value is as expected."""
        await self.world.becomes(sql, expected, seconds)


@asynccontextmanager
async def open_centre(
    urls: DatabaseUrls,
    folder: Path,
    playbooks: dict[str, str],
    environ: dict[str, str] | None = None,
    caps: Caps | None = None,
    plugins: Mapping[str, Any] | None = None,
    web: bool = False,
) -> AsyncIterator[Centre]:
    """A running centre with these playbooks (YAML by id) and further plugins, in rooms with these abilities."""
    plugin = CentrePlugin()
    world = World(
        urls,
        folder,
        plugins={"centre": plugin, **(plugins or {})},
        playbooks={name: f"id: {name}\ntitle: {name}\nprivate: false\n{text}" for name, text in playbooks.items()},
        platforms=[Profile("room", caps or Caps(edit=True, buttons=True, looks_up_receipts=True), 10**9)],
        environ={"VTOC_COMMANDS_PER_MINUTE": "1000", "VTOC_HANDLER_TIMEOUT_SECONDS": "1", **(environ or {})},
        duties=Duties(web=web, sources=False),
    )
    async with world:
        try:
            yield Centre(world, plugin)
        finally:
            plugin.gate.set()
