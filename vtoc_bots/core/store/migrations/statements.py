"""Runs a migration's SQL file."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from alembic import op

from vtoc_bots.core.errors import ConfigError


def run_file(path: Path, schema: str) -> None:
    """Run every statement of a file, ``@schema@`` being the schema that is migrated."""
    run_script(path.read_text(encoding="utf-8").replace("@schema@", schema))


def run_script(sql: str) -> None:
    """Run statements as one text, since they may hold functions, whose bodies hold semicolons."""
    connection = op.get_bind().connection.dbapi_connection
    if connection is None:
        raise ConfigError("alembic: the connection was closed in the middle of a migration")
    # The wrapped driver is in a transaction since its first statement, which was the lock in env.py.
    connection.run_async(lambda raw: raw.execute(sql))


def forward_only() -> NoReturn:
    """Every migration's downgrade: data that a newer version wrote has no place in an older schema."""
    raise ConfigError("alembic: migrations go forward only. To go back, restore the backup made before the upgrade")
