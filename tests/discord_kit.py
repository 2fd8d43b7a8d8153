"""A whole centre whose people are on the fake Discord, through the real discord.py and the installed plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import discord_payloads as payloads
from tests.centre_kit import Centre, CentrePlugin
from tests.discord_people import Person, until
from tests.discord_server import TOKEN, FakeDiscord
from vtoc_bots import ActionContext, Button, Buttons, Caps, Card, Context, action, command, hookimpl
from vtoc_bots.core.access import Level
from vtoc_bots.core.runtime import Duties
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing import Profile, World

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f00010501012718e366"
    "0000000049454e44ae426082"
)


class KitPlugin:
    """A picture, and a list in pages."""

    @hookimpl
    def vtoc_actions(self) -> tuple[Any, ...]:
        """kit.dot."""

        @action("kit.dot")
        async def dot(ctx: ActionContext) -> str:
            """Draw a dot."""
            return await ctx.blobs.put(PNG, "image/png")

        return (dot,)

    @hookimpl
    def vtoc_commands(self) -> tuple[Any, ...]:
        """/pages."""

        @command("pages", level="observer")
        async def pages(ctx: Context, page: int = 1) -> Card:
            """Show a page."""
            turn = Button(label="Next", command=f"/pages {page + 1}", replaces=True)
            return Card.of("Pages", f"This is page {page}.", Buttons(buttons=(turn,)))

        return (pages,)


class DiscordCentre(Centre):
    """A running centre, and the Discord that its people are on."""

    def __init__(self, world: World, plugin: CentrePlugin, discord: FakeDiscord) -> None:
        super().__init__(world, plugin)
        self.discord = discord
        self._people = 0

    async def operator(self, name: str, level: Level = Level.ADMIN) -> Person:
        """An operator with an account on Discord."""
        who = self.stranger(name)
        await self.runtime.operators.own(name, "discord", "", who.id, level)
        self.runtime.people.forget()
        return who

    def stranger(self, name: str) -> Person:
        """Somebody with an account who is no operator."""
        self._people += 1
        return Person(self.discord, name, self._people)

    def later(self, **period: float) -> None:
        """Move the process's clock and Discord's ahead."""
        span = timedelta(**period)
        self.world.clock.advance(span.total_seconds())
        self.discord.ahead += span


def discord_variables(discord: FakeDiscord, **more: str) -> dict[str, str]:
    """The plugin's settings for the fake platform."""
    return {
        "DISCORD_BOT_TOKEN": TOKEN,
        "DISCORD_APP_ID": payloads.APP,
        "DISCORD_API_BASE_URL": discord.base_url,
        "DISCORD_GATEWAY_URL": discord.gateway.url,
        **more,
    }


@asynccontextmanager
async def running(
    urls: DatabaseUrls,
    folder: Path,
    discord: FakeDiscord,
    playbooks: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    web: bool = False,
    stations: str | None = None,
    connected: bool = True,
) -> AsyncIterator[DiscordCentre]:
    """A running centre with these playbooks (YAML by id), once its shard has a session and its commands are there."""
    plugin = CentrePlugin()
    world = World(
        urls,
        folder,
        plugins={"centre": plugin, "kit": KitPlugin()},
        playbooks={name: f"id: {name}\ntitle: {name}\n{text}" for name, text in (playbooks or {}).items()},
        platforms=[Profile("room", Caps(edit=True, buttons=True, looks_up_receipts=True), 10**9)],
        config={} if stations is None else {"stations.yml": stations},
        environ={
            "VTOC_COMMANDS_PER_MINUTE": "1000",
            "API_PORT": "0",
            "VTOC_API_HOST": "127.0.0.1",
            **discord_variables(discord),
            **(environ or {}),
        },
        duties=Duties(web=web, sources=False),
    )

    def ready() -> bool:
        live = any(len(session.events) >= 2 for session in discord.gateway.live)
        return not connected or (live and discord.puts > 0)

    async with world:
        try:
            await until(ready, 30, lambda: "the centre did not become ready")
            yield DiscordCentre(world, plugin, discord)
        finally:
            plugin.gate.set()
    assert discord.refused == []


def answer_kind(held: Any) -> tuple[int, bool] | None:
    """How an interaction was answered: its type, and whether for one person alone."""
    if held.answer is None:
        return None
    return held.answer["type"], bool((held.answer.get("data") or {}).get("flags", 0) & 64)
