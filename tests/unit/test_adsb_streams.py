"""Streams in chunks, garbage and cut-off ends: every format counts and never raises."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adsb_kit import NOON, all_call, avr, decode, events_in, reasons_in, recording
from vtoc_bots import Rejected, TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.decode import decoder_of
from vtoc_bots.plugins.connectors.adsb.detect import FORMATS
from vtoc_bots.plugins.connectors.adsb.framing import AvrFramer, BeastFramer, Frame
from vtoc_bots.plugins.connectors.exercise.encode_mode_s import beast

STREAMS = ("jsonport", "sbs", "beast", "avr")
SHORT = all_call("4b1908")
ESCAPED = all_call("1a1a1a")

_SBS = b"MSG,3,1,1,4B1908,1,,,,,,2525,,,43.5,-1.25,,,,,,0\r\n"
_JSON = b'{"hex":"4b1908","lat":1,"lon":2,"seen_pos":1},\n'
GOOD = {
    "sbs": _SBS * 4,
    "jsonport": _JSON * 4,
    "beast": beast(SHORT, 5.0) + beast(ESCAPED, 0x1A1A / 12e6) + beast(SHORT, 5.1),
    "avr": avr(SHORT, ESCAPED) + b"@00000000001a" + SHORT.hex().encode() + b";",
    "aircraft": b'{"now":1717243200,"aircraft":[{"hex":"4b1908","lat":1,"lon":2},{"hex":"~4b1909"}]}',
    "v2": b'{"now":1717243200000,"ac":[{"hex":"4b1908","lat":1,"lon":2}]}',
    "opensky": b'{"time":1717243200,"states":[["4b1908","A","B",1,2,3,4,5,false,7,8,9,null,1,"7000",false,0]]}',
}


@st.composite
def broken(draw: Any, format: str) -> bytes:
    """A good stream with pieces cut out, put in and turned over."""
    data = bytearray(GOOD[format] * draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 2)):
            case 0:
                del data[at : at + draw(st.integers(1, 12))]
            case 1:
                junk = st.binary(max_size=12) | st.sampled_from(
                    [b"\x1a", b"\x1a\x1a", b"\x1a3", b"\n", b";", b"*", b","]
                )
                data[at:at] = draw(junk)
            case _:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(data)


@pytest.mark.parametrize("format", STREAMS)
@given(data=st.data())
def test_the_result_does_not_depend_on_the_chunks(format: str, data: st.DataObject) -> None:
    stream = data.draw(broken(format))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    whole = decode(stream, format)
    decoder = decoder_of(format=format, source="tower")
    pieces: list[Any] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        pieces += decoder.feed(stream[start:end], NOON)
    assert pieces + decoder.finish() == whole


@pytest.mark.parametrize("format", FORMATS)
@given(data=st.data())
def test_broken_input_is_counted_and_never_raised(format: str, data: st.DataObject) -> None:
    stream = data.draw(broken(format) | st.binary(max_size=300))
    for result in decode(stream, format, data.draw(st.sampled_from([NOON, None])), position=(43.6, 1.4)):
        assert isinstance(result, TelemetryEvent | Rejected)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("beast_traffic_sample_dump1090.bin", "beast"),
        ("sbs1_node-sbs1_part1.txt", "sbs"),
        ("readsb_jsonport_1.jsonl", "jsonport"),
        ("readsb_aircraft_1.json", "aircraft"),
        ("opensky_states_python-opensky.json", "opensky"),
    ],
)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 32), flips=st.integers(1, 200))
def test_real_recordings_with_flipped_bytes_are_counted_and_never_raised(
    name: str, format: str, seed: int, flips: int
) -> None:
    draw = random.Random(seed)
    data = bytearray(recording(name).read_bytes()[: draw.randrange(200, 8000)])
    for _ in range(flips):
        data[draw.randrange(len(data))] = draw.randrange(256)
    for result in decode(bytes(data), format, position=(43.6, 1.4)):
        assert isinstance(result, TelemetryEvent | Rejected)


@pytest.mark.parametrize("name", ["sbs1_node-sbs1_part1.txt", "beast_traffic_sample_dump1090.bin"])
def test_a_real_recording_cut_anywhere_loses_only_its_last_record(name: str) -> None:
    data = recording(name).read_bytes()[:3000]
    format = "beast" if name.endswith("bin") else "sbs"
    whole = decode(data, format)
    for end in range(len(data) - 200, len(data), 7):
        results = decode(data[:end], format)
        assert results[:-1] == whole[: len(results) - 1]
        assert set(reasons_in(results[-1:])) <= {"truncated", "unknown_address"}


def test_a_doubled_escape_is_one_byte() -> None:
    assert BeastFramer().frames(beast(ESCAPED, 0.5)) == [Frame(ESCAPED, 6_000_000, False)]


def test_every_beast_type_is_known() -> None:
    mode_ac = b"\x1a1" + bytes(9)
    status = b"\x1a4" + bytes(21)
    antenna = b"\x1a5" + bytes(21)
    receiver = b"\x1a\xe3" + bytes(8)
    results = decode(mode_ac + status + antenna + receiver + beast(SHORT, 0.0), "beast")
    assert reasons_in(results) == ["mode_ac", "status", "status"]
    assert len(events_in(results)) == 1


def test_garbage_between_two_messages_is_one_rejection() -> None:
    garbage = b"garbage \x1a\x1a3 more"
    results = decode(garbage.join([beast(SHORT, 1.0)] * 3), "beast")
    assert reasons_in(results) == ["framing", "framing"]
    assert len(events_in(results)) == 3


def test_a_message_broken_off_by_the_next_is_truncated() -> None:
    results = decode(beast(SHORT, 1.0)[:8] + beast(SHORT, 1.0), "beast")
    assert reasons_in(results) == ["truncated"]
    assert len(events_in(results)) == 1


def test_a_counter_of_zero_is_no_time() -> None:
    assert BeastFramer().frames(beast(SHORT, 0.0)) == [Frame(SHORT, None, False)]


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (b"*5d4b1908;", Rejected("malformed", "*5d4b1908")),
        (b"*" + SHORT.hex().upper().encode() + b";", Frame(SHORT, None, False)),
        (b":" + SHORT.hex().encode() + b";", Frame(SHORT, None, False)),
        (b"@0000000000ff" + SHORT.hex().encode() + b";", Frame(SHORT, 255, False)),
        (b"%0000000000ff" + SHORT.hex().encode() + b";", Frame(SHORT, 255, False)),
        (b"<0000000000ff60" + SHORT.hex().encode() + b";", Frame(SHORT, 255, False)),
        (b"@ff004d4c4154" + SHORT.hex().encode() + b";", Frame(SHORT, None, True)),
        (b"*0000;", Rejected("mode_ac", "*0000")),
        (b"*xyz;", Rejected("malformed", "*xyz")),
        (b"hello;", Rejected("malformed", "hello")),
    ],
)
def test_avr_records_are_cut(text: bytes, frame: Frame | Rejected) -> None:
    assert AvrFramer().frames(text + b"\n") == [frame]


def test_several_avr_records_may_stand_on_one_line() -> None:
    assert len(events_in(decode(avr(SHORT, ESCAPED).replace(b"\n", b""), "avr"))) == 2


def test_a_whole_avr_record_without_its_end_is_decoded() -> None:
    framer = AvrFramer()
    assert framer.frames(avr(SHORT)[:-2]) == []
    assert framer.finish() == [Frame(SHORT, None, False)]


def test_a_day_of_noise_does_not_fill_the_memory() -> None:
    decoder = decoder_of(format="avr", source="tower")
    for start in range(0, 24_000, 1000):
        frames = (all_call(f"{number:06x}") for number in range(start + 1, start + 1001))
        assert len(decoder.feed(avr(*frames), NOON + timedelta(seconds=start))) == 1000
    assert len(decoder._aircraft) <= 20_000  # type: ignore[attr-defined]  # what this test is about
