"""Watches the event loop from a thread and names the plugin that blocks it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from types import FrameType
from typing import Final, NamedTuple

import structlog

from vtoc_bots.core.observe.metrics import Metrics

logger = structlog.get_logger(__name__)

CORE: Final = "core"
UNKNOWN: Final = "unknown"
STILL_BLOCKED_SECONDS: Final = 5.0
"""A loop that stays blocked is logged after this time, and again each time it has doubled."""


class Place(NamedTuple):
    """Where a thread is: whose code, and ``module:line function``."""

    plugin: str
    location: str


NOWHERE: Final = Place(UNKNOWN, "native code, or the whole process stood still")
_LOOP_MODULES: Final = frozenset({"asyncio.base_events", "asyncio.events", "asyncio.runners", "asyncio.unix_events"})


class Watchdog:
    """Measures how late the loop is; what blocks it for longer than `threshold_seconds` is named, logged and counted.

    `plugins` is by module: ``{"vtoc_bots.plugins.telegram": "telegram"}``; everything inside a module is its plugin's.
    Start and stop it on the loop it watches. It blocks nothing itself: the loop only notes the time, the thread looks.
    """

    def __init__(self, plugins: Mapping[str, str], metrics: Metrics, threshold_seconds: float = 0.25) -> None:
        self._plugins = dict(plugins)
        self._metrics = metrics
        self._threshold = threshold_seconds
        self._interval = threshold_seconds / 4
        self._stopped = threading.Event()
        self._loop_thread = 0
        self._timer: asyncio.TimerHandle | None = None
        self._beat_at = 0.0
        self._beats = 0
        self._late: deque[tuple[int, float]] = deque()

    def start(self) -> None:
        """Watch the running loop."""
        self._loop_thread = threading.get_ident()
        self._stopped.clear()
        self._beat_at = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._beat)
        threading.Thread(target=self._watch, name="vtoc-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching. The thread ends by itself within a fraction of the threshold."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        now = time.monotonic()
        lag = max(0.0, now - self._beat_at - self._interval)
        if lag > self._threshold:
            self._late.append((self._beats, lag))
        self._beat_at = now
        self._beats += 1
        self._metrics.loop_lag_seconds.observe(lag)
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._beat)

    def _watch(self) -> None:
        seen = _Seen(self._beats)
        while not self._stopped.wait(self._interval):
            beats, lag = self._beats, time.monotonic() - self._beat_at - self._interval
            if beats != seen.beats:
                self._report(seen)
                seen = _Seen(beats)
            # Looking begins before it is too long, so that a block just over the threshold is seen too.
            if lag > self._threshold / 2:
                seen.places[place_of(sys._current_frames().get(self._loop_thread), self._plugins)] += 1
            if lag > seen.tell_after_seconds:
                seen.tell_after_seconds *= 2
                self._tell(seen.worst(), lag, still=True)
        self._report(seen)

    def _report(self, seen: _Seen) -> None:
        """Tell of the late beats since the last look; only the one looked at has places."""
        while self._late:
            beats, lag = self._late.popleft()
            place = seen.worst() if beats == seen.beats else NOWHERE
            self._metrics.loop_blocked.labels(place.plugin).inc()
            self._tell(place, lag, still=False)

    def _tell(self, place: Place, seconds: float, *, still: bool) -> None:
        logger.warning(
            "loop_blocked",
            plugin=place.plugin,
            seconds=round(seconds, 3),
            location=place.location,
            still_blocked=still,
        )


class _Seen:
    """Where the loop's thread was found while one heartbeat was late."""

    def __init__(self, beats: int) -> None:
        self.beats = beats
        self.places: Counter[Place] = Counter()
        self.tell_after_seconds = STILL_BLOCKED_SECONDS

    def worst(self) -> Place:
        return self.places.most_common(1)[0][0] if self.places else NOWHERE


def place_of(frame: FrameType | None, plugins: Mapping[str, str]) -> Place:
    """The innermost frame that belongs to a plugin, else to the core, else the innermost of all.

    Only what runs on the loop counts, not what started the loop.
    """
    frames: list[tuple[str, Place]] = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "?")
        if module in _LOOP_MODULES:
            break
        plugin = plugin_of(module, plugins)
        frames.append((plugin, Place(plugin, f"{module}:{frame.f_lineno} {frame.f_code.co_name}")))
        frame = frame.f_back
    for wanted in (lambda name: name not in (CORE, UNKNOWN), lambda name: name == CORE, lambda name: True):
        for plugin, place in frames:
            if wanted(plugin):
                return place
    return NOWHERE


def plugin_of(module: str, plugins: Mapping[str, str]) -> str:
    """The plugin whose module this is or is inside of; ``core`` for our own, ``unknown`` for a library's."""
    name = module
    while name:
        if name in plugins:
            return plugins[name]
        name = name.rpartition(".")[0]
    return CORE if module.partition(".")[0] == "vtoc_bots" else UNKNOWN
