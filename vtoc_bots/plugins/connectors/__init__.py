"""Telemetry connectors, one folder a type."""
