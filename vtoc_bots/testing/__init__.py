"""The kit for plugin authors: a World to try plugins in, contract suites to subclass, stand-ins and a virtual clock."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("pytest") is None or find_spec("pytest_asyncio") is None:
    raise ImportError("vtoc_bots.testing needs pytest and pytest-asyncio: pip install 'vtoc-bots[testing]'")

import pytest

# So that an assertion that fails in a contract shows what was compared, as one in a test does.
pytest.register_assert_rewrite(
    *(
        f"vtoc_bots.testing.{name}"
        for name in ("action_contract", "connector_contract", "faults", "native", "receiving", "sending", "whole")
    )
)

from vtoc_bots.testing.action_contract import ActionContract, Example
from vtoc_bots.testing.action_stage import ActionStage, MemoryServices, MemoryTelemetry
from vtoc_bots.testing.clock import AheadClock, VirtualClock
from vtoc_bots.testing.connector_contract import ConnectorContract, ConnectorStage
from vtoc_bots.testing.loop_watch import unblocked
from vtoc_bots.testing.memory import MemoryBlobs, MemoryInbox, OpenedContext
from vtoc_bots.testing.person import Person, Reply, Said
from vtoc_bots.testing.platform import LIMITED_SECONDS, Event, FakePlatform, Fault, Shown, ShownButton, ShownForm
from vtoc_bots.testing.profiles import DISCORD, PLAIN, SLACK, TELEGRAM, TERMINAL, Profile
from vtoc_bots.testing.simulated import SimulatedPlatform
from vtoc_bots.testing.sources import FakeSource, FileSource, HttpSource, Recording, SelfMade, TcpSource
from vtoc_bots.testing.stage import Stage, answer, staged, text_of
from vtoc_bots.testing.transport_contract import TransportContract
from vtoc_bots.testing.words import words_of
from vtoc_bots.testing.world import OpensWorld, World

# fmt: off
__all__ = [
    "DISCORD", "LIMITED_SECONDS", "PLAIN", "SLACK", "TELEGRAM", "TERMINAL", "ActionContract", "ActionStage",
    "AheadClock", "ConnectorContract", "ConnectorStage", "Event", "Example", "FakePlatform", "FakeSource", "Fault",
    "FileSource", "HttpSource", "MemoryBlobs", "MemoryInbox", "MemoryServices", "MemoryTelemetry", "OpenedContext",
    "OpensWorld", "Person", "Profile", "Recording", "Reply", "Said", "SelfMade", "Shown", "ShownButton",
    "ShownForm", "SimulatedPlatform", "Stage", "TcpSource", "TransportContract", "VirtualClock", "World", "answer",
    "staged", "text_of", "unblocked", "words_of",
]
# fmt: on
