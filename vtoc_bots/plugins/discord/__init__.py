"""Discord as a chat platform: slash commands, buttons, forms and messages in, embeds out."""

from __future__ import annotations

import importlib
from typing import Final

from vtoc_bots import PluginManifest, Settings, Transport, TransportContext, TransportSpec, hookimpl
from vtoc_bots.plugins.discord.invite import app
from vtoc_bots.plugins.discord.settings import DiscordSettings

MODULE: Final = "vtoc_bots.plugins.discord.transport"

manifest = PluginManifest(
    summary="Discord: slash commands, buttons, forms, threads",
    required_settings=("DISCORD_BOT_TOKEN", "DISCORD_APP_ID"),
    secrets=("DISCORD_BOT_TOKEN",),
    hosts=("discord.com", "gateway.discord.gg", "cdn.discordapp.com", "media.discordapp.net"),
    cli=app,
)


@hookimpl
def vtoc_transports(settings: Settings) -> tuple[TransportSpec, ...]:
    """Offers the application's bot."""
    return (discord_spec(settings.read(DiscordSettings)),)


def discord_spec(settings: DiscordSettings) -> TransportSpec:
    """The transport of one Discord application."""

    def opened(context: TransportContext) -> Transport:
        # discord.py takes half a second to import: only a process that opens the transport pays.
        module = importlib.import_module(MODULE)
        transport: Transport = module.DiscordTransport(context, settings)
        return transport

    return TransportSpec("discord", opened, account=settings.app_id, imports=MODULE)
