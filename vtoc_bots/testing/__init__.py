"""The kit for plugin authors: a World to try plugins in, contract suites to subclass, stand-ins and a virtual clock."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("pytest") is None or find_spec("pytest_asyncio") is None:
    raise ImportError("vtoc_bots.testing needs pytest and pytest-asyncio: pip install 'vtoc-bots[testing]'")

from vtoc_bots.testing.clock import AheadClock, VirtualClock
from vtoc_bots.testing.memory import MemoryBlobs, MemoryInbox, OpenedContext
from vtoc_bots.testing.person import Person, Reply, Said
from vtoc_bots.testing.platform import LIMITED_SECONDS, Event, FakePlatform, Fault, Shown, ShownButton, ShownForm
from vtoc_bots.testing.profiles import DISCORD, PLAIN, SLACK, TELEGRAM, TERMINAL, Profile
from vtoc_bots.testing.simulated import SimulatedPlatform
from vtoc_bots.testing.stage import Stage, answer, staged, text_of
from vtoc_bots.testing.transport_contract import TransportContract
from vtoc_bots.testing.words import words_of
from vtoc_bots.testing.world import World

# fmt: off
__all__ = [
    "DISCORD", "LIMITED_SECONDS", "PLAIN", "SLACK", "TELEGRAM", "TERMINAL", "AheadClock", "Event", "FakePlatform",
    "Fault", "MemoryBlobs", "MemoryInbox", "OpenedContext", "Person", "Profile", "Reply", "Said", "Shown",
    "ShownButton", "ShownForm", "SimulatedPlatform", "Stage", "TransportContract", "VirtualClock", "World",
    "answer", "staged", "text_of", "words_of",
]
# fmt: on
