"""Fixtures for every test."""

pytest_plugins = ["vtoc_bots.testing.plugin"]
