"""Postgres: the embedded server, connections, migrations and one repository a noun."""
