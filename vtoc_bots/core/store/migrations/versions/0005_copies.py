"""How often an outbound may have been shown."""

from __future__ import annotations

from pathlib import Path

from vtoc_bots.core.store.migrations.statements import forward_only, run_file
from vtoc_bots.core.store.schema import ENGINE_SCHEMA

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FILES = Path(__file__).parent / "0005"


def upgrade(schema: str) -> None:
    """Changes ``vtoc_engine`` alone."""
    if schema == ENGINE_SCHEMA:
        run_file(FILES / "engine.sql", schema)


def downgrade(schema: str) -> None:
    """Refused."""
    forward_only()
