"""The first tables: engine, queue, stations and operators, and each role's own."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from vtoc_bots.core.store.migrations.statements import forward_only, run_file
from vtoc_bots.core.store.schema import ENGINE_SCHEMA

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Copies of ../../sql/*.sql as they were: those files say what the schema is today, these what this migration makes.
FILES = Path(__file__).parent / "0001"


def upgrade(schema: str) -> None:
    """Runs once for ``vtoc_engine`` (with ``vtoc``) and once for each role's schema."""
    if schema == ENGINE_SCHEMA:
        op.execute("DO $$ BEGIN IF to_regnamespace('vtoc') IS NULL THEN CREATE SCHEMA vtoc; END IF; END $$")
        for name in ("engine", "queue", "vtoc", "engine_grants"):
            run_file(FILES / f"{name}.sql", schema)
        op.execute(f"REVOKE ALL ON {schema}.schema_version FROM vtoc_app")
    else:
        run_file(FILES / "role.sql", schema)
    op.execute(f"GRANT SELECT ON {schema}.schema_version TO vtoc_app")


def downgrade(schema: str) -> None:
    """Refused."""
    forward_only()
