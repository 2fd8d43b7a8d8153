"""The World's own platforms pass the contract of transports: a fake keeps the same promises as the real thing."""

from __future__ import annotations

import pytest

from vtoc_bots.testing.platform import FakePlatform
from vtoc_bots.testing.profiles import DISCORD, PLAIN, SLACK, TELEGRAM, TERMINAL, Profile
from vtoc_bots.testing.simulated import SimulatedPlatform
from vtoc_bots.testing.transport_contract import TransportContract


class TestSimulatedPlatforms(TransportContract):
    @pytest.fixture(params=[TELEGRAM, SLACK, DISCORD, TERMINAL, PLAIN], ids=lambda profile: profile.name)
    def platform(self, request: pytest.FixtureRequest) -> FakePlatform:
        profile: Profile = request.param
        return SimulatedPlatform(profile)
