"""The conflating queue."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adsb_kit import NOON
from vtoc_bots import ConflatingQueue, TelemetryEvent


def event(
    entity: str = "a", second: float | None = 0, *, latitude: float | None = None, **fields: object
) -> TelemetryEvent:
    at = None if second is None else NOON + timedelta(seconds=second)
    longitude = None if latitude is None else 0.0
    base = TelemetryEvent(entity, "icao", "tower", "adsb", at, latitude=latitude, longitude=longitude)
    return base._replace(**fields)  # type: ignore[arg-type]  # fields of the event


async def taken(queue: ConflatingQueue) -> list[TelemetryEvent]:
    queue.close()
    return [each async for each in queue]


async def test_events_come_out_in_the_order_of_their_entities() -> None:
    queue = ConflatingQueue()
    for entity in "bca":
        queue.put(event(entity))
    assert [each.entity_id for each in await taken(queue)] == ["b", "c", "a"]


async def test_a_newer_position_takes_the_place_of_the_waiting_one() -> None:
    queue = ConflatingQueue()
    queue.put(event("a", 0, latitude=1.0))
    queue.put(event("b", 0, latitude=5.0))
    queue.put(event("a", 1, latitude=2.0))
    assert [(each.entity_id, each.latitude) for each in await taken(queue)] == [("a", 2.0), ("b", 5.0)]
    assert (queue.conflated, queue.dropped) == (1, 0)


async def test_a_report_without_a_position_never_displaces_one_with_a_position() -> None:
    queue = ConflatingQueue()
    queue.put(event(second=0, latitude=1.0))
    queue.put(event(second=1, speed_mps=5.0))
    assert [(each.latitude, each.speed_mps) for each in await taken(queue)] == [(1.0, None), (None, 5.0)]
    assert queue.conflated == 0


async def test_what_the_newer_report_leaves_open_is_filled_in() -> None:
    queue = ConflatingQueue()
    queue.put(
        event(
            second=0,
            callsign="SWR40",
            squawk="2000",
            altitude_m=100.0,
            altitude_datum="baro",
            payload={"t": "A320", "r": "x"},
        )
    )
    queue.put(event(second=1, squawk="7700", payload={"r": "y"}))
    (merged,) = await taken(queue)
    assert (merged.callsign, merged.squawk, merged.altitude_m, merged.altitude_datum) == (
        "SWR40",
        "7700",
        100.0,
        "baro",
    )
    assert merged.event_time == NOON + timedelta(seconds=1)
    assert merged.payload == {"t": "A320", "r": "y"}


async def test_an_altitude_is_not_filled_in_on_the_ground() -> None:
    queue = ConflatingQueue()
    queue.put(event(second=0, altitude_m=100.0, altitude_datum="baro"))
    queue.put(event(second=1, on_ground=True))
    assert (await taken(queue))[0].altitude_m is None


async def test_an_older_report_that_comes_late_does_not_win() -> None:
    queue = ConflatingQueue()
    queue.put(event(second=5, latitude=2.0))
    queue.put(event(second=4, latitude=1.0, callsign="SWR40"))
    (merged,) = await taken(queue)
    assert (merged.latitude, merged.callsign) == (2.0, "SWR40")


async def test_without_times_the_later_arrival_wins() -> None:
    queue = ConflatingQueue()
    queue.put(event(second=None, latitude=1.0))
    queue.put(event(second=None, latitude=2.0))
    assert [each.latitude for each in await taken(queue)] == [2.0]


async def test_the_same_entity_of_two_sources_is_not_conflated() -> None:
    queue = ConflatingQueue()
    queue.put(event(latitude=1.0))
    queue.put(event(latitude=2.0, source="hill"))
    assert len(await taken(queue)) == 2


async def test_at_the_limit_the_one_that_waits_longest_is_dropped_and_counted() -> None:
    queue = ConflatingQueue(limit=2)
    for entity in "abc":
        queue.put(event(entity))
    assert [each.entity_id for each in await taken(queue)] == ["b", "c"]
    assert queue.dropped == 1


async def test_the_consumer_waits_for_the_next_event() -> None:
    queue = ConflatingQueue()
    stream = aiter(queue)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.put(event("late"))
    assert (await asyncio.wait_for(waiting, 10)).entity_id == "late"


def test_a_queue_needs_room() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ConflatingQueue(limit=0)


@given(
    st.lists(
        st.none()
        | st.builds(
            event,
            st.sampled_from("abcd"),
            st.integers(0, 50),
            latitude=st.none() | st.floats(-90, 90),
            callsign=st.none() | st.just("X"),
        )
    ),
    st.integers(1, 6),
)
def test_every_event_is_taken_conflated_or_dropped(steps: list[TelemetryEvent | None], limit: int) -> None:
    """None takes one event; the newest position of an entity still waiting is always the one that comes out."""

    async def play() -> None:
        queue = ConflatingQueue(limit)
        stream = aiter(queue)
        newest: dict[str, TelemetryEvent] = {}
        put = took = 0
        for step in [*steps, *[None] * limit]:
            if step is not None:
                queue.put(step)
                put += 1
                known = newest.get(step.entity_id)
                if step.has_position and (known is None or step.event_time >= known.event_time):  # type: ignore[operator]  # known
                    newest[step.entity_id] = step
            elif len(queue):
                out = await anext(stream)
                took += 1
                if out.has_position and queue.dropped == 0:
                    assert out.latitude == newest.pop(out.entity_id).latitude
            assert len(queue) <= limit
        assert put == took + queue.conflated + queue.dropped
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator

    asyncio.run(play())
