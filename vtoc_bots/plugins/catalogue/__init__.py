"""The catalogue: the commands that every station has."""

from __future__ import annotations

from vtoc_bots import CommandSpec, PluginManifest, hookimpl
from vtoc_bots.plugins.catalogue.alerts import acknowledge, alerts
from vtoc_bots.plugins.catalogue.approvals import approvals, approve, deny
from vtoc_bots.plugins.catalogue.centre import health, help_command, link, station, status, whoami, why
from vtoc_bots.plugins.catalogue.home import home
from vtoc_bots.plugins.catalogue.missions import log, mission_close, mission_list, mission_open, mission_show
from vtoc_bots.plugins.catalogue.playbooks import answer, cancel, decline, playbook, playbooks, run, runs

manifest = PluginManifest(summary="The commands that every station has")


@hookimpl
def vtoc_commands() -> tuple[CommandSpec, ...]:
    """Offers help, playbooks, runs, approvals, missions, alerts, and what to know about oneself and the centre."""
    return (
        *(help_command, playbook, playbooks, runs, run, answer, decline, cancel, approvals, approve, deny),
        *(mission_list, mission_show, mission_open, mission_close, log, alerts, acknowledge),
        *(whoami, why, status, station, health, home, link),
    )
