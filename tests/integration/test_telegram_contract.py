"""Telegram passes the contract of transports, before the strict Bot API."""

from __future__ import annotations

import pytest

from tests.stands.telegram import TelegramStand
from vtoc_bots.testing import FakePlatform, TransportContract


class TestTelegram(TransportContract):
    @pytest.fixture
    def platform(self) -> FakePlatform:
        return TelegramStand()
