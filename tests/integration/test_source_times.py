"""Sources read at their times and told in summaries; aircraft that squawk an emergency are an alert."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from vtoc_bots import TelemetryEvent
from vtoc_bots.core import sources as sources_module
from vtoc_bots.core.runtime import Duties
from vtoc_bots.core.source_schedule import due_after, next_read
from vtoc_bots.testing import OpensWorld, World
from vtoc_bots.testing.clock import NOON

SOURCES = Duties(web=False, sources=True)
TIMED = """
sources:
  boats: {type: custom, module: "tests.custom_sources:patient", schedule: "*/10 * * * *", broadcast: true}
"""

SBS = "MSG,3,1,1,ICAO,1,2026/01/01,12:00:00.000,2026/01/01,12:00:00.000,EIN1A,10000,,,43.6,1.4,,,0,0,0,0\n"


async def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    async with world.store.session(await world.process.runtime.people.station("toc-s1")) as session:
        return [tuple(row.values()) for row in await session.fetch(sql)]


async def becomes(world: World, sql: str, count: int) -> list[tuple[Any, ...]]:
    """The rows of a query once there are so many."""
    found: list[tuple[Any, ...]] = []

    async def there() -> bool:
        found[:] = await rows(world, sql)
        return len(found) >= count

    await world.until(there, lambda: f"{count} rows of {sql}: {found}")
    return found


BOATS = "SELECT entity_id FROM ops.telemetry_events WHERE entity_namespace = 'harbour' ORDER BY event_time"
SUMMARIES = "SELECT card FROM vtoc_engine.outbox WHERE conversation = 'chatkit:own:toc-s1:channel' ORDER BY seq"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("now", None),
        ("30s", NOON + timedelta(seconds=30)),
        ("15m", NOON + timedelta(minutes=15)),
        ("2h", NOON + timedelta(hours=2)),
        ("1d", NOON + timedelta(days=1)),
        ("*/5 * * * *", NOON + timedelta(minutes=5)),
        ("0 14 * * *", NOON + timedelta(hours=1)),
    ],
)
def test_a_schedule_is_read_in_the_stations_time(schedule: str, expected: object) -> None:
    assert next_read(schedule, "Europe/Paris", NOON) == expected


@pytest.mark.parametrize(
    ("schedule", "last", "expected"),
    [
        ("*/5 * * * *", 0, 5),  # nothing was missed
        ("*/5 * * * *", -6, 0),  # one was, and this one is due
        ("*/5 * * * *", -60, 0),  # of many the latest
        ("7 * * * *", -54, 7),
        ("50 * * * *", -20, -10),  # ten minutes late
        ("40 * * * *", -30, 40),  # twenty are too late
        ("15m", -10, 5),
        ("15m", -20, 0),
        ("1d", -3000, 0),
        ("now", -3000, None),
    ],
)
def test_what_was_missed_is_made_up_for_once(schedule: str, last: int, expected: int | None) -> None:
    due = due_after(schedule, "UTC", NOON + timedelta(minutes=last), NOON)
    assert due == (None if expected is None else NOON + timedelta(minutes=expected))


async def test_a_source_collects_at_its_times_and_the_stations_thread_is_told_of_it(open_world: OpensWorld) -> None:
    world = await open_world(config={"connectors.yml": TIMED}, duties=SOURCES)

    async def told(count: int) -> bool:
        return len(await world.store.fetch(SUMMARIES)) == count

    await world.until(lambda: held(world), "the source is held")
    assert await rows(world, BOATS) == []
    await world.advance(minutes=10)
    await becomes(world, BOATS, 1)
    await world.until(lambda: told(1), "a summary")
    await world.advance(minutes=10)
    boats = [row[0] for row in await becomes(world, BOATS, 2)]
    assert [int(name[3:]) % 10 for name in boats] == [0, 0], "the minutes of the times that it was read for"
    assert len(set(boats)) == 2

    await world.until(lambda: told(2), "two summaries")
    cards = [row["card"] for row in await world.store.fetch(SUMMARIES)]
    assert [card["title"] for card in cards] == ["boats (custom)"] * 2
    assert cards[0]["blocks"][0]["fields"][0] == {"name": "reports", "value": "1"}
    threads = "SELECT purpose FROM vtoc_engine.threads WHERE channel = 'toc-s1'"
    assert [row["purpose"] for row in await world.store.fetch(threads)] == ["channel"], "in the station's own thread"


async def test_a_time_that_came_while_nobody_was_there_is_kept_and_none_is_kept_twice(open_world: OpensWorld) -> None:
    world = await open_world(config={"connectors.yml": TIMED}, duties=SOURCES)
    await world.until(lambda: held(world), "the source is held")
    await world.advance(minutes=10)
    (first,) = await becomes(world, BOATS, 1)
    await becomes(world, "SELECT 1 FROM ops.telemetry_sources WHERE configuration ? 'read_for'", 1)
    await world.crash()
    world.clock.advance(605)
    await world.start(SOURCES)
    await world.until(lambda: held(world), "the source is held")
    found = await becomes(world, BOATS, 2)
    assert len({name for (name,) in found}) == 2, "the time that was missed, and not the one before again"
    assert found[0] == first


async def test_a_source_with_the_schedule_now_collects_once_when_it_starts(open_world: OpensWorld) -> None:
    world = await open_world(config={"connectors.yml": TIMED.replace('"*/10 * * * *"', "now")}, duties=SOURCES)
    await becomes(world, BOATS, 1)
    await world.advance(hours=1)
    assert len(await rows(world, BOATS)) == 1


async def test_a_source_that_fails_at_its_time_says_so_and_goes_on(open_world: OpensWorld) -> None:
    config = TIMED.replace(":patient", ":failing").replace('"*/10 * * * *"', "5m")
    world = await open_world(config={"connectors.yml": config}, duties=SOURCES)
    await world.until(lambda: held(world), "the source is held")
    station = await world.process.runtime.people.station("toc-s1")
    for _ in range(2):
        await world.advance(minutes=5)

        async def failed() -> bool:
            return world.process.runtime.sources.states()["boats"][0] == "failed"

        await world.until(failed, "it failed")
    assert [state.slug for state in await world.process.runtime.sources.sources(station)] == ["boats"]


async def test_a_capture_with_a_schedule_is_replayed_at_its_times_if_its_content_is_new(
    open_world: OpensWorld, tmp_path: Path
) -> None:
    capture = tmp_path / "capture.sbs"
    capture.write_text(SBS.replace("ICAO", "4CA1B2"))
    entry = f"{{type: adsb, mode: offline, url: '{capture.as_uri()}', schedule: 10m}}"
    world = await open_world(config={"connectors.yml": f"sources: {{tape: {entry}}}"}, duties=SOURCES)
    seen = "SELECT entity_id FROM ops.telemetry_latest ORDER BY 1"
    assert await becomes(world, seen, 1) == [("4ca1b2",)], "nobody asked for it"
    capture.write_text(SBS.replace("ICAO", "4CA1B3"))
    await world.advance(minutes=10)

    async def replayed() -> bool:
        return await rows(world, seen) == [("4ca1b3",)]

    await world.until(replayed, "the new content")


async def test_an_emergency_squawk_is_one_alert_however_many_report_it(open_world: OpensWorld) -> None:
    world = await open_world()
    runtime = world.process.runtime
    station = await runtime.people.station("toc-s1")
    now = world.clock.now()
    mayday = TelemetryEvent("4ca1b2", "icao", "roof", "adsb", event_time=now, squawk="7700", callsign="EIN1A")
    old = mayday._replace(entity_id="4ca1b3", event_time=now - timedelta(hours=1))
    calm = mayday._replace(entity_id="4ca1b4", squawk="7000")
    for source in ("roof", "hill"):
        look = runtime.sources.emergencies.look
        await look(station, [mayday._replace(source=source), old, calm], now)
    fresh = (await world.start()).runtime.sources.emergencies
    await fresh.look(station, [mayday], now)
    await fresh.look(station, [mayday], now + timedelta(hours=11))
    ada = await world.person("ada", "operator")
    assert "EIN1A squawks 7700: emergency" in (await ada.asks("/alerts")).text
    assert [row[0] for row in await rows(world, "SELECT title FROM ops.alerts")] == ["EIN1A squawks 7700: emergency"]
    await fresh.look(station, [mayday._replace(entity_id="ae0001", callsign="EXR77", exercise=True)], now)
    assert "EXERCISE: EXR77 squawks 7700: emergency" in (await ada.asks("/alerts")).text, "nobody sets out for it"


async def test_an_emergency_after_half_a_day_is_another_one_also_on_the_same_day(open_world: OpensWorld) -> None:
    world = await open_world()
    sources = world.process.runtime.sources
    station = await world.process.runtime.people.station("toc-s1")
    night = world.clock.now().replace(hour=0, minute=30)
    mayday = TelemetryEvent("4ca1b2", "icao", "roof", "adsb", squawk="7700", callsign="EIN1A")
    for after in (0, 11, 12.5, 20):
        now = night + timedelta(hours=after)
        if after == 12.5:  # the database has a clock of its own
            async with world.store.session(station) as session:
                await session.execute("UPDATE ops.alerts SET raised_at = raised_at - interval '12.5 hours'")
        await sources.emergencies.look(station, [mayday._replace(event_time=now)], now)
    assert len(await rows(world, "SELECT 1 FROM ops.alerts")) == 2


async def test_a_capture_that_takes_too_long_stops_no_other_source(
    open_world: OpensWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "REPLAY_SECONDS", 0.0)
    capture = tmp_path / "capture.sbs"
    capture.write_text(SBS.replace("ICAO", "4CA1B2"))
    tape = f"{{type: adsb, mode: offline, url: '{capture.as_uri()}', schedule: 10m}}"
    with capture_logs() as lines:
        world = await open_world(config={"connectors.yml": TIMED.rstrip() + f"\n  tape: {tape}\n"}, duties=SOURCES)
        await world.until(lambda: held(world), "the source is held")

        async def failed() -> bool:
            return any(line["event"] == "source_failed" and line["source"] == "tape" for line in lines)

        await world.until(failed, "it took too long")
        await world.advance(minutes=10)
        await becomes(world, BOATS, 1)
    assert not [line for line in lines if line["event"] == "part_failed"]


async def test_what_a_source_reports_of_an_emergency_is_an_alert(open_world: OpensWorld) -> None:
    entry = '{type: custom, module: "tests.custom_sources:distress", interval_seconds: 0.2}'
    world = await open_world(config={"connectors.yml": f"sources: {{roof: {entry}}}"}, duties=SOURCES)
    (title,) = (await becomes(world, "SELECT title FROM ops.alerts", 1))[0]
    assert title == "harbour b-9 squawks 7700: emergency"
    told = "SELECT conversation FROM vtoc_engine.outbox WHERE key LIKE 'alert:%'"

    async def sent() -> bool:
        return bool(await world.store.fetchval(told))

    await world.until(sent, "it is told")
    assert await world.store.fetchval(told) == "chatkit:own:toc-s1"


async def held(world: World) -> bool:
    """Whether some process reads the source, and waits for its time."""
    sql = (
        "SELECT count(*) FROM vtoc_engine.leases WHERE name = 'source:toc-s1:boats' AND detail ->> 'state' IS NOT NULL"
    )
    return bool(await world.store.fetchval(sql)) and "boats" in world.process.runtime.sources.states()
