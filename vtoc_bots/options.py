"""The options that every command of the command line has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

Config = Annotated[
    Path, typer.Option("--config", metavar="DIR", help="Folder of connectors.yml, stations.yml, policies.yml.")
]
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Data folder: database, logs, pictures.")]
CONFIG: Final = Path("config")
DATA: Final = Path(".vtoc")
