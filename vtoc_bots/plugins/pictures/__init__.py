"""Pictures: maps as PNG, GeoJSON and KML, drawn in worker processes."""

from __future__ import annotations

from vtoc_bots import ActionSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.pictures.actions import map_actions

manifest = PluginManifest(summary="Maps as PNG, GeoJSON and KML")


@hookimpl
def vtoc_actions() -> tuple[ActionSpec, ...]:
    """Offers pictures.map."""
    return map_actions()
