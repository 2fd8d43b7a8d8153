"""The ops role: air tracks, maps, sources."""

from __future__ import annotations

from vtoc_bots import ActionSpec, CommandSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.ops.actions import collect, merge
from vtoc_bots.plugins.ops.cards import airtrack_card
from vtoc_bots.plugins.ops.commands import map_command, sources, tracks

manifest = PluginManifest(summary="Air tracks, maps and sources")


@hookimpl
def vtoc_actions() -> tuple[ActionSpec, ...]:
    """Offers telemetry.collect, tracks.merge and ops.airtrack_card."""
    return (collect, merge, airtrack_card)


@hookimpl
def vtoc_commands() -> tuple[CommandSpec, ...]:
    """Offers /tracks, /map and /sources."""
    return (tracks, map_command, sources)
