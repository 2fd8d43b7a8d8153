"""The built-in actions pass the contract of actions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
import pytest_asyncio

from vtoc_bots import ActionSpec, Card, EventSet, Picture, TelemetryEvent, TrackSet, store_events
from vtoc_bots.plugins.ops import actions as ops
from vtoc_bots.plugins.ops import cards
from vtoc_bots.plugins.pictures.actions import map_actions
from vtoc_bots.testing import ActionContract, ActionStage, Example


def reported(stage: ActionStage) -> list[TelemetryEvent]:
    """A few reports around the station, some without a position."""
    noon = stage.clock.now()
    return [
        TelemetryEvent(
            f"4b{number:04x}",
            "icao",
            "roof",
            "adsb",
            event_time=noon + timedelta(seconds=number),
            latitude=48.0 + number / 100 if number % 5 else None,
            longitude=11.5 if number % 5 else None,
            speed_mps=200.0,
            heading_deg=90.0,
        )
        for number in range(40)
    ]


class TestCollect(ActionContract):
    @pytest.fixture
    def spec(self) -> ActionSpec:
        return ops.collect

    @pytest.fixture
    def stage(self) -> ActionStage:
        stage = ActionStage()
        stage.services.telemetry.events = reported(stage)
        return stage

    @pytest.fixture
    def examples(self) -> Sequence[Example]:
        return [
            Example({"types": ["adsb"]}, lambda events: isinstance(events, EventSet) and events.count == 40),
            Example({"types": ["ais"], "window": "5m"}, lambda events: events.count == 0),
            Example({"types": ["adsb"], "area": "48.1,11.5,2nm"}, lambda events: 0 < events.count < 40),
        ]


class TestMerge(ActionContract):
    @pytest.fixture
    def spec(self) -> ActionSpec:
        return ops.merge

    @pytest_asyncio.fixture
    async def examples(self, stage: ActionStage) -> Sequence[Example]:
        events = await store_events(stage.blobs, reported(stage), stage.clock.now())
        return [Example({"reports": events.model_dump(mode="json")}, lambda tracks: isinstance(tracks, TrackSet))]


class TestAirtrackCard(ActionContract):
    @pytest.fixture
    def spec(self) -> ActionSpec:
        return cards.airtrack_card

    @pytest_asyncio.fixture
    async def examples(self, stage: ActionStage) -> Sequence[Example]:
        events = await store_events(stage.blobs, reported(stage), stage.clock.now())
        tracks = await ops.merge.call(stage, reports=events)
        given = {"tracks": tracks.model_dump(mode="json"), "reports": events.model_dump(mode="json")}
        return [Example(given, lambda card: isinstance(card, Card) and "roof" in card.model_dump_json())]


class TestMap(ActionContract):
    @pytest.fixture
    def spec(self) -> ActionSpec:
        [spec] = map_actions()
        return spec

    @pytest_asyncio.fixture
    async def examples(self, stage: ActionStage) -> Sequence[Example]:
        events = await store_events(stage.blobs, reported(stage), stage.clock.now())
        tracks = await ops.merge.call(stage, reports=events)
        return [Example({"tracks": tracks.model_dump(mode="json")}, lambda drawn: isinstance(drawn, Picture))]
