"""The catalogue: the commands that every station has."""

from __future__ import annotations

from vtoc_bots import CommandSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.catalogue.approvals import approvals, approve, deny
from vtoc_bots.plugins.catalogue.centre import health, help_command, link, station, status, whoami, why
from vtoc_bots.plugins.catalogue.home import home
from vtoc_bots.plugins.catalogue.playbooks import answer, cancel, decline, playbook, playbooks, run, runs

manifest = PluginManifest(summary="The commands that every station has")


@hookimpl
def vtoc_commands() -> tuple[CommandSpec, ...]:
    """Offers help, playbooks, runs, approvals, and what there is to know about oneself and the centre."""
    return (
        *(help_command, playbook, playbooks, runs, run, answer, decline, cancel, approvals, approve, deny),
        *(whoami, why, status, station, health, home, link),
    )
