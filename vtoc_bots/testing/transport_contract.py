"""The contract that every transport passes: what chat.md of the design and docs/testing.md ask of one, as tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from vtoc_bots.testing.faults import FaultContract
from vtoc_bots.testing.native import NativeContract
from vtoc_bots.testing.platform import FakePlatform
from vtoc_bots.testing.receiving import ReceivingContract
from vtoc_bots.testing.sending import SendingContract
from vtoc_bots.testing.stage import Stage, staged
from vtoc_bots.testing.whole import WholeContract


class TransportContract(ReceivingContract, SendingContract, NativeContract, FaultContract, WholeContract):
    """Subclass it in your tests and override `platform`:

        class TestPigeons(TransportContract):
            @pytest.fixture
            def platform(self) -> FakePlatform:
                return PigeonLoft()

    Tests of what the transport's `caps` do not promise are skipped, and say so.
    """

    @pytest.fixture
    def platform(self) -> FakePlatform:
        """The stand-in that the transport speaks to; override it."""
        raise NotImplementedError(f"{type(self).__name__} overrides the fixture `platform`")

    @pytest_asyncio.fixture
    async def stage(self, platform: FakePlatform, tmp_path: Path) -> AsyncIterator[Stage]:
        """The transport, opened and running between the platform and an inbox in memory."""
        async with staged(platform, tmp_path) as opened:
            yield opened
