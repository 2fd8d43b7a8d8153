"""The commands as Telegram's own menu shows them: one list for private chats, one for groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import structlog
from telegram import BotCommand, BotCommandScope, BotCommandScopeAllGroupChats, BotCommandScopeAllPrivateChats

from vtoc_bots import CommandSpec
from vtoc_bots.plugins.telegram.api import TelegramBot

logger = structlog.get_logger(__name__)

MOST_COMMANDS: Final = 100
LONGEST_DESCRIPTION: Final = 256
_NAME: Final = re.compile(r"[a-z0-9_]{1,32}")

Entry = tuple[str, str]
"""(name, description)."""


def entries_of(commands: Sequence[CommandSpec], *, in_groups: bool) -> list[Entry]:
    """What a menu lists. In groups without those whose answers are private; names that Telegram can't take are left
    out, and work when typed."""
    entries: dict[str, str] = {}
    for spec in commands:
        name = spec.native_name.lower()
        if in_groups and spec.private:
            continue
        if _NAME.fullmatch(name) is None:
            logger.info("command_not_listed", command=spec.name)
            continue
        about = " ".join((spec.summary or spec.name).split())
        if len(about) > LONGEST_DESCRIPTION:
            about = about[: LONGEST_DESCRIPTION - 1] + "…"
        entries.setdefault(name, about)
    return list(entries.items())[:MOST_COMMANDS]


async def publish_menus(bot: TelegramBot, commands: Sequence[CommandSpec]) -> int:
    """Set the menus that are not as they should be; how many were set. Raises TelegramError."""
    scopes: tuple[tuple[BotCommandScope, bool], ...] = (
        (BotCommandScopeAllPrivateChats(), False),
        (BotCommandScopeAllGroupChats(), True),
    )
    changed = 0
    for scope, in_groups in scopes:
        wanted = entries_of(commands, in_groups=in_groups)
        there = [(each.command, each.description) for each in await bot.get_my_commands(scope=scope)]
        if there != wanted:
            await bot.set_my_commands([BotCommand(*entry) for entry in wanted], scope=scope)
            changed += 1
    return changed
