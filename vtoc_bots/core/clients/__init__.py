"""Shared ways to services: one HTTP layer for all of them, and a registry that opens, probes and closes each."""
