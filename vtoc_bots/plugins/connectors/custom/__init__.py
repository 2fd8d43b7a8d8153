"""Custom sources: a function of somebody's own, named in connectors.yml, that collects, analyzes and broadcasts."""

from __future__ import annotations

from vtoc_bots import ActionSpec, CommandSpec, ConnectorSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.connectors.custom.actions import analyze, broadcast, collect
from vtoc_bots.plugins.connectors.custom.commands import connector_command
from vtoc_bots.plugins.connectors.custom.connector import CustomConnector, CustomContext
from vtoc_bots.plugins.connectors.custom.settings import CustomSettings

__all__ = ["CustomContext"]

manifest = PluginManifest(summary="Sources that are a Python function, called by playbook or command")


def connector_spec() -> ConnectorSpec:
    """The connector type. It has no byte stream to replay."""
    return ConnectorSpec(
        type="custom",
        settings=CustomSettings,
        open=CustomConnector,
        description="A Python function of your own: module: package.mod:callable, options",
    )


@hookimpl
def vtoc_connectors() -> tuple[ConnectorSpec, ...]:
    """Offers sources of type custom."""
    return (connector_spec(),)


@hookimpl
def vtoc_actions() -> tuple[ActionSpec, ...]:
    """connector.collect, connector.analyze and connector.broadcast."""
    return (collect, analyze, broadcast)


@hookimpl
def vtoc_commands() -> tuple[CommandSpec, ...]:
    """/connector."""
    return (connector_command,)
