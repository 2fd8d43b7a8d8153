"""Telegram: operators in private chats and groups, by long polling or a webhook."""

from __future__ import annotations

import importlib
from typing import Final

from vtoc_bots import PluginManifest, Settings, Transport, TransportContext, TransportSpec, hookimpl
from vtoc_bots.plugins.telegram.settings import TelegramSettings

MODULE: Final = "vtoc_bots.plugins.telegram.transport"

manifest = PluginManifest(
    summary="Operators in Telegram",
    required_settings=("TELEGRAM_BOT_TOKEN",),
    secrets=("TELEGRAM_BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET"),
    hosts=("api.telegram.org",),
)


@hookimpl
def vtoc_transports(settings: Settings) -> tuple[TransportSpec, ...]:
    """Offers the bot whose token is set."""
    return (telegram_spec(settings.read(TelegramSettings), settings.public_url),)


def telegram_spec(settings: TelegramSettings, public_url: str | None) -> TransportSpec:
    """The transport of one bot; its account is the bot's id. `public_url` is where people reach our web server."""

    def opened(context: TransportContext) -> Transport:
        # The SDK takes a third of a second to import: only a process that talks to Telegram pays.
        module = importlib.import_module(MODULE)
        transport: Transport = module.TelegramTransport(context, settings, public_url)
        return transport

    return TransportSpec("telegram", opened, account=settings.bot_id or "unknown", imports=MODULE)
