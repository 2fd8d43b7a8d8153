"""Alembic's migrations: one history, run for the engine's schema and for each role's."""
