"""Discord passes the contract of transports, before the strict platform."""

from __future__ import annotations

import pytest

from tests.stands.discord import DiscordStand
from vtoc_bots.testing import FakePlatform, TransportContract


class TestDiscord(TransportContract):
    @pytest.fixture
    def platform(self) -> FakePlatform:
        return DiscordStand()
