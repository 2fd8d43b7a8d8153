"""Tools of MCP servers as steps of playbooks, and the diagnostics that they have of systems."""

from __future__ import annotations

from pathlib import Path

from vtoc_bots import ActionSpec, CommandSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.mcp.actions import call, diagnose, diagnosis_card
from vtoc_bots.plugins.mcp.commands import diagnostics

manifest = PluginManifest(summary="Tools of MCP servers as steps of playbooks, and diagnostics")


@hookimpl
def vtoc_actions() -> tuple[ActionSpec, ...]:
    """mcp.call, mcp.diagnose and the card of what was found."""
    return (call, diagnose, diagnosis_card)


@hookimpl
def vtoc_commands() -> tuple[CommandSpec, ...]:
    """/diagnostics."""
    return (diagnostics,)


@hookimpl
def vtoc_playbooks() -> tuple[Path, ...]:
    """The playbook that /diagnostics runs."""
    return (Path(__file__).with_name("diagnostics.yml"),)
