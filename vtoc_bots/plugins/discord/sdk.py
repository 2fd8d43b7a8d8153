"""discord.py as our ear: its client and gateway connection, at the addresses that are set, telling us every packet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import discord
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.http import HTTPClient, Route

HEARTBEAT_TIMEOUT_SECONDS: Final = 60.0
"""Silence on a connection, acknowledged heartbeats included, after which discord.py gives it up."""

__all__ = ["DiscordWebSocket", "GatewayClient", "ReconnectWebSocket"]


class _HttpAt(HTTPClient):
    """discord.py's HTTP client at another address, without touching the address that all clients of a process share."""

    def at(self, base_url: str) -> None:
        self._base_url = base_url

    async def request(self, route: Route, **options: Any) -> Any:
        route.url = self._base_url + route.url.removeprefix(Route.BASE)
        return await super().request(route, **options)


class GatewayClient(discord.Client):
    """One shard's client. `heard` gets every packet as text, in order, before discord.py parses it.

    `before_identify` is awaited before each new session.
    """

    def __init__(
        self,
        base_url: str,
        heard: Callable[[str], None],
        before_identify: Callable[[], Awaitable[None]],
        *,
        shard_id: int,
        shard_count: int,
        message_content: bool,
    ) -> None:
        discord.VoiceClient.warn_dave = False  # as discord.py does after its first client: nobody speaks here
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=message_content)
        super().__init__(
            intents=intents,
            shard_id=shard_id,
            shard_count=shard_count,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_SECONDS,
            enable_debug_events=True,
        )
        self._heard, self._before_identify = heard, before_identify
        http = _HttpAt(self.loop)
        http.at(base_url)
        self.http = self._connection.http = http

    def dispatch(self, event: str, /, *args: Any, **options: Any) -> None:
        """What discord.py reports. Packets come to us at once: events that it makes of them would come as tasks."""
        if event == "socket_raw_receive":
            self._heard(args[0])
        else:
            super().dispatch(event, *args, **options)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait for our turn to begin a session."""
        await self._before_identify()

    def parent_of(self, channel_id: int) -> tuple[bool, int | None]:
        """Whether a channel is known, and its parent where it is a thread."""
        channel = self.get_channel(channel_id)
        if isinstance(channel, discord.Thread):
            return True, channel.parent_id
        return channel is not None, None

    def roles_in(self, guild_id: int) -> frozenset[str]:
        """The roles that stand for the bot in a server: the one that Discord made for it."""
        guild = self.get_guild(guild_id)
        if guild is None or self.user is None:
            return frozenset()
        return frozenset(str(role.id) for role in guild.roles if role.tags and role.tags.bot_id == self.user.id)
