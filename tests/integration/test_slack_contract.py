"""Slack passes the contract of transports, before the strict Slack."""

from __future__ import annotations

import pytest

from tests.stands.slack import SlackStand
from vtoc_bots.testing import FakePlatform, TransportContract


class TestSlack(TransportContract):
    @pytest.fixture
    def platform(self) -> FakePlatform:
        return SlackStand()
