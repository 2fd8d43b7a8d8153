"""The built-in connectors pass the contract of connectors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.adsb_kit import all_call, avr
from vtoc_bots import ConnectorSpec
from vtoc_bots.plugins.connectors import adsb, exercise
from vtoc_bots.plugins.connectors.exercise.encode_mode_s import beast
from vtoc_bots.testing import ConnectorContract, FakeSource, FileSource, HttpSource, Recording, SelfMade, TcpSource

AT = datetime(2024, 6, 1, 12, tzinfo=UTC)
CALLS = [all_call(f"{number:06x}") for number in range(1, 40)]
STAMP = "2024/06/01,12:00:00.000"
SBS = "".join(
    f"MSG,3,1,1,{number:06X},1,{STAMP},{STAMP},,{1000 + number},,,43.{number},1.4,,,0,0,0,0\r\n"
    for number in range(10, 40)
).encode()
JSON = (
    '{"now": 1717243200.0, "aircraft": ['
    + ", ".join(
        f'{{"hex": "{number:06x}", "lat": 43.{number}, "lon": 1.4, "alt_baro": 9000}}' for number in range(10, 40)
    )
    + "]}"
).encode()


class OfAdsb(ConnectorContract):
    @pytest.fixture
    def spec(self) -> ConnectorSpec:
        return adsb.connector_spec()


class TestAvrOverTcp(OfAdsb):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FakeSource:
        return TcpSource(form="avr://127.0.0.1:{port}")

    @pytest.fixture
    def recordings(self) -> Sequence[Recording]:
        return [
            Recording("calls.avr", avr(*CALLS), "avr", at=AT),
            Recording("calls.beast", b"".join(beast(call, 1.0) for call in CALLS), "beast", at=AT),
        ]


class TestSbsFromAFile(OfAdsb):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FakeSource:
        return FileSource(tmp_path, format="sbs")

    @pytest.fixture
    def recordings(self) -> Sequence[Recording]:
        return [Recording("traffic.sbs", SBS, "sbs", at=AT)]


class TestJsonOverHttp(OfAdsb):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FakeSource:
        return HttpSource(path="/aircraft.json")

    @pytest.fixture
    def recordings(self) -> Sequence[Recording]:
        return [Recording("aircraft.json", JSON, at=AT)]


class TestExercise(ConnectorContract):
    @pytest.fixture
    def spec(self) -> ConnectorSpec:
        return exercise.connector_spec()

    @pytest.fixture
    def source(self, tmp_path: Path) -> FakeSource:
        return SelfMade()

    @pytest.fixture
    def recordings(self) -> Sequence[Recording]:
        return []
