"""A stand for each platform: what a real process speaks to in the scenario, and a transport in its contract suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.scenario_kit import Stand
from tests.stands.chatkit import ChatKitStand
from tests.stands.discord import DiscordStand
from tests.stands.slack import SlackStand
from tests.stands.telegram import TelegramStand
from tests.stands.terminal import TerminalStand

STANDS: Mapping[str, Callable[[], Stand]] = {
    "chatkit": ChatKitStand,
    "discord": DiscordStand,
    "slack": SlackStand,
    "telegram": TelegramStand,
    "terminal": TerminalStand,
}
