"""Pages that are private: shown to who asked, never in the place of what all see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vtoc_bots import Accepted, Button, Buttons, Card, Context, command, hookimpl
from vtoc_bots.testing import DISCORD, SLACK, TELEGRAM, OpensWorld, World


def page(title: str, *, private: bool = False) -> Card:
    """A card with a button for each way to turn it."""
    ways = ("open", "said", "secret")
    buttons = tuple(Button(label=way.title(), command=f"/{way}", replaces=True) for way in ways)
    return Card.of(title, Buttons(buttons=buttons), private=private)


class Pages:
    """A page for all, one whose card says that it is private, and one whose command does."""

    @hookimpl
    def vtoc_commands(self) -> list[Any]:
        @command("open", level="observer")
        async def opened(ctx: Context) -> Card:
            """Tell all."""
            return page("for all")

        @command("said", level="observer")
        async def said(ctx: Context) -> Card:
            """Tell one, as the card says."""
            return page("for one", private=True)

        @command("secret", level="observer", private=True)
        async def secret(ctx: Context) -> Card:
            """Tell one, as the command says."""
            return page("for one as well")

        return [opened, said, secret]


@pytest.fixture
async def world(open_world: OpensWorld) -> World:
    return await open_world(plugins={"pages": Pages()}, platforms=(TELEGRAM, SLACK, DISCORD))


def titles(person: Any) -> list[str]:
    return [shown.text.splitlines()[0] for shown in person.sees()]


@pytest.mark.parametrize("name", ["telegram", "slack", "discord"])
@pytest.mark.parametrize(("label", "title"), [("Said", "for one"), ("Secret", "for one as well")])
async def test_a_private_answer_never_takes_the_place_of_what_all_see(
    world: World, name: str, label: str, title: str
) -> None:
    ada, bob = await world.person("ada", on=name), await world.person("bob", on=name)
    await ada.asks("/open")
    reply = await world.reply_to(await bob.presses(label))
    assert (reply.outbound.edits, reply.outbound.private_to) == (None, bob.sender.user_id)
    assert (titles(ada), titles(bob)) == (["for all"], ["for all", title])
    await world.reply_to(await ada.presses("Open"))  # the page that all see can still be turned
    assert (titles(ada), titles(bob)) == (["for all"], ["for all", title])


@pytest.mark.parametrize("name", ["telegram", "slack", "discord"])
async def test_a_private_page_is_turned_in_its_place(world: World, name: str) -> None:
    ada, bob = await world.person("ada", on=name), await world.person("bob", on=name)
    await ada.asks("/said")
    reply = await world.reply_to(await ada.presses("Secret"))
    assert reply.outbound.edits is not None
    assert (titles(ada), titles(bob)) == (["for one as well"], [])
    await world.reply_to(await ada.presses("Open"))
    assert (titles(ada), titles(bob)) == (["for all"], [])


async def test_a_platform_that_must_know_beforehand_is_told_that_nothing_is_replaced(open_world: OpensWorld) -> None:
    deferring = replace(DISCORD, caps=replace(DISCORD.caps, defers=True))
    world = await open_world(plugins={"pages": Pages()}, platforms=(deferring,))
    ada = await world.person("ada")

    async def told(label: str) -> tuple[bool, bool]:
        said = await ada.presses(label)
        await world.reply_to(said)
        assert isinstance(said.delivery.answer, Accepted)
        return said.delivery.answer.private, said.delivery.answer.replaces

    await ada.asks("/open")
    assert await told("Open") == (False, True)
    assert await told("Secret") == (True, False)
    assert await told("Secret") == (True, True)  # of the private page now
