"""How the parts of this process are: probes run together, each with a timeout, and remembered for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import Clock, ProbeResult

logger = structlog.get_logger(__name__)

Probe = Callable[[], Awaitable[str | None]]
"""Looks at one part: returns what is worth saying of it, or raises with what is wrong."""

PROBE_SECONDS: Final = 2.0
FRESH_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Part:
    """One registered probe and what is known of it."""

    probe: Probe
    required: bool
    timeout_seconds: float
    last_success_at: datetime | None = None
    was_ok: bool | None = None
    running: asyncio.Task[str | None] | None = None
    """A look that outlived its timeout and still has not ended."""


class Health:
    """The probes of this process. However many ask at once, the parts are looked at once a `fresh_seconds`."""

    def __init__(self, clock: Clock, metrics: Metrics, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._clock = clock
        self._metrics = metrics
        self._fresh_seconds = fresh_seconds
        self._parts: dict[str, _Part] = {}
        self._looking: asyncio.Task[list[ProbeResult]] | None = None
        self._looked_at = float("-inf")
        self._results: list[ProbeResult] = []

    def register(
        self, name: str, probe: Probe, required: bool = True, timeout_seconds: float = PROBE_SECONDS
    ) -> Callable[[], None]:
        """Add a part; the process is ready only while every `required` one is well. Returns what removes it again.

        Raises ValueError when there is one of that name.
        """
        if name in self._parts:
            raise ValueError(f"health: there is a probe named {name} already")
        self._parts[name] = _Part(probe, required, timeout_seconds)
        self._looked_at = float("-inf")
        return lambda: self._remove(name)

    def _remove(self, name: str) -> None:
        part = self._parts.pop(name, None)
        self._looked_at = float("-inf")
        if part is not None and part.running is not None:
            part.running.cancel()

    async def check(self) -> list[ProbeResult]:
        """How every part is, in the order of registration; at most `fresh_seconds` old."""
        if self._clock.monotonic() - self._looked_at <= self._fresh_seconds:
            return self._results
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)
        # Shielded: one who stops waiting must not end the look for the others.
        return await asyncio.shield(self._looking)

    async def _look(self) -> list[ProbeResult]:
        parts = dict(self._parts)
        results = list(await asyncio.gather(*(self._probe(name, part) for name, part in parts.items())))
        self._results, self._looked_at = results, self._clock.monotonic()
        return results

    def _looked(self, task: asyncio.Task[list[ProbeResult]]) -> None:
        self._looking = None

    async def _probe(self, name: str, part: _Part) -> ProbeResult:
        began = self._clock.monotonic()
        try:
            ok, detail = True, await _within(part) or ""
            part.last_success_at = self._clock.now()
        except VtocError as error:
            ok, detail = False, str(error)
        except Exception as error:  # its text may hold a secret, and /readyz is open to all
            ok, detail = False, type(error).__name__
            if part.was_ok is not False:
                logger.warning("probe_raised", probe=name, exc_info=error)
        self._note(name, part, ok, detail)
        latency = self._clock.monotonic() - began
        return ProbeResult(name, ok, part.required, detail, latency, part.last_success_at)

    def _note(self, name: str, part: _Part, ok: bool, detail: str) -> None:
        """Count every look, and log where it changed."""
        self._metrics.probe_ok.labels(name).set(ok)
        if not ok and part.was_ok is not False:
            logger.warning("probe_failed", probe=name, required=part.required, detail=detail)
        elif ok and part.was_ok is False:
            logger.info("probe_recovered", probe=name)
        part.was_ok = ok


async def _within(part: _Part) -> str | None:
    """Run a probe for as long as it may. One that does not end even when cancelled is not started a second time."""
    if part.running is not None:
        raise VtocError("the last look has not ended yet")

    async def look() -> str | None:
        return await part.probe()

    def ended(task: asyncio.Task[str | None]) -> None:
        part.running = None
        if not task.cancelled():
            task.exception()  # taken here, for after the timeout nobody else takes it

    part.running = task = asyncio.create_task(look())
    task.add_done_callback(ended)
    done, _ = await asyncio.wait({task}, timeout=part.timeout_seconds)
    if not done:
        task.cancel()
        raise VtocError(f"no answer within {part.timeout_seconds:g} s")
    if task.cancelled():  # not the look's own end: the others' answers are waited for
        raise VtocError("it is being removed")
    return task.result()


def is_ready(results: Iterable[ProbeResult]) -> bool:
    """Whether every required part is well."""
    return all(result.ok or not result.required for result in results)
