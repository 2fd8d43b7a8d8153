"""What every command of the command line shares: the usual options, logs on stderr, errors in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.settings import Settings

Config = Annotated[
    Path, typer.Option("--config", metavar="DIR", help="Folder of connectors.yml, stations.yml, policies.yml.")
]
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Data folder: database, logs, pictures.")]
CONFIG: Final = Path("config")
DATA: Final = Path(".vtoc")


@contextmanager
def logs_on_stderr(settings: Settings) -> Iterator[None]:
    """Of a command that prints data: logs never mix into it, and what is no warning is not worth a line."""
    from vtoc_bots.core.observe.logging import configure_logging

    level = "warning" if settings.log_level == "info" else settings.log_level
    logs = configure_logging(level=level, secrets=settings.secrets())
    try:
        yield
    finally:
        logs.close()


def told(work: Callable[[], None]) -> None:
    """Do the work; an error of ours is one line on stderr, and exit code 2."""
    try:
        work()
    except (VtocError, ValueError) as error:
        typer.echo(f"vtoc-bots: {error}", err=True)
        raise typer.Exit(2) from error
