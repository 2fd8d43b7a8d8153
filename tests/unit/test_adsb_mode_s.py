"""Mode S frames: what each kind says, whose it is, and where."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.adsb_kit import NOON, all_call, avr, decode, events_in, positions_in, reasons_in, squitter
from vtoc_bots import Decoder, Rejected, TelemetryEvent, distance_m
from vtoc_bots.plugins.connectors.adsb.decode import decoder_of
from vtoc_bots.plugins.connectors.exercise.encode_mode_s import (
    airborne_position,
    beast,
    emergency,
    identification,
    identity_reply,
    surface_position,
    velocity,
)
from vtoc_bots.plugins.connectors.exercise.state import Actor, State

ACTOR = Actor("4b1908", "SWR40", category="A5", squawk="7700", emergency="general")
FLYING = State(ACTOR, 47.4, 8.5, 3048.0, 150.0, 271.0, -5.0, on_ground=False)
PARKED = FLYING._replace(latitude=47.46, longitude=8.55, speed_mps=5.0, on_ground=True)


def decoder(position: tuple[float, float] | None = None, **options: Any) -> Decoder:
    return decoder_of(format="avr", source="tower", position=position, **options)


def hear(what: Decoder, *frames: bytes, after: float = 0.0) -> list[TelemetryEvent | Rejected]:
    return what.feed(avr(*frames), NOON + timedelta(seconds=after))


def moved(state: State, metres_north: float) -> State:
    return state._replace(latitude=state.latitude + metres_north / 111_195.0)


def test_an_even_and_an_odd_frame_make_a_position() -> None:
    one = decoder()
    first, second = hear(one, airborne_position(FLYING, odd=False), airborne_position(FLYING, odd=True))
    assert isinstance(first, TelemetryEvent)
    assert isinstance(second, TelemetryEvent)
    assert not first.has_position
    assert distance_m(second.latitude or 0, second.longitude or 0, 47.4, 8.5) < 6
    assert (second.altitude_datum, second.on_ground, second.position_kind) == ("baro", False, "adsb_icao")
    assert second.altitude_m == pytest.approx(3048.0)
    assert (second.accuracy_m, second.event_time) == (185.2, NOON)


def test_halves_more_than_ten_seconds_apart_make_none() -> None:
    one = decoder()
    hear(one, airborne_position(FLYING, odd=False))
    assert not positions_in(hear(one, airborne_position(FLYING, odd=True), after=11))


def test_ten_seconds_are_told_by_the_receivers_counter_where_all_was_received_at_once() -> None:
    frames = [airborne_position(FLYING, odd=False), airborne_position(FLYING, odd=True)]
    for apart, found in ((9.0, 1), (11.0, 0)):
        data = beast(frames[0], 100.0) + beast(frames[1], 100.0 + apart)
        assert len(positions_in(decode(data, "beast", None))) == found


def test_after_a_position_one_frame_is_enough() -> None:
    one = decoder()
    hear(one, airborne_position(FLYING, odd=False), airborne_position(FLYING, odd=True))
    later = moved(FLYING, 4_000.0)
    (there,) = positions_in(hear(one, airborne_position(later, odd=False), after=30))
    assert distance_m(*there, later.latitude, later.longitude) < 6


def test_a_jump_is_rejected_and_believed_when_it_is_repeated() -> None:
    one = decoder()
    hear(one, airborne_position(FLYING, odd=False), airborne_position(FLYING, odd=True))
    away = moved(FLYING, 90_000.0)
    results = [hear(one, airborne_position(away, odd=bool(second % 2)), after=second)[0] for second in range(1, 7)]
    assert reasons_in(results)[:2] == ["implausible", "implausible"]
    assert distance_m(*positions_in(results[-1:])[0], away.latitude, away.longitude) < 6


def test_surface_positions_need_the_receivers_position() -> None:
    frames = surface_position(PARKED, odd=False), surface_position(PARKED, odd=True)
    assert not positions_in(hear(decoder(), *frames))
    found = events_in(hear(decoder((47.0, 8.0), position_is_exact=False), *frames))
    assert [event.has_position for event in found] == [False, True]
    assert distance_m(found[1].latitude or 0, found[1].longitude or 0, 47.46, 8.55) < 2
    assert found[1].on_ground is True
    assert found[1].speed_mps == pytest.approx(5.0, abs=0.3)
    assert found[1].heading_deg == pytest.approx(271.0, abs=1.5)


def test_near_the_antenna_one_surface_frame_is_enough() -> None:
    assert len(positions_in(hear(decoder((47.0, 8.0)), surface_position(PARKED, odd=False)))) == 1


def test_surface_positions_are_right_in_every_quarter_of_the_globe() -> None:
    for latitude, longitude in ((47.4, 8.5), (-33.9, 151.2), (-34.8, -58.5), (40.6, -73.8), (1.36, 103.99)):
        state = PARKED._replace(latitude=latitude, longitude=longitude)
        near = (latitude + 0.7, longitude - 0.9)
        one = decoder(near, position_is_exact=False)
        (there,) = positions_in(hear(one, surface_position(state, odd=True), surface_position(state, odd=False)))
        assert distance_m(*there, latitude, longitude) < 3


def test_velocity_identification_and_emergency_are_decoded() -> None:
    said = events_in(hear(decoder(), velocity(FLYING), identification(FLYING), emergency(FLYING)))
    assert said[0].speed_mps == pytest.approx(150.0, abs=0.6)
    assert said[0].heading_deg == pytest.approx(271.0, abs=0.4)
    assert said[0].vertical_rate_mps == pytest.approx(-5.0, abs=0.2)
    assert (said[1].callsign, said[1].category, said[1].on_ground) == ("SWR40", "A5", False)
    assert (said[2].squawk, said[2].payload) == ("7700", {"emergency": "general"})


@pytest.mark.parametrize("word", ["general", "lifeguard", "minfuel", "nordo", "unlawful", "downed"])
def test_emergencies_have_the_same_words_in_every_format(word: str) -> None:
    (event,) = events_in(hear(decoder(), emergency(FLYING._replace(actor=ACTOR._replace(emergency=word)))))
    assert event.payload == {"emergency": word}


def test_replies_count_only_for_addresses_heard_in_the_clear_within_a_minute() -> None:
    one = decoder()
    reply = identity_reply(FLYING)
    assert reasons_in(hear(one, reply)) == ["unknown_address"]
    (heard, squawk) = events_in(hear(one, all_call("4b1908"), reply, after=1))
    assert (heard.entity_id, squawk.entity_id, squawk.squawk, squawk.on_ground) == ("4b1908", "4b1908", "7700", False)
    assert len(events_in(hear(one, reply, after=61))) == 1
    assert reasons_in(hear(one, reply, after=62)) == ["unknown_address"]


def test_an_all_call_reply_to_an_interrogator_proves_nothing_by_itself() -> None:
    one = decoder()
    assert reasons_in(hear(one, all_call("4b1908", interrogator=5))) == ["unknown_address"]
    assert len(events_in(hear(one, all_call("4b1908"), all_call("4b1908", interrogator=5)))) == 2


@pytest.mark.parametrize("frame", [velocity(FLYING), all_call("4b1908")])
def test_a_frame_with_a_wrong_bit_is_rejected(frame: bytes) -> None:
    for at in range(len(frame) - 1):
        broken = frame[:at] + bytes([frame[at] ^ 0x01]) + frame[at + 1 :]
        # In the first byte the bit is the capability's; in the others the address's, the message's or the parity's.
        assert reasons_in(hear(decoder(), broken)) == ["parity"]


def test_a_position_made_by_multilateration_is_marked() -> None:
    data = b"".join(beast(airborne_position(FLYING, odd=odd), 0.0, mlat=True) for odd in (False, True))
    event = events_in(decode(data, "beast"))[1]
    assert (event.position_kind, event.accuracy_m) == ("mlat", 200.0)


ADDRESSED = 18 << 3
AIRBORNE = 11 << 51 | 0x10 << 36
FOREIGN = 1 << 48


@pytest.mark.parametrize(
    ("control", "message", "namespace", "kind"),
    [
        (0, AIRBORNE, "icao", "adsb_icao"),
        (1, AIRBORNE, "nonicao", "adsb_icao"),
        (2, AIRBORNE, "icao", "tisb"),
        (2, AIRBORNE | FOREIGN, "nonicao", "tisb"),
        (5, AIRBORNE, "nonicao", "tisb"),
        (6, AIRBORNE, "icao", "adsr"),
        (6, AIRBORNE | FOREIGN, "nonicao", "adsr"),
    ],
)
def test_what_ground_stations_relay_is_told_apart(control: int, message: int, namespace: str, kind: str) -> None:
    pair = [squitter("4b1908", message | odd << 34, ADDRESSED | control) for odd in (0, 1)]
    event = events_in(hear(decoder(), *pair))[1]
    assert (event.entity_namespace, event.entity_id, event.position_kind) == (namespace, "4b1908", kind)


def test_the_same_digits_in_two_namespaces_are_two_aircraft() -> None:
    halves = squitter("4b1908", AIRBORNE, ADDRESSED), squitter("4b1908", AIRBORNE | 1 << 34, ADDRESSED | 1)
    assert not positions_in(hear(decoder(), *halves))


@pytest.mark.parametrize("control", [3, 4, 7])
def test_other_forms_of_relayed_messages_are_counted(control: int) -> None:
    assert reasons_in(hear(decoder(), squitter("4b1908", AIRBORNE, ADDRESSED | control))) == ["unsupported"]


def test_a_reported_accuracy_category_holds_for_the_positions_after_it() -> None:
    operational_status = 31 << 51 | 2 << 13 | 10 << 8
    one = decoder()
    hear(one, squitter("4b1908", operational_status))
    event = events_in(hear(one, airborne_position(FLYING, odd=False), airborne_position(FLYING, odd=True)))[1]
    assert event.accuracy_m == 10.0


def test_what_is_known_of_the_aircraft_outlives_a_reconnection() -> None:
    one = decoder()
    hear(one, airborne_position(FLYING, odd=False), airborne_position(FLYING, odd=True))
    one.feed(b"*8d4b19", NOON)
    assert reasons_in(one.finish()) == ["truncated"]
    assert len(positions_in(hear(one, airborne_position(moved(FLYING, 500), odd=False), after=20))) == 1


def test_no_event_changes_after_it_was_yielded() -> None:
    one = decoder()
    results: list[TelemetryEvent | Rejected] = []
    seen: list[str] = []
    for second in range(60):
        state = moved(FLYING, 150.0 * second)
        frames = airborne_position(state, odd=bool(second % 2)), velocity(state), identification(state)
        new = hear(one, *frames, after=second)
        results += new
        seen += map(repr, new)
    assert [repr(result) for result in results] == seen
