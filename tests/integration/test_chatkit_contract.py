"""ChatKit passes the contract of transports, before a strict organisation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stands.chatkit import ChatKitStand
from vtoc_bots.testing import FakePlatform, TransportContract


class TestChatKit(TransportContract):
    @pytest.fixture
    def platform(self) -> Iterator[FakePlatform]:
        stand = ChatKitStand()
        yield stand
        assert stand.org.wrong == []
        assert [status for status in stand.answers if status not in (202, 401, 503)] == []
