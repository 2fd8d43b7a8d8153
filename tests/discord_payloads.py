"""Payloads as Discord sends them: servers, channels, people, messages, interactions."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

APP = "1100000000000000001"
ME = "1100000000000000002"
OUR_ROLE = "1100000000000000003"
GUILD = "1200000000000000001"
HALL = "1200000000000000010"
OPS = "1200000000000000011"
THREAD = "1200000000000000012"
_EPOCH_MS = 1_420_070_400_000
_counter = itertools.count(1)


def snowflake(at: float | None = None) -> str:
    """A fresh id of now, or of a Unix time."""
    milliseconds = int((time.time() if at is None else at) * 1000) - _EPOCH_MS
    return str(milliseconds << 22 | next(_counter) % 2**22)


def user(user_id: str, name: str, *, bot: bool = False) -> dict[str, Any]:
    """A person or bot."""
    return {
        "id": user_id,
        "username": name.lower(),
        "global_name": None if bot else name,
        "discriminator": "0",
        "avatar": None,
        "bot": bot,
        "public_flags": 0,
        "flags": 0,
        "clan": None,
        "primary_guild": None,
        "collectibles": None,
        "display_name_styles": None,
        "avatar_decoration_data": None,
        "banner": None,
        "accent_color": None,
    }


BOT = user(ME, "vtoc", bot=True)


def member(who: Mapping[str, Any], *, within: bool = False) -> dict[str, Any]:
    """A member of the server; with the person `within`, as interactions have it."""
    made = {
        "avatar": None,
        "banner": None,
        "communication_disabled_until": None,
        "deaf": False,
        "flags": 0,
        "joined_at": "2026-01-01T10:00:00.000000+00:00",
        "mute": False,
        "nick": None,
        "pending": False,
        "premium_since": None,
        "roles": [],
        "permissions": "2248473465835073",
    }
    return made | ({"user": dict(who)} if within else {})


def text_channel(channel: str, name: str) -> dict[str, Any]:
    """A text channel of the server."""
    return {
        "id": channel,
        "type": 0,
        "name": name,
        "topic": None,
        "position": 1,
        "parent_id": None,
        "nsfw": False,
        "last_message_id": None,
        "rate_limit_per_user": 0,
        "permission_overwrites": [],
        "flags": 0,
        "version": 1,
    }


def thread_channel(thread: str, parent: str, name: str) -> dict[str, Any]:
    """A public thread."""
    return {
        "id": thread,
        "type": 11,
        "name": name,
        "parent_id": parent,
        "guild_id": GUILD,
        "owner_id": ME,
        "message_count": 1,
        "member_count": 1,
        "last_message_id": None,
        "rate_limit_per_user": 0,
        "flags": 0,
        "total_message_sent": 1,
        "thread_metadata": {
            "archived": False,
            "archive_timestamp": "2026-01-01T10:00:00.000000+00:00",
            "auto_archive_duration": 1440,
            "locked": False,
            "create_timestamp": "2026-01-01T10:00:00.000000+00:00",
        },
    }


def direct_channel(channel: str, who: Mapping[str, Any]) -> dict[str, Any]:
    """A channel of direct messages."""
    return {"id": channel, "type": 1, "last_message_id": None, "recipients": [dict(who)], "flags": 0}


def guild(channels: Sequence[Mapping[str, Any]], threads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The server as GUILD_CREATE has it."""
    everyone = {
        "id": GUILD,
        "name": "@everyone",
        "permissions": "2248473465835073",
        "position": 0,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }
    ours = {**everyone, "id": OUR_ROLE, "name": "vtoc", "position": 1, "managed": True, "tags": {"bot_id": ME}}
    return {
        "id": GUILD,
        "name": "Centre",
        "icon": None,
        "owner_id": "1300000000000000001",
        "member_count": 5,
        "large": False,
        "unavailable": False,
        "joined_at": "2026-01-01T10:00:00.000000+00:00",
        "roles": [everyone, ours],
        "emojis": [],
        "stickers": [],
        "features": ["COMMUNITY"],
        "channels": [dict(each) for each in channels],
        "threads": [dict(each) for each in threads],
        "members": [member(BOT, within=True)],
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
        "verification_level": 1,
        "default_message_notifications": 1,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "premium_tier": 0,
        "preferred_locale": "en-US",
        "system_channel_flags": 0,
        "afk_timeout": 300,
        "version": 1,
    }


def message(author: Mapping[str, Any], channel: str, at: datetime | None = None, **parts: Any) -> dict[str, Any]:
    """A message."""
    made_at = at or datetime.now(UTC)
    return {
        "id": snowflake(made_at.timestamp()),
        "channel_id": channel,
        "author": dict(author),
        "content": "",
        "timestamp": made_at.isoformat(),
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": False,
        "type": 0,
        "flags": 0,
        **parts,
    }


PARTIAL = ("id", "type", "name", "parent_id", "recipients", "position", "topic", "nsfw", "flags", "last_message_id")
"""What an interaction tells of its channel."""


def interaction(
    kind: int, who: Mapping[str, Any], channel: Mapping[str, Any], data: Mapping[str, Any], at: float, **parts: Any
) -> dict[str, Any]:
    """An interaction in the server, or in direct messages where the channel is one of those."""
    made: dict[str, Any] = {
        "id": snowflake(at),
        "application_id": APP,
        "type": kind,
        "token": f"aW50ZXJhY3Rpb24{snowflake()}",
        "version": 1,
        "channel_id": channel["id"],
        "channel": {key: channel[key] for key in PARTIAL if key in channel},
        "data": dict(data),
        "locale": "en-US",
        "app_permissions": "2248473465835073",
        "attachment_size_limit": 10485760,
        "entitlements": [],
        "entitlement_sku_ids": [],
        "authorizing_integration_owners": {"0": GUILD},
        **parts,
    }
    if channel["type"] in (10, 11, 12):
        made["channel"]["thread_metadata"] = channel["thread_metadata"]
    if channel["type"] == 1:
        return made | {"user": dict(who), "context": 1}
    where = {"guild_id": GUILD, "guild_locale": "en-US", "context": 0}
    return (
        made | where | {"guild": {"id": GUILD, "locale": "en-US", "features": []}, "member": member(who, within=True)}
    )
