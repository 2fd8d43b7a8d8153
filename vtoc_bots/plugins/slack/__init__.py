"""Slack: commands, buttons, forms and App Home by Socket Mode or HTTP, and channels monitored as telemetry."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from vtoc_bots import PluginManifest, Transport, TransportContext, TransportSpec, hookimpl
from vtoc_bots.plugins.slack.commands import slack_event, slack_forget
from vtoc_bots.plugins.slack.manifest import slack_group
from vtoc_bots.plugins.slack.settings import SlackSettings

if TYPE_CHECKING:
    from vtoc_bots import CommandSpec, Settings

MODULE: Final = "vtoc_bots.plugins.slack.transport"

manifest = PluginManifest(
    summary="Slack: commands, buttons, forms, App Home, and channels monitored as telemetry",
    required_settings=("SLACK_BOT_TOKEN",),
    secrets=("SLACK_BOT_TOKEN", "SLACK_APP_LEVEL_TOKEN", "SLACK_SIGNING_SECRET"),
    hosts=("slack.com", "wss-primary.slack.com", "files.slack.com", "hooks.slack.com"),
    cli=slack_group,
)


@hookimpl
def vtoc_transports(settings: Settings) -> tuple[TransportSpec, ...]:
    """Offers Slack."""
    return (slack_spec(settings.read(SlackSettings)),)


@hookimpl
def vtoc_commands() -> tuple[CommandSpec, ...]:
    """Offers what monitored channels need."""
    return (slack_event, slack_forget)


def slack_spec(settings: SlackSettings) -> TransportSpec:
    """The transport as it is set."""

    def opened(context: TransportContext) -> Transport:
        # Bolt and its SDK take a third of a second to import: only a process that carries Slack's messages pays.
        module = importlib.import_module(MODULE)
        transport: Transport = module.SlackTransport(context, settings)
        return transport

    return TransportSpec("slack", opened, account="slack", imports=MODULE)
