"""Notices of new jobs say whose they are."""

from __future__ import annotations

from pathlib import Path

from vtoc_bots.core.store.migrations.statements import forward_only, run_file
from vtoc_bots.core.store.schema import ENGINE_SCHEMA

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FILES = Path(__file__).parent / "0006"


def upgrade(schema: str) -> None:
    """Changes ``vtoc_engine`` alone."""
    if schema == ENGINE_SCHEMA:
        run_file(FILES / "engine.sql", schema)


def downgrade(schema: str) -> None:
    """Refused."""
    forward_only()
