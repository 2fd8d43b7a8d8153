"""Decoding the OpenSky Network's state vectors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from vtoc_bots import Rejected, TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.accuracy import ASSUMED_BY_KIND_M
from vtoc_bots.plugins.connectors.adsb.decode_json import made_at_of, parsed
from vtoc_bots.plugins.connectors.adsb.fields import (
    callsign_of,
    direction,
    identity_of,
    number,
    place_of,
    squawk_of,
    utc_from_epoch,
)

_KIND_OF_SOURCE = ("adsb_icao", "other", "mlat", "other")
_FLARM = 3
_SHORTEST_ROW = 17

CATEGORY_OF_NUMBER: Final[Mapping[int, str]] = MappingProxyType(
    {
        2: "A1", 3: "A2", 4: "A3", 5: "A4", 6: "A5", 7: "A6", 8: "A7",
        9: "B1", 10: "B2", 11: "B3", 12: "B4", 14: "B6", 15: "B7",
        16: "C1", 17: "C2", 18: "C3", 19: "C4", 20: "C5",
    }
)  # fmt: skip
"""ADS-B emitter category by OpenSky's number."""


class OpenSkyDecoder:
    """Decodes whole answers of its REST API's ``states/all``: ``{"time", "states": [row…] | null}``, SI units.

    The columns are icao24, callsign, country, time_position, last_contact, longitude, latitude, baro_altitude,
    on_ground, velocity, true_track, vertical_rate, sensors, geo_altitude, squawk, spi, position_source, category.
    """

    whole_documents = True

    def __init__(self, source: str) -> None:
        self._source = source

    def feed(self, data: bytes, received_at: datetime | None) -> list[TelemetryEvent | Rejected]:
        """One answer → one result for each state vector in it."""
        document = parsed(data)
        if isinstance(document, Rejected):
            return [document]
        rows = document.get("states", ...)
        if rows is None:
            return []
        if type(rows) is not list:
            return [Rejected("malformed", "states is not a list")]
        made_at = made_at_of(document.get("time"), received_at)
        return [_event_from_row(row, made_at, received_at, self._source) for row in rows]

    def finish(self) -> list[TelemetryEvent | Rejected]:
        """Nothing is kept between documents."""
        return []


def _event_from_row(
    row: Any, made_at: datetime | None, received_at: datetime | None, source: str
) -> TelemetryEvent | Rejected:
    if type(row) is not list or len(row) < _SHORTEST_ROW:
        return Rejected("malformed", "a state vector is too short")
    identity = identity_of(row[0])
    if identity is None:
        return Rejected("identity", repr(row[0])[:40])
    place = place_of(row[6], row[5])
    if isinstance(place, Rejected):
        return place
    positioned = place[0] is not None
    kind = _kind_of(row[16]) if positioned else None
    altitude, datum = number(row[7]), "baro"
    if altitude is None:
        altitude, datum = number(row[13]), "geom"
    speed = number(row[9])
    category = row[17] if len(row) > _SHORTEST_ROW else None
    return TelemetryEvent(
        entity_id=identity[1],
        entity_namespace=identity[0],
        source=source,
        source_type="adsb",
        event_time=_time_of(row[3] if positioned else row[4], made_at),
        received_at=received_at,
        latitude=place[0],
        longitude=place[1],
        altitude_m=altitude,
        altitude_datum=None if altitude is None else datum,
        speed_mps=None if speed is None or speed < 0 else speed,
        heading_deg=direction(row[10]),
        vertical_rate_mps=number(row[11]),
        on_ground=row[8] if type(row[8]) is bool else None,
        callsign=callsign_of(row[1]),
        accuracy_m=ASSUMED_BY_KIND_M.get(kind or ""),
        position_kind=kind,
        squawk=squawk_of(row[14]),
        category=CATEGORY_OF_NUMBER.get(category) if type(category) is int else None,
        payload=_payload_of(row),
    )


def _time_of(value: Any, made_at: datetime | None) -> datetime | None:
    seconds = number(value)
    return made_at if seconds is None else utc_from_epoch(seconds) or made_at


def _kind_of(position_source: Any) -> str:
    if type(position_source) is int and 0 <= position_source < len(_KIND_OF_SOURCE):
        return _KIND_OF_SOURCE[position_source]
    return "other"


def _payload_of(row: list[Any]) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    if type(row[2]) is str:
        payload["origin_country"] = row[2]
    if number(row[7]) is not None and number(row[13]) is not None:
        payload["geo_altitude"] = row[13]
    if row[15] is True:
        payload["spi"] = True
    if row[16] == _FLARM:
        payload["position_source"] = _FLARM
    return payload
