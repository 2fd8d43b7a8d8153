"""Slack passes the contract of transports, before the strict Slack."""

from __future__ import annotations

import pytest

from tests.stands.slack import SlackStand
from vtoc_bots.testing import FakePlatform, Stage, TransportContract


class TestSlack(TransportContract):
    @pytest.fixture
    def platform(self) -> FakePlatform:
        return SlackStand()

    async def test_each_room_is_a_conversation_of_its_own(self, stage: Stage) -> None:
        """In a channel each mention begins a thread, which is the conversation; commands share the channel's."""
        first = await stage.said("one")
        second = await stage.said("two", stage.platform.people[-1])
        assert first.conversation.channel == second.conversation.channel
        assert first.conversation != second.conversation
        commands = [await stage.said("/runs", room=room) for room in ("hall", "hall", "yard")]
        assert commands[0].conversation == commands[1].conversation != commands[2].conversation
