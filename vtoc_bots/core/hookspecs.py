"""Every hook. A hook returns declarations, once, at start; a hookimpl may take fewer arguments than its hookspec."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from vtoc_bots.core.ports import ActionSpec, ConnectorSpec, Observer, Policy
from vtoc_bots.core.transports import TransportSpec

if TYPE_CHECKING:
    from vtoc_bots.core.commands import CommandSpec
    from vtoc_bots.core.settings import Settings

PROJECT = "vtoc_bots"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def vtoc_transports(settings: Settings) -> Iterable[TransportSpec]:
    """Chat platforms to carry messages of."""
    return ()


@hookspec
def vtoc_connectors(settings: Settings) -> Iterable[ConnectorSpec]:
    """Types of telemetry feed that config/connectors.yml may name."""
    return ()


@hookspec
def vtoc_commands() -> Iterable[CommandSpec]:
    """Functions that operators call from chat; see `command`."""
    return ()


@hookspec
def vtoc_policies() -> Iterable[Policy]:
    """Verdicts added to `access.decide`: deny beats require-approval beats allow, an error is a deny."""
    return ()


@hookspec
def vtoc_actions(settings: Settings) -> Iterable[ActionSpec]:
    """Functions that playbook steps use; see `action`."""
    return ()


@hookspec
def vtoc_playbooks() -> Iterable[Path]:
    """YAML files, or folders of them."""
    return ()


@hookspec
def vtoc_routes(web: Any) -> None:
    """Add HTTP routes to the process's web server (an aiohttp Application)."""


@hookspec
def vtoc_observers() -> Iterable[Observer]:
    """Objects that are told of what happened; off the hot path, their errors change nothing."""
    return ()
