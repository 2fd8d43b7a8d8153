"""Calls the function of a custom source, and checks what it gives."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from vtoc_bots import (
    ActionError,
    Card,
    Clock,
    ConfigError,
    OpenContext,
    SourceCall,
    Station,
    TelemetryEvent,
    Thresholds,
    Verb,
    staleness,
)
from vtoc_bots.plugins.connectors.custom.settings import CustomSettings

MOST_EVENTS: Final = 100_000
"""Of one collection that is called for; a live one may go on for ever."""


@dataclass(frozen=True, slots=True)
class CustomContext:
    """What the function is given, as its only argument."""

    verb: Verb
    prompt: str
    """What a person wrote; empty where the source is read by itself."""
    options: Mapping[str, Any]
    source: str
    """The slug of the source."""
    station: Station | None
    """None where the source is read by itself."""
    station_position: tuple[float, float] | None
    """(latitude, longitude) in degrees."""
    clock: Clock
    http: Callable[[], aiohttp.ClientSession]
    """The process's shared HTTP session."""
    data_dir: Path
    idempotency_key: str
    """The same for every attempt of a step; empty where the source is read by itself."""


class CustomConnector:
    """One custom source. Raises ConfigError where its function can't be used."""

    def __init__(self, settings: CustomSettings, context: OpenContext) -> None:
        self._settings, self._context = settings, context
        self._function = function_of(settings.module, context.slug)
        self._collected = 0
        self._last_event_at: datetime | None = None

    async def events(self) -> AsyncIterator[TelemetryEvent]:
        """What the function collects, again and again until cancelled."""
        while True:
            async for event in self._collecting(SourceCall("collect")):
                yield event
            await self._context.clock.sleep(self._settings.interval_seconds)

    async def call(self, call: SourceCall) -> Any:
        """What the function gives. Raises ActionError where that is something else than it may be."""
        if call.verb == "collect":
            events: list[TelemetryEvent] = []
            async for event in self._collecting(call):
                events.append(event)
                if len(events) > MOST_EVENTS:
                    raise ActionError(f"{self._name} gave more than {MOST_EVENTS:,} events; let it collect less")
            return events
        given = self._function(self._given(call))
        if not inspect.isawaitable(given):
            raise ActionError(f"{self._name} yields events, so it can only collect; {call.verb} needs a plain answer")
        said = await given
        if said is None or isinstance(said, str | Mapping | Card):
            return said
        raise ActionError(f"{self._name} gave {_kind(said)} for {call.verb}; it must be a text, a mapping or a Card")

    def stats(self) -> Mapping[str, Any]:
        """Counters."""
        return {
            "read": self._collected,
            "decoded": self._collected,
            "rejected": {},
            "connected": True,
            "last_event_at": self._last_event_at,
        }

    def state(self) -> str:
        """waiting, fresh, late or silent, by how often it collects."""
        interval = self._settings.interval_seconds
        return staleness(
            self._last_event_at, self._context.clock.now(), Thresholds(2 * interval + 30, 10 * interval + 60)
        )

    @property
    def _name(self) -> str:
        return f"custom source {self._context.slug}: {self._settings.module}"

    async def _collecting(self, call: SourceCall) -> AsyncIterator[TelemetryEvent]:
        """The events of one collection: what the function yields, or the list that it returns."""
        given = self._function(self._given(call))
        if inspect.isawaitable(given):
            listed = await given
            for event in () if listed is None else self._list(listed):
                yield self._event(event)
            return
        async for event in given:
            yield self._event(event)

    def _list(self, listed: Any) -> list[Any]:
        if isinstance(listed, list | tuple) and not isinstance(listed, TelemetryEvent):
            return list(listed)
        raise ActionError(f"{self._name} gave {_kind(listed)}; collect must give a list of TelemetryEvents")

    def _event(self, event: Any) -> TelemetryEvent:
        if not isinstance(event, TelemetryEvent):
            raise ActionError(f"{self._name} gave {_kind(event)} among its events; each must be a TelemetryEvent")
        now = self._context.clock.now()
        self._collected, self._last_event_at = self._collected + 1, now
        return event._replace(source=self._context.slug, received_at=event.received_at or now)

    def _given(self, call: SourceCall) -> CustomContext:
        context = self._context
        return CustomContext(
            verb=call.verb,
            prompt=call.prompt,
            options=self._settings.options,
            source=context.slug,
            station=call.station,
            station_position=context.station_position,
            clock=context.clock,
            http=context.http,
            data_dir=context.data_dir,
            idempotency_key=call.idempotency_key,
        )


def function_of(module: str, slug: str) -> Callable[[CustomContext], Any]:
    """The function that ``package.mod:callable`` names. Raises ConfigError with what to do."""
    name, _, attribute = module.partition(":")
    where = f"sources.{slug}"
    try:
        found = getattr(importlib.import_module(name), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"module {module} is of no use: {error}. Install its package beside vtoc-bots", where
        ) from error
    if not (inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found)):
        raise ConfigError(f"{module} is no asynchronous function; write it as `async def {attribute}(context)`", where)
    function: Callable[[CustomContext], Any] = found
    return function


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
