"""Slash commands made of the commands' specs: within Discord's limits, and read back by what they are called."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st

from tests.discord_payloads import APP, interaction, text_channel, user
from tests.discord_rules import problems_of_commands
from tests.discord_schema import problems_of_request
from vtoc_bots import Area, Card, CommandSpec, Context, PlaybookId, Rest, command
from vtoc_bots.core.loader import load
from vtoc_bots.core.settings import load_settings
from vtoc_bots.plugins.discord.menu import MANAGE_SERVER, is_published, menu_of_commands
from vtoc_bots.plugins.discord.wire import message_of_interaction

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def spec(name: str, **options: Any) -> CommandSpec:
    @command(name, **options)
    async def made(
        ctx: Context,
        area: Annotated[Area, "Where"],
        note: Rest = "",
        *,
        minutes: Annotated[int, Ge(1), Le(240)] = 30,
        factor: float = 1.0,
        quiet: bool = False,
        colour: Colour = Colour.RED,
        many: Literal[tuple(f"v{n}" for n in range(30))] = "v1",  # type: ignore[valid-type]  # made for the test
        playbook: PlaybookId | None = None,
        **inputs: str,
    ) -> Card:
        """Do something."""
        return Card.of("")

    return made


def published(specs: list[CommandSpec], *, guild: bool = False) -> list[dict[str, Any]]:
    commands = list(menu_of_commands(specs, guild=guild).commands)
    assert problems_of_commands(commands) == []
    assert problems_of_request("PUT", f"/applications/{APP}/commands", commands) == []
    return commands


def paths(commands: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """How each command is called."""

    def below(part: dict[str, Any]) -> list[tuple[str, ...]]:
        inner = [each for each in part.get("options", ()) if each["type"] in (1, 2)]
        return [(part["name"], *path) for each in inner for path in below(each)] or [(part["name"],)]

    return [path for each in commands for path in below(each)]


def called(path: tuple[str, ...]) -> str | None:
    """The command that core is handed for a call."""
    options: list[dict[str, Any]] = []
    for depth, name in enumerate(reversed(path[1:])):
        options = [{"name": name, "type": 1 if depth == 0 else 2, "options": options}]
    data = {"id": "1", "name": path[0], "type": 1, "options": options}
    payload = interaction(2, user("1", "Ada"), text_channel("1", "hall"), data, 1.8e9)
    message = message_of_interaction(payload, APP, NOW)
    assert message is not None
    return message.command


def test_every_type_of_value_has_its_type_of_option() -> None:
    [made] = published([spec("watch")])
    options = {each["name"]: each for each in made["options"]}
    assert made["options"][0]["name"] == "area"
    assert "(needed)" in options["area"]["description"]
    assert (options["minutes"]["type"], options["minutes"]["min_value"], options["minutes"]["max_value"]) == (4, 1, 240)
    assert options["factor"]["type"] == 10
    assert options["quiet"]["type"] == 5
    assert [each["value"] for each in options["colour"]["choices"]] == ["red", "blue"]
    assert options["many"]["autocomplete"]
    assert options["playbook"]["autocomplete"]
    assert options["with"]["type"] == 3
    assert not any(each.get("required") for each in made["options"])


def test_the_built_in_commands_can_all_be_published_and_called(tmp_path: Any) -> None:
    specs = load(load_settings(tmp_path, tmp_path, environ={})).commands
    commands = published(specs)
    names = {name for each in specs if not each.event for name in each.names}
    assert {called(path) for path in paths(commands)} == names


NAMES = st.lists(st.sampled_from(["track", "watch", "vtoc-help", "list", "a", "b"]), min_size=1, max_size=4)


@given(st.lists(NAMES.map(" ".join).filter(lambda name: len(name) <= 32), unique=True, max_size=40))
def test_any_names_are_published_within_the_limits_and_each_is_called_back(names: list[str]) -> None:
    specs = [spec(name) for name in names]
    menu = menu_of_commands(specs, guild=False)
    commands = published(specs)
    reached = [called(path) for path in paths(commands)]
    assert sorted([*map(str, reached), *menu.left_out]) == sorted(names)
    assert len(set(reached)) == len(reached)


def test_more_than_a_hundred_commands_leave_some_out_and_aliases_come_last() -> None:
    specs = [spec(f"command{n}", aliases=(f"alias{n}",)) for n in range(90)]
    menu = menu_of_commands(specs, guild=False)
    assert len(published(specs)) == 100
    assert len(menu.left_out) == 80
    assert all(re.fullmatch(r"alias\d+", name) for name in menu.left_out)


def test_rights_are_hinted_at_for_admins_commands_alone() -> None:
    lead, admin = published([spec("one", level="lead"), spec("two", level="admin")])
    assert lead["default_member_permissions"] is None
    assert admin["default_member_permissions"] == MANAGE_SERVER


def test_events_are_no_slash_commands() -> None:
    @command("channel.message", event=True) if False else command("quiet", event=True)
    async def heard(ctx: Context) -> Card:
        """Hear."""
        return Card.of("")

    assert published([heard]) == []


@pytest.mark.parametrize("guild", [True, False])
def test_what_discord_adds_is_no_change_and_what_we_change_is_one(guild: bool) -> None:
    commands = published([spec("one", level="admin"), spec("two three")], guild=guild)
    found = [
        {
            **each,
            "id": "1",
            "version": "2",
            "nsfw": False,
            "dm_permission": True,
            "name_localizations": None,
            "contexts": [1, 0] if not guild else None,
            "integration_types": [0] if not guild else None,
            "default_member_permissions": str(each["default_member_permissions"] or "") or None,
            "options": [{"required": False, **option} for option in each["options"]],
        }
        for each in reversed(commands)
    ]
    assert is_published(commands, found)
    assert not is_published(commands, found[:1])
    found[0]["options"][0]["description"] = "another"
    assert not is_published(commands, found)
