"""A stand for each platform: what a real process speaks to in the scenario, and a transport in its contract suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.scenario_kit import Stand
from tests.stands.telegram import TelegramStand

STANDS: Mapping[str, Callable[[Path], Stand]] = {
    "telegram": lambda folder: TelegramStand(),
}


def stand_of(name: str, folder: Path) -> Stand:
    """A new stand of that platform."""
    return STANDS[name](folder)
