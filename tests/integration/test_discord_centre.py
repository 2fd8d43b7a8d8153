"""The whole centre on Discord: asked and answered through the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.discord_kit import DiscordCentre, answer_kind, running
from tests.discord_people import text_of, until
from tests.discord_server import FakeDiscord
from vtoc_bots.core.store.urls import DatabaseUrls

COUNTING = """
private: false
inputs:
  what: {type: string, required: true, help: What is counted}
steps:
  - {id: count, uses: centre.count, with: {what: "${{ inputs.what }}"}}
reply: {card: {title: "Counted ${{ inputs.what }}"}}
"""


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord().open() as server:
        yield server


@pytest.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[DiscordCentre]:
    async with running(database_urls, tmp_path, discord, {"counting": COUNTING}) as made:
        yield made


async def test_a_slash_command_is_deferred_and_answered_in_its_place(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    held = await ada.slash("whoami")
    shown = await until(lambda: held.original and "Ada" in text_of(held.original) and held.original)
    assert answer_kind(held) == (5, False)
    assert centre.discord.shown() == [shown]
    assert held.answered_after is not None
    assert held.answered_after < 3
