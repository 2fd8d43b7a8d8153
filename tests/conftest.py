"""Fixtures for every test, and how long property tests search."""

import os

from hypothesis import settings

pytest_plugins = ["vtoc_bots.testing.plugin"]

# A machine that is busy must not fail a test: no deadlines. HYPOTHESIS_PROFILE=thorough searches ten times longer.
settings.register_profile("suite", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
