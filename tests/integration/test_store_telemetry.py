"""Telemetry's rows through a station's session."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.schema_kit import as_superuser, station
from vtoc_bots.core.access import Station
from vtoc_bots.core.store import telemetry
from vtoc_bots.core.store.partitions import keep_partitions
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import ROLES
from vtoc_bots.core.telemetry import TelemetryEvent

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
# Hypothesis wants its limits without a zone.
EARLIEST, LATEST = datetime(2016, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001
LONG_AGO, FAR_AHEAD = NOW - timedelta(days=9000), NOW + timedelta(days=9000)

numbers = st.none() | st.floats(-1e6, 1e6)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
times = st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))
events = st.builds(
    TelemetryEvent,
    entity_id=st.text("0123456789abcdef", min_size=1, max_size=6),
    entity_namespace=st.sampled_from(["icao", "mmsi"]),
    source=st.just("radar"),
    source_type=st.just("adsb"),
    event_time=times,
    received_at=st.none(),
    latitude=numbers,
    longitude=numbers,
    altitude_m=numbers,
    altitude_datum=st.none() | st.sampled_from(["baro", "geom"]),
    speed_mps=numbers,
    heading_deg=numbers,
    vertical_rate_mps=numbers,
    on_ground=st.none() | st.booleans(),
    callsign=texts,
    accuracy_m=numbers,
    position_kind=texts,
    squawk=texts,
    category=texts,
    stale_at=st.none() | times,
    exercise=st.booleans(),
    payload=st.dictionaries(st.text("abc", max_size=3), st.integers(-(2**53), 2**53) | texts, max_size=3),
)


def event(entity: str, at: datetime, **fields: Any) -> TelemetryEvent:
    """A report of an aircraft."""
    return TelemetryEvent(entity, "icao", "radar", "adsb", event_time=at, **fields)


async def source(store: Store, here: Station, slug: str = "radar", source_type: str = "adsb") -> UUID:
    """A source of the station."""
    async with store.session(here) as session:
        row = await telemetry.ensure_source(session, slug, source_type, "online", {"url": "file://x"})
        identity: UUID = row["id"]
        return identity


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(events, max_size=5))
async def test_an_event_comes_back_as_it_was(store: Store, written: list[TelemetryEvent]) -> None:
    here = station("ops")
    radar = await source(store, here)
    async with store.session(here) as session:
        await telemetry.add_events(session, radar, written)
        read = await telemetry.events_between(session, radar, LONG_AGO, FAR_AHEAD, 100)
    assert sorted(read, key=repr) == sorted((e._replace(payload=dict(e.payload)) for e in written), key=repr)


async def test_texts_that_postgres_refuses_are_cleaned(store: Store) -> None:
    here = station("intel")
    radar = await source(store, here)
    async with store.session(here) as session:
        await telemetry.add_events(session, radar, [event("a", NOW, callsign="AB\x00C", payload={"k": "\ud800\x00"})])
        (read,) = await telemetry.events_between(session, radar, LONG_AGO, FAR_AHEAD, 10)
    assert (read.callsign, read.payload) == ("ABC", {"k": "�"})


async def test_the_newest_state_of_an_entity_stays_whatever_comes_late(store: Store) -> None:
    here = station("logistics")
    radar = await source(store, here)
    async with store.session(here) as session:
        await telemetry.set_latest(session, radar, [event("a", NOW, latitude=1.0), event("b", NOW)])
        await telemetry.set_latest(session, radar, [event("a", NOW + timedelta(seconds=1), latitude=2.0)])
        await telemetry.set_latest(session, radar, [event("a", NOW, latitude=3.0)])
        states = {e.entity_id: e.latitude for e in await telemetry.latest_since(session, [radar], LONG_AGO)}
        assert states == {"a": 2.0, "b": None}
        await telemetry.forget_latest(session, radar, NOW + timedelta(seconds=1))
        assert [e.entity_id for e in await telemetry.latest_since(session, [radar], LONG_AGO)] == ["a"]


async def test_a_source_is_made_once_and_brought_up_to_date(store: Store) -> None:
    here = station("ops")
    first = await source(store, here)
    assert await source(store, here, source_type="ais") == first
    async with store.session(here) as session:
        await telemetry.note_ingested(session, first, {"digest": "abc"})
        await telemetry.set_latest(session, first, [event("a", NOW, exercise=True)])
        (row,) = await telemetry.all_sources(session)
    assert (row.slug, row.type, row.configuration) == ("radar", "ais", {"url": "file://x", "digest": "abc"})
    assert (row.newest, row.entities, row.exercise) == (NOW, 1, True)
    assert row.last_ingested_at is not None


async def test_stations_may_name_their_sources_alike(store: Store) -> None:
    one, other = station("ops"), station("ops", "toc-b")
    radars = [await source(store, one), await source(store, other)]
    assert radars[0] != radars[1]
    for here, radar in zip((one, other), radars, strict=True):
        async with store.session(here) as session:
            await telemetry.add_events(session, radar, [event(here.slug, NOW)])
            assert len(await telemetry.all_sources(session)) == 1
    async with store.session(one) as session:
        assert await telemetry.events_between(session, radars[1], LONG_AGO, FAR_AHEAD, 10) == []
        await telemetry.clear(session, radars[1])
    async with store.session(other) as session:
        assert [e.entity_id for e in await telemetry.events_between(session, radars[1], LONG_AGO, FAR_AHEAD, 10)] == [
            "toc-b"
        ]
        await telemetry.clear(session, radars[1])
        assert await telemetry.events_between(session, radars[1], LONG_AGO, FAR_AHEAD, 10) == []


async def test_partitions_of_every_role_are_kept_ahead_and_old_ones_dropped(store: Store) -> None:
    later = datetime.now(UTC) + timedelta(days=400)
    kept = await keep_partitions(store, later, keep_days=30)
    # Yesterday to a week ahead; and those that the migration made are old by then.
    assert kept.made == 9 * len(ROLES)
    assert kept.dropped == 9 * len(ROLES)
    assert await keep_partitions(store, later, keep_days=30) == (0, 0)
    here = replace(station("ops"), id=uuid4())
    radar = await source(store, here)
    async with store.session(here) as session:
        await telemetry.add_events(session, radar, [event("a", later)])
    raw = await as_superuser(store.urls)
    assert await raw.fetchval(f"SELECT count(*) FROM ops.telemetry_events_{later:%Y%m%d}") == 1
    await raw.close()
