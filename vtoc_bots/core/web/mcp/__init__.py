"""This installation as an MCP server: playbooks as tools, and runs, tracks, telemetry and stations to look at."""
