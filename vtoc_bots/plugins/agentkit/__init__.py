"""Tools of a remote AgentKit as steps of playbooks."""

from __future__ import annotations

from vtoc_bots import ActionSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.agentkit.actions import call, result_card

manifest = PluginManifest(summary="Tools of a remote AgentKit as steps of playbooks")


@hookimpl
def vtoc_actions() -> tuple[ActionSpec, ...]:
    """agentkit.call and the card of what came of it."""
    return (call, result_card)
