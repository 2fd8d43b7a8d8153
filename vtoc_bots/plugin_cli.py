"""``vtoc-bots plugin``: list what is installed, begin a new plugin, check one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vtoc_bots import __version__
from vtoc_bots.console import CONFIG, DATA, Config, Data, logs_on_stderr, told
from vtoc_bots.core.settings import load_settings

plugins = typer.Typer(help="Plugins: what is installed, a new one, checks.", no_args_is_help=True)


@plugins.command("list")
def plugin_list(config: Config = CONFIG, data: Data = DATA) -> None:
    """List every installed plugin, on or off, with what it registers. Needs no database."""
    from vtoc_bots.core.loader import load, report_rows

    def listed() -> None:
        settings = load_settings(config, data)
        with logs_on_stderr(settings):
            reports = load(settings, settings.plugins_disabled).reports
        rows = [("plugin", "state", "version", "registers"), *report_rows(reports)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            typer.echo("  ".join([*cells, row[3]]).rstrip())

    told(listed)


@plugins.command("new")
def plugin_new(
    kind: Annotated[Literal["transport", "connector", "action"], typer.Argument(help="What it is to be.")],
    name: Annotated[str, typer.Argument(help="Lower-case words with hyphens, e.g. harbour-log.")],
) -> None:
    """Make ./vtoc-bots-NAME/: a package that works, with tests that pass. Nothing is ever overwritten."""
    from vtoc_bots.core.loader import installed
    from vtoc_bots.scaffold.package import new_package

    def made() -> None:
        folder = new_package(kind, name, Path(), __version__, {entry.name for entry in installed()})
        typer.echo(f"{folder}/ is made. Next:")
        typer.echo(f"  cd {folder} && pip install -e '.[dev]' && pytest")
        typer.echo("  vtoc-bots plugin check .")

    told(made)


@plugins.command("check")
def plugin_check(
    what: Annotated[
        str, typer.Argument(metavar="NAME|FOLDER", help="An installed plugin, or where one is made.")
    ] = ".",
    config: Config = CONFIG,
    data: Data = DATA,
) -> None:
    """Say which grade a plugin has reached, and what the next one takes; exit 0 for the third, else 10 and the missed
    grade."""
    from vtoc_bots.scaffold.findings import lines_of, reached
    from vtoc_bots.scaffold.grades import findings_of
    from vtoc_bots.scaffold.subject import subject_of

    def checked() -> None:
        subject = subject_of(what)
        settings = load_settings(config, data)
        with logs_on_stderr(settings):
            findings = findings_of(subject, settings)
        for line in lines_of(subject.name, findings):
            typer.echo(line)
        grade = reached(findings)
        if grade < 3:
            raise typer.Exit(11 + grade)

    told(checked)
