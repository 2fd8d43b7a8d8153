"""What stations were alerted of, and who acknowledged it."""

from __future__ import annotations

from pathlib import Path

from vtoc_bots.core.store.migrations.statements import forward_only, run_file
from vtoc_bots.core.store.schema import ENGINE_SCHEMA

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

FILES = Path(__file__).parent / "0007"


def upgrade(schema: str) -> None:
    """Changes the roles' schemas alone."""
    if schema != ENGINE_SCHEMA:
        run_file(FILES / "role.sql", schema)


def downgrade(schema: str) -> None:
    """Refused."""
    forward_only()
