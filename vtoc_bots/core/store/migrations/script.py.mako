"""${message}."""

from __future__ import annotations

from alembic import op

from vtoc_bots.core.store.migrations.statements import forward_only

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade(schema: str) -> None:
    """Runs once for ``vtoc_engine`` (with ``vtoc``) and once for each role's schema."""
    ${upgrades if upgrades else "op.execute(...)"}


def downgrade(schema: str) -> None:
    """Refused."""
    forward_only()
