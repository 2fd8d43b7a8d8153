"""The contract that every connector passes: the same from a recording as live, patient with faults, never blocking."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from pydantic import BaseModel, ValidationError

from vtoc_bots.core.feeds.capture import DecodesDocuments
from vtoc_bots.core.loader import load
from vtoc_bots.core.ports import Connector, ConnectorSpec, Decoder, OpenContext
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.sources import decoder_maker
from vtoc_bots.core.telemetry import Rejected, TelemetryEvent
from vtoc_bots.testing.clock import NOON, VirtualClock
from vtoc_bots.testing.loop_watch import package_of, unblocked
from vtoc_bots.testing.sources import FakeSource, Recording

SLUG: Final = "tested"
PATIENCE_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 900.0
STEPS: Final = 12
STATES: Final = ("waiting", "fresh", "late", "silent", "finished", "failed")
GARBAGE: Final = (
    b"this is not a record of anything\n" * 5,
    b"\xff\xfe\x00" * 50,
    b"," * 500 + b"\n",
    b"{\n[[[[" * 20,
    b"9" * 70_000 + b"\n",
    random.Random(7).randbytes(20_000),
)


class ConnectorStage:
    """A connector at work: what it yields is taken by a task of its own."""

    def __init__(self, spec: ConnectorSpec, source: FakeSource, folder: Path) -> None:
        self.spec, self.source, self._folder = spec, source, folder
        self.clock = VirtualClock()
        self.events: list[TelemetryEvent] = []
        self.taking = asyncio.Event()
        """While it is not set, nothing is taken."""
        self.taking.set()
        self._http: aiohttp.ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._connector: Connector | None = None

    @property
    def connector(self) -> Connector:
        """The one that was opened."""
        assert self._connector is not None, "nothing was opened"
        return self._connector

    @property
    def stats(self) -> Mapping[str, Any]:
        """What it counts."""
        return self.connector.stats()

    @property
    def state(self) -> str | None:
        """How it says it is; None where it does not say."""
        state = getattr(self.connector, "state", None)
        return None if state is None else str(state())

    @property
    def settled(self) -> int:
        """Records that were read."""
        return int(self.stats.get("read", 0))

    async def open(self, at: datetime = NOON) -> None:
        """Open it live at that time, and begin to take its events."""
        self.clock = VirtualClock(at)
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        self._connector = self.spec.open(self.spec.settings.model_validate(self.source.settings), self.context())
        self._task = asyncio.create_task(self._take(self._connector))
        if self.source.reads_from_the_end:
            await self.until(lambda: self.clock.slept, "it did not look at its file and wait", 0.0)

    def context(self) -> OpenContext:
        """What core gives it."""
        return OpenContext(
            slug=SLUG,
            clock=self.clock,
            data_dir=self._folder,
            station_position=(48.35, 11.78),
            http=lambda: self._session(),
            decoder=_decoders(self.spec, self._folder),
            mode="online",
        )

    async def close(self) -> None:
        """End it; it must end at once."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
            assert done, "events() did not end when it was cancelled"
            if not task.cancelled() and task.exception() is not None:
                task.result()
        if self._http is not None:
            await self._http.close()

    async def until(self, condition: Callable[[], object], what: str, step_seconds: float = 0.25) -> None:
        """Wait until the condition holds, stepping the clock meanwhile; fails after ten real seconds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if self._task is not None and self._task.done():
                self._task.result()
                raise AssertionError("events() ended by itself")
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}"
            await asyncio.sleep(0.005)
            self.clock.advance(step_seconds)

    async def _take(self, connector: Connector) -> None:
        async for event in connector.events():
            self.events.append(event)
            await self.taking.wait()

    def _session(self) -> aiohttp.ClientSession:
        assert self._http is not None
        return self._http


class ConnectorContract:
    """Subclass it in your tests and override `spec`, `source` and `recordings`:

        class TestBuoys(ConnectorContract):
            @pytest.fixture
            def spec(self) -> ConnectorSpec:
                return vtoc_bots_buoys.connector_spec()
            …

    `recordings` is empty only for a type that reads no bytes.
    """

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def spec(self) -> ConnectorSpec:
        """The connector type; override it."""
        raise NotImplementedError(f"{type(self).__name__} overrides the fixture `spec`")

    @pytest.fixture
    def source(self, tmp_path: Path) -> FakeSource:
        """What a live connector reads; override it."""
        raise NotImplementedError(f"{type(self).__name__} overrides the fixture `source`")

    @pytest.fixture
    def recordings(self) -> Sequence[Recording]:
        """What it can decode; override it."""
        raise NotImplementedError(f"{type(self).__name__} overrides the fixture `recordings`")

    @pytest_asyncio.fixture
    async def stage(self, spec: ConnectorSpec, source: FakeSource, tmp_path: Path) -> AsyncIterator[ConnectorStage]:
        """The connector between a stand-in for its source and a consumer."""
        await source.start()
        stage = ConnectorStage(spec, source, tmp_path)
        try:
            yield stage
        finally:
            try:
                await stage.close()
            finally:
                await source.stop()

    async def test_every_setting_is_described_and_no_other_is_taken(self, spec: ConnectorSpec) -> None:
        """A key that is misspelt in connectors.yml is told, not ignored."""
        assert spec.description
        assert issubclass(spec.settings, BaseModel)
        bare = [name for name, field in spec.settings.model_fields.items() if not field.description]
        assert bare == [], "these settings have no description"
        with pytest.raises(ValidationError, match="no_such_key"):
            spec.settings.model_validate({"no_such_key": 1})

    async def test_a_recording_gives_the_same_events_wherever_it_is_cut(
        self, spec: ConnectorSpec, recordings: Sequence[Recording]
    ) -> None:
        """A decoder keeps the beginning of a record until its end has come."""
        for recording in _some(recordings):
            whole = replayed(spec, recording)
            assert any(isinstance(result, TelemetryEvent) for result in whole), f"{recording.name} has no event"
            if isinstance(decoder_of(spec, recording), DecodesDocuments):
                continue
            for size in (1, 7, 1000):
                assert replayed(spec, recording, size) == whole, f"{recording.name} in pieces of {size} bytes"

    async def test_events_are_whole_and_in_their_units(
        self, spec: ConnectorSpec, recordings: Sequence[Recording]
    ) -> None:
        """Identifiers in lower case, aware times, degrees and SI, of the source and type that they come from."""
        for recording in _some(recordings):
            for event in replayed(spec, recording):
                if isinstance(event, TelemetryEvent):
                    check_event(event)
                    assert event.source_type == spec.type

    async def test_garbage_is_counted_and_never_raised(
        self, spec: ConnectorSpec, recordings: Sequence[Recording]
    ) -> None:
        """Also a recording that breaks off, or whose bytes were changed."""
        made, rejected = random.Random(11), 0
        for recording in _some(recordings):
            torn = recording.data[: max(1, len(recording.data) * 2 // 3 - 1)]
            changed = bytearray(recording.data)
            for _ in range(min(200, len(changed))):
                changed[made.randrange(len(changed))] = made.randrange(256)
            for data in (*GARBAGE, torn, bytes(changed)):
                decoder = decoder_of(spec, recording)
                results = [*decoder.feed(data, NOON), *decoder.finish()]
                assert all(isinstance(result, TelemetryEvent | Rejected) for result in results)
                reasons = [result.reason for result in results if isinstance(result, Rejected)]
                assert all(0 < len(reason) < 40 for reason in reasons), "a reason is a short word to count by"
                rejected += len(reasons)
        assert rejected, "nothing of all that garbage was rejected"

    async def test_live_is_the_same_as_a_recording(
        self, stage: ConnectorStage, recordings: Sequence[Recording]
    ) -> None:
        """The same records are read, the same entities seen, at the same places."""
        recording = _some(recordings)[0]
        await stage.open(recording.at)
        await stage.source.sends(recording.data)
        wanted = events_in(replayed(stage.spec, recording))
        entities = {(event.entity_namespace, event.entity_id) for event in wanted}
        await stage.until(
            lambda: entities <= {(event.entity_namespace, event.entity_id) for event in stage.events},
            f"entities of {recording.name} were not seen live: {stage.stats}",
            step_seconds=0.02,
        )
        places = {(event.entity_id, event.latitude, event.longitude) for event in wanted}
        assert {(event.entity_id, event.latitude, event.longitude) for event in stage.events} <= places
        assert {event.source.partition("-")[0] for event in stage.events} == {SLUG}

    async def test_live_events_are_whole_and_it_says_how_it_is(
        self, stage: ConnectorStage, recordings: Sequence[Recording]
    ) -> None:
        """Waiting, fresh, and silent once nothing has come for a day; counters say what was read."""
        await self._flowing(stage, recordings)
        for event in stage.events:
            check_event(event)
        assert {"read", "decoded", "rejected", "last_event_at"} <= stage.stats.keys()
        assert stage.stats["read"] == stage.stats["decoded"] + sum(stage.stats["rejected"].values())
        assert stage.stats["last_event_at"] is not None
        if stage.state is not None:
            assert stage.state == "fresh"
            stage.taking.clear()
            stage.clock._seconds += timedelta(days=1).total_seconds()  # nobody wakes: it is only looked at
            assert stage.state == "silent"

    async def test_garbage_does_not_end_a_live_source(
        self, stage: ConnectorStage, recordings: Sequence[Recording]
    ) -> None:
        """What comes after it is read."""
        recording = _some(recordings)[0]
        await stage.open(recording.at)
        await stage.source.sends(GARBAGE[0])
        await stage.until(lambda: stage.settled > 0, "the garbage was not counted", 0.02)
        await stage.source.sends(recording.data)
        await stage.until(lambda: stage.events, f"no event after garbage: {stage.stats}", 0.02)

    async def test_it_connects_again_after_pauses_of_the_injected_clock(
        self, stage: ConnectorStage, recordings: Sequence[Recording]
    ) -> None:
        """They grow, and have an end."""
        if not stage.source.can_break:
            pytest.skip("there is no connection to break")
        await self._flowing(stage, recordings)
        slept = len(stage.clock.slept)
        await stage.source.breaks()
        await stage.until(lambda: stage.stats.get("reconnects", 0) >= STEPS, f"it gave up: {stage.stats}", 5.0)
        pauses = [pause for pause in stage.clock.slept[slept:] if pause > 0]
        assert pauses, "it did not pause, or not by the clock that it was given"
        assert max(pauses) <= LONGEST_PAUSE_SECONDS
        assert max(pauses) > min(pauses), "its pauses do not grow"
        await stage.source.mends()
        resume = asyncio.create_task(stage.source.sends(_some(recordings)[0].data))
        await stage.until(lambda: stage.stats.get("connected"), f"it did not connect again: {stage.stats}", 5.0)
        await resume

    async def test_a_slow_consumer_does_not_stop_the_source(
        self, stage: ConnectorStage, recordings: Sequence[Recording]
    ) -> None:
        """What waits is bounded; what is displaced is counted."""
        if not recordings:
            pytest.skip("it reads no bytes")
        await self._flowing(stage, recordings)
        stage.taking.clear()
        taken, read = len(stage.events), stage.settled
        for _ in range(20):
            await stage.source.sends(recordings[0].data)
        await stage.until(lambda: stage.settled > read, "nothing more was read", 0.02)
        assert len(stage.events) <= taken + 1
        assert {"dropped", "conflated"} & stage.stats.keys(), "losses are not counted"

    async def test_nothing_holds_up_the_loop(self, stage: ConnectorStage, recordings: Sequence[Recording]) -> None:
        """What computes for long gives way, or is done elsewhere."""
        module = getattr(stage.spec.open, "__module__", None) or type(stage.spec.open).__module__
        module = getattr(getattr(stage.spec.open, "func", stage.spec.open), "__module__", module)
        async with unblocked(package_of(module)):
            await self._flowing(stage, recordings)

    async def _flowing(self, stage: ConnectorStage, recordings: Sequence[Recording]) -> None:
        """Open it and wait for its first events."""
        at = recordings[0].at if recordings else NOON
        await stage.open(at)
        if recordings:
            await stage.source.sends(recordings[0].data)
        await stage.until(lambda: stage.events, f"no event came: {stage.stats}", 0.1)


def decoder_of(spec: ConnectorSpec, recording: Recording) -> Decoder:
    """A fresh decoder for a recording."""
    assert spec.decoder is not None, f"{spec.type} has no decoder, so its recordings can't be replayed"
    return spec.decoder(
        format=recording.format,
        head=recording.data[:4096],
        name=recording.name,
        position=recording.position,
        source=SLUG,
    )


def replayed(spec: ConnectorSpec, recording: Recording, size: int | None = None) -> list[TelemetryEvent | Rejected]:
    """Everything that a fresh decoder makes of a recording, fed whole or in pieces of so many bytes."""
    decoder, data = decoder_of(spec, recording), recording.data
    size = size or len(data)
    results = [each for at in range(0, len(data), size) for each in decoder.feed(data[at : at + size], recording.at)]
    return [*results, *decoder.finish()]


def events_in(results: Sequence[TelemetryEvent | Rejected]) -> list[TelemetryEvent]:
    """The events among a decoder's results."""
    return [result for result in results if isinstance(result, TelemetryEvent)]


def check_event(event: TelemetryEvent) -> None:
    """Fails where an event breaks a rule that all of them keep."""
    assert type(event) is TelemetryEvent, "events are TelemetryEvents, which nobody can change"
    assert event.entity_id, "it names no entity"
    assert event.entity_id == event.entity_id.lower(), f"{event.entity_id} is not in lower case"
    assert event.entity_namespace
    assert event.source.partition("-")[0] == SLUG, f"its source is {event.source!r}"
    assert all(at is None or at.tzinfo is not None for at in (event.event_time, event.received_at, event.stale_at))
    assert (event.latitude is None) == (event.longitude is None)
    assert event.latitude is None or -90 <= event.latitude <= 90
    assert event.longitude is None or -180 <= event.longitude <= 180
    assert event.heading_deg is None or 0 <= event.heading_deg <= 360
    assert event.speed_mps is None or 0 <= event.speed_mps < 20_000
    assert event.altitude_datum in (None, "baro", "geom")
    assert (event.altitude_m is None) or event.altitude_datum is not None, "an altitude without its datum"


def _some(recordings: Sequence[Recording]) -> Sequence[Recording]:
    if not recordings:
        pytest.skip("it reads no bytes")
    return recordings


def _decoders(spec: ConnectorSpec, folder: Path) -> Callable[..., Decoder]:
    """Decoders of every installed type and of the tested one."""
    settings = load_settings(folder / "config", folder / "data", environ={})
    specs = {each.type: each for each in load(settings).connectors}
    make: Callable[..., Decoder] = decoder_maker({**specs, spec.type: spec})
    return make


@asynccontextmanager
async def opened(spec: ConnectorSpec, source: FakeSource, folder: Path) -> AsyncIterator[ConnectorStage]:
    """A connector at work for the length of the block, for tests of one's own."""
    await source.start()
    stage = ConnectorStage(spec, source, folder)
    try:
        await stage.open()
        yield stage
    finally:
        await stage.close()
        await source.stop()
