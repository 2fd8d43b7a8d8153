"""An exercise: simulated receivers whose bytes go through the real decoders."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from vtoc_bots import DecodeCounts, Decoder, OpenContext, TelemetryEvent, Thresholds, staleness
from vtoc_bots.plugins.connectors.exercise.receivers import FORMATS, TRANSMISSIONS, Transmission
from vtoc_bots.plugins.connectors.exercise.scenario import DEFAULT_SCENARIO, Player, load_scenario, players_of
from vtoc_bots.plugins.connectors.exercise.settings import ExerciseSettings

_GROUP = 100


class _Station(NamedTuple):
    """One simulated receiver: a source of its own."""

    source: str
    groups: list[list[Player]]
    """Who it sees, in groups that are encoded and decoded in one go."""
    transmit: Transmission
    decoder: Decoder
    counts: DecodeCounts


class ExerciseConnector:
    """Plays a scenario live, a tick every `interval_seconds`, as sources ``<slug>-sbs``, ``-beast`` and ``-json``.

    Their events have the decoders' type (adsb) and `exercise` True. Raises ConfigError when the scenario is wrong.
    """

    def __init__(self, settings: ExerciseSettings, context: OpenContext) -> None:
        scenario = load_scenario(settings.scenario or DEFAULT_SCENARIO)
        centre = settings.position or context.station_position or scenario.position
        players = players_of(scenario, centre, settings.seed)
        self._clock, self._interval = context.clock, settings.interval_seconds
        self._last_event_at: datetime | None = None
        self._stations = []
        for receiver in dict.fromkeys(settings.play):
            source = f"{context.slug}-{receiver}"
            decoder = context.decoder(type="adsb", format=FORMATS[receiver], source=source, position=centre)
            seen = [player for player in players if receiver in player.seen_by]
            groups = [seen[start : start + _GROUP] for start in range(0, len(seen), _GROUP)]
            self._stations.append(_Station(source, groups, TRANSMISSIONS[receiver], decoder, DecodeCounts()))

    async def events(self) -> AsyncIterator[TelemetryEvent]:
        """Events of every tick until cancelled. After a pause it goes on with the present tick."""
        first = math.ceil(self._clock.now().timestamp() / self._interval)
        number = first
        while True:
            wait = number * self._interval - self._clock.now().timestamp()
            if wait > 0:
                await self._clock.sleep(wait)
            at = datetime.fromtimestamp(number * self._interval, UTC)
            self._last_event_at = at
            for station in self._stations:
                for some in station.groups:
                    for event in _played(station, some, at, number - first):
                        yield event
                    # A large exercise must not hold up the rest of the process.
                    await asyncio.sleep(0)
            number = max(number + 1, math.floor(self._clock.now().timestamp() / self._interval))

    def stats(self) -> Mapping[str, Any]:
        """Counters of all its sources together, and of each."""
        each = {station.source: station.counts.as_dict() for station in self._stations}
        rejected = sum((station.counts.rejected for station in self._stations), start=DecodeCounts().rejected)
        return {
            "read": sum(station.counts.read for station in self._stations),
            "decoded": sum(station.counts.decoded for station in self._stations),
            "rejected": dict(rejected),
            "connected": True,
            "last_event_at": self._last_event_at,
            "sources": each,
        }

    def state(self) -> str:
        """waiting, fresh, late or silent."""
        return staleness(self._last_event_at, self._clock.now(), Thresholds())


def _played(station: _Station, players: list[Player], at: datetime, tick: int) -> list[TelemetryEvent]:
    """What the station's decoder makes of what these players send in one tick."""
    results = station.decoder.feed(station.transmit(players, at, tick), at)
    return [event._replace(exercise=True) for event in station.counts.take(results)]
