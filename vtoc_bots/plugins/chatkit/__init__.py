"""ChatKit: channels of an organisation by signed webhook, or our own threads and a ChatKit server at /chatkit."""

from __future__ import annotations

import importlib
from typing import Final

from vtoc_bots import CommandSpec, PluginManifest, Settings, Transport, TransportContext, TransportSpec, hookimpl
from vtoc_bots.plugins.chatkit.commands import said, thread_made
from vtoc_bots.plugins.chatkit.settings import OWN, ChatKitSettings

MODULE: Final = "vtoc_bots.plugins.chatkit.transport"

manifest = PluginManifest(
    summary="Operators in ChatKit channels, and a ChatKit server",
    secrets=("CHATKIT_API_KEY", "CHATKIT_WEBHOOK_SECRET"),
    hosts=("CHATKIT_API_BASE_URL",),
)


@hookimpl
def vtoc_transports(settings: Settings) -> tuple[TransportSpec, ...]:
    """Offers the organisation that is set, else what lives here."""
    stations = {station.slug: station.callsign for station in settings.stations}
    own = settings.read(ChatKitSettings)
    return (chatkit_spec(own, settings.public_url, stations, settings.station.slug),)


@hookimpl
def vtoc_commands() -> tuple[CommandSpec, ...]:
    """Offers what its events are for."""
    return (said, thread_made)


def chatkit_spec(
    settings: ChatKitSettings, public_url: str | None, stations: dict[str, str], own_station: str
) -> TransportSpec:
    """The transport; its account is the organisation's id. `stations` are callsigns by slug."""
    account = settings.org_id if settings.api_base_url and settings.org_id else OWN

    def opened(context: TransportContext) -> Transport:
        module = importlib.import_module(MODULE)
        transport: Transport = module.ChatKitTransport(context, settings, public_url, stations, own_station)
        return transport

    return TransportSpec("chatkit", opened, account=account, imports=MODULE)
