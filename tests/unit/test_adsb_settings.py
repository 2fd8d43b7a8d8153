"""What a source's entry says, how formats are told, and what is refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.adsb_kit import avr, context, recording
from vtoc_bots import ConfigError, ConnectorSpec, Settings
from vtoc_bots.core.config import sources_from
from vtoc_bots.core.documents import parse_document
from vtoc_bots.core.settings import load_settings
from vtoc_bots.plugins.connectors import adsb
from vtoc_bots.plugins.connectors.adsb.connector import AdsbConnector
from vtoc_bots.plugins.connectors.adsb.detect import detect_format
from vtoc_bots.plugins.connectors.adsb.settings import AdsbSettings, Input, OpenSkyAccount, input_of, opensky_interval
from vtoc_bots.plugins.connectors.exercise.encode_mode_s import surface_position
from vtoc_bots.plugins.connectors.exercise.state import Actor, State


def settings_of(**keys: Any) -> AdsbSettings:
    return AdsbSettings.model_validate(keys)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("readsb+http://pi/data/aircraft.json", Input("web", "aircraft", url="http://pi/data/aircraft.json")),
        ("http://pi/tar1090/data/aircraft.json", Input("web", "aircraft", url="http://pi/tar1090/data/aircraft.json")),
        ("v2+https://api/v2/point/1/2/50", Input("web", "v2", url="https://api/v2/point/1/2/50")),
        ("opensky+https://o/api/states/all?a=1", Input("web", "opensky", url="https://o/api/states/all?a=1")),
        ("jsonport://pi", Input("tcp", "jsonport", host="pi", port=30047)),
        ("sbs://pi", Input("tcp", "sbs", host="pi", port=30003)),
        ("beast://[::1]:4000", Input("tcp", "beast", host="::1", port=4000)),
        ("avr://pi", Input("tcp", "avr", host="pi", port=30002)),
        ("file:///var/a.json", Input("file", None, path=Path("/var/a.json"))),
        ("file://../shared/a%20b.json", Input("file", None, path=Path("../shared/a b.json"))),
        ("file://localhost/a.json", Input("file", None, path=Path("/a.json"))),
        ("../shared/a%20b.json", Input("file", None, path=Path("../shared/a%20b.json"))),
    ],
)
def test_an_address_tells_where_and_in_which_format(url: str, expected: Input) -> None:
    assert input_of(url, None) == expected


def test_a_format_given_wins_over_the_address() -> None:
    assert input_of("tcp://pi:1234", "beast") == Input("tcp", "beast", host="pi", port=1234)
    assert input_of("https://x/y", "v2") == Input("web", "v2", url="https://x/y")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "url is missing; give one of readsb"),
        ({"url": "ftp://x"}, "unknown scheme ftp://; give one of"),
        ({"url": "x+https://y"}, r"unknown scheme x\+…; give one of"),
        ({"url": "https://x/y"}, "http does not tell the format"),
        ({"url": "tcp://x:1"}, "tcp does not tell the format"),
        ({"url": "tcp://x", "format": "sbs"}, "names no port; write tcp://host:port"),
        ({"url": "sbs://"}, "names no host; write sbs://host:port"),
        ({"url": "sbs://x:70000"}, "has no valid port; write sbs://host:port"),
        ({"url": "sbs://x", "log_path": "y"}, "url and log_path name the input twice; keep one"),
        ({"url": "v2+https://x", "interval_seconds": 0.5}, "allows one request in 1 s"),
        ({"url": "sbs://x", "timezone": "Mars"}, "no such timezone"),
        ({"url": "sbs://x", "speed": 0}, "greater than 0"),
        ({"url": "sbs://x", "uri": "y"}, "Extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings_of(**keys)


def test_an_error_names_the_source_the_key_and_the_line() -> None:
    document = parse_document(
        "sources:\n  tower:\n    type: adsb\n    log_path: a.json\n    posision: 1,2\n", "connectors.yml"
    )
    (source,), problems = sources_from(document, (), "toc-s1")
    assert problems  # no station is known here
    with pytest.raises(
        ConfigError, match=r"connectors.yml:5: sources.tower.posision is not a known key. Did you mean position"
    ):
        source.read(AdsbSettings)


@pytest.mark.parametrize("key", ["url", "api_url", "log_path"])
def test_the_platforms_own_keys_name_the_input_too(key: str) -> None:
    assert settings_of(**{key: "../a.json"}).input.path == Path("../a.json")


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("readsb_aircraft_1.json", "aircraft"),
        ("readsb_jsonport_1.jsonl", "jsonport"),
        ("readsb_jsonport_3.jsonl", "jsonport"),
        ("opensky_states_python-opensky.json", "opensky"),
        ("sbs1_node-sbs1_part1.txt", "sbs"),
        ("beast_traffic_sample_dump1090.bin", "beast"),
    ],
)
def test_the_format_of_real_recordings_is_told_by_their_content(name: str, format: str) -> None:
    assert detect_format(recording(name).read_bytes()[:4096], "recording") == format


@pytest.mark.parametrize(
    ("head", "name", "format"),
    [
        (b'{"ac":[{"hex":"4b1908"}],"now":1}', "", "v2"),
        (b'\xef\xbb\xbf {"now":1,"aircraft":[]}', "", "aircraft"),
        (b"8d4b19;\n*8d4b1908990d45000404800cd4a5;\n", "", "avr"),
        (b"@00000000ffff5d4b1908e5e5e5;", "", "avr"),
        (b",,0\r\nSTA,,5,179,400AE7\r\n", "", "sbs"),
        (b"", "x.jsonl.gz", "jsonport"),
        (b"{}", "x.JSON", "aircraft"),
        (b"??", "x.bin", "beast"),
        (b"\x00\x01", "x", "beast"),
        (b"garbage", "x", "sbs"),
    ],
)
def test_the_format_is_told_by_content_then_name(head: bytes, name: str, format: str) -> None:
    assert detect_format(head, name) == format


@pytest.mark.parametrize(
    ("area", "account", "seconds"),
    [
        ("lamin=46&lamax=50&lomin=5&lomax=11", "anonymous", 216.0),
        ("lamin=46&lamax=50&lomin=5&lomax=11", "user", 21.6),
        ("lamin=46&lamax=50&lomin=5&lomax=11", "feeder", 10.8),
        ("lamin=40&lamax=50&lomin=5&lomax=15", "user", 43.2),
        ("lamin=30&lamax=50&lomin=5&lomax=25", "user", 64.8),
        ("", "anonymous", 864.0),
        ("lamin=x", "user", 86.4),
    ],
)
def test_opensky_is_asked_as_often_as_its_credits_allow(area: str, account: str, seconds: float) -> None:
    assert opensky_interval(f"https://opensky-network.org/api/states/all?{area}", account) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("keys", "mode", "words"),
    [
        ({"url": "sbs://x"}, "offline", "sources.tower: mode: offline replays a file"),
        ({"url": "sbs://x", "speed": 2}, None, "sources.tower: speed is for recordings"),
        ({"url": "file://absent", "speed": 2}, "online", "sources.tower: speed is for recordings"),
        ({"url": "file://absent"}, "online", "sources.tower: can't read absent"),
        ({"url": "opensky+https://o/api/states/all", "interval_seconds": 60}, None, "allow a request in 864 s"),
    ],
)
def test_settings_that_contradict_each_other_name_the_source(
    keys: dict[str, Any], mode: str | None, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        AdsbConnector(settings_of(**keys), context(mode=mode))


def test_an_opensky_account_allows_more() -> None:
    keys = {"url": "opensky+https://o/api/states/all?lamin=1&lamax=2&lomin=1&lomax=2", "interval_seconds": 21.6}
    account = OpenSkyAccount.model_validate({"OPENSKY_CLIENT_ID": "me", "OPENSKY_CLIENT_SECRET": "x"})
    assert AdsbConnector(settings_of(**keys), context(), account).state() == "waiting"
    with pytest.raises(ConfigError, match="allow a request in 216 s"):
        AdsbConnector(settings_of(**keys), context())


async def test_a_real_document_replays_as_an_offline_source() -> None:
    path = recording("readsb_aircraft_1.json")
    for keys, mode in (({"url": f"file://{path}"}, "offline"), ({"log_path": str(path)}, None)):
        connector = AdsbConnector(settings_of(**keys), context(mode=mode))
        events = [event async for event in connector.events()]
        assert (len(events), sum(event.has_position for event in events)) == (64, 63)
        assert {event.source for event in events} == {"tower"}
        assert connector.state() == "finished"
        assert connector.stats()["read"] == 64


async def test_surface_positions_are_placed_by_the_sources_position_else_the_stations(tmp_path: Path) -> None:
    state = State(Actor("4b1908", ""), 43.62, 1.36, 0.0, 5.0, 90.0, 0.0, on_ground=True)
    path = tmp_path / "ground.avr"
    path.write_bytes(avr(*(surface_position(state, odd) for odd in (False, True))))
    found = []
    for keys, station in (({"position": "43.63,1.37"}, None), ({}, (43.63, 1.37)), ({}, None)):
        connector = AdsbConnector(settings_of(url=f"file://{path}", **keys), context(station_position=station))
        found.append([event.has_position async for event in connector.events()])
    assert found == [[True, True], [False, True], [False, False]]


def test_the_plugin_offers_the_type_with_the_account_of_the_environment(tmp_path: Path) -> None:
    settings: Settings = load_settings(
        tmp_path, tmp_path, {"OPENSKY_CLIENT_ID": "me", "OPENSKY_CLIENT_SECRET": "s3cret"}
    )
    (spec,) = adsb.vtoc_connectors(settings)
    assert isinstance(spec, ConnectorSpec)
    assert (spec.type, spec.settings) == ("adsb", AdsbSettings)
    assert spec.decoder is not None
    assert spec.decoder(format="sbs", head=b"", name="", position=None, source="x").feed(b"\r\n", None) == []
    assert "s3cret" not in repr(spec)
