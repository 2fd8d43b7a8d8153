"""Every client of a process: registered once with how to open, probe and close it; opened when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import structlog

from vtoc_bots.core.errors import VtocError

logger = structlog.get_logger(__name__)

CLOSE_SECONDS: Final = 5.0
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class ClientSpec(Generic[C]):
    """How a client is had. `probe` says what is worth saying of it, or raises what is wrong."""

    name: str
    open: Callable[[], Awaitable[C]]
    probe: Callable[[C], Awaitable[str | None]]
    close: Callable[[C], Awaitable[None]]
    required: bool = False
    """Whether the process is unready while the probe fails."""


class Clients:
    """The clients. `register_probe` is that of the process's health: name, probe, whether it is required."""

    def __init__(self, register_probe: Callable[[str, Callable[[], Awaitable[str | None]], bool], object]) -> None:
        self._register_probe = register_probe
        self._specs: dict[str, ClientSpec[Any]] = {}
        self._open: dict[str, Any] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def register(self, spec: ClientSpec[Any]) -> None:
        """Add a client. Raises ValueError for a name in use."""
        if spec.name in self._specs:
            raise ValueError(f"clients: there is one named {spec.name} already")
        self._specs[spec.name] = spec
        self._locks[spec.name] = asyncio.Lock()
        self._register_probe(f"client.{spec.name}", lambda: self._probe(spec), spec.required)

    async def get(self, spec: ClientSpec[C]) -> C:
        """The open client, opened now if it is not; however many ask, it is opened once."""
        async with self._locks[spec.name]:
            if spec.name not in self._open:
                self._open[spec.name] = await spec.open()
            found: C = self._open[spec.name]
            return found

    async def close(self) -> None:
        """Close all, the last opened first; one that hangs or fails does not hold up the others."""
        for name in reversed(list(self._open)):
            try:
                await asyncio.wait_for(self._specs[name].close(self._open.pop(name)), CLOSE_SECONDS)
            except Exception as error:
                known = str(error) if isinstance(error, VtocError) else type(error).__name__
                logger.warning("client_not_closed", client=name, error=known)

    async def _probe(self, spec: ClientSpec[Any]) -> str | None:
        return await spec.probe(await self.get(spec))
