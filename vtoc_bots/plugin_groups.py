"""The command groups that plugins bring: a manifest's `cli` under the plugin's name, imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from vtoc_bots.core.errors import PluginError, VtocError


class PluginGroups(TyperGroup):
    """Our own commands, and after them one group a plugin whose manifest has one; ours win over theirs.

    A plugin's group is there while the plugin lacks settings, so that it can help to make them, but not while it is
    named in PLUGINS_DISABLED.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name. A plugin that can't be imported is left out: ``vtoc-bots plugin list`` tells of it."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in _having_groups() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, None where there is none. Ends the process where its plugin can't be imported."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        try:
            group = _group_of(cmd_name)
        except VtocError as error:
            typer.echo(f"vtoc-bots: {error}", err=True)
            raise typer.Exit(2) from error
        return None if group is None else typer.main.get_group(group)


def _having_groups() -> list[str]:
    names = []
    for name in _enabled():
        try:
            if _group_of(name) is not None:
                names.append(name)
        except VtocError:
            continue
    return names


def _enabled() -> list[str]:
    """The installed plugins that are not disabled. Raises nothing: wrong settings disable nothing here."""
    from vtoc_bots.core.loader import installed
    from vtoc_bots.core.settings import load_settings

    try:
        disabled = load_settings(Path("config"), Path(".vtoc")).plugins_disabled
    except VtocError:
        disabled = ()
    return [entry.name for entry in installed() if entry.name not in disabled]


def _group_of(name: str) -> typer.Typer | None:
    """The group of the plugin of that name, None where it has none. Raises PluginError."""
    from vtoc_bots.core.loader import installed, manifest_of

    entry = next((entry for entry in installed() if entry.name == name), None)
    if entry is None or name not in _enabled():
        return None
    try:
        manifest = manifest_of(entry.load())
    except VtocError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {name} can't be imported ({type(error).__name__}: {error})") from error
    group = None if manifest is None else manifest.cli
    if group is not None and not isinstance(group, typer.Typer):
        raise PluginError(f"plugin {name}: its manifest's cli is a {type(group).__name__}; it must be a typer.Typer")
    return group
