"""Playbooks: declared procedures, checked when loaded and planned by pure functions from rows alone."""
