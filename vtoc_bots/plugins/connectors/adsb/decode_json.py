"""Decoding readsb's JSON: aircraft.json, the v2 APIs made like it, and the lines of its JSON port."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import orjson

from vtoc_bots import Rejected, TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.accuracy import accuracy_m
from vtoc_bots.plugins.connectors.adsb.fields import (
    FEET,
    FEET_A_MINUTE,
    KNOTS,
    callsign_of,
    direction,
    identity_of,
    number,
    place_of,
    squawk_of,
    utc_from_epoch,
)
from vtoc_bots.plugins.connectors.adsb.lines import LineSplitter

KIND_OF_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "adsb_icao": "adsb_icao",
        "adsb_icao_nt": "adsb_icao",
        "adsb_other": "adsb_icao",
        "adsr_icao": "adsr",
        "adsr_other": "adsr",
        "tisb_icao": "tisb",
        "tisb_other": "tisb",
        "tisb_trackfile": "tisb",
        "adsc": "adsc",
        "mlat": "mlat",
        "mode_s": "mode_s",
    }
)
"""Position kind by readsb's `type`; what else it says is ``other``. Whether the address is ICAO's, the hex tells."""

_PAYLOAD_KEYS = ("r", "t", "desc", "dbFlags", "nac_p", "rc", "rssi", "alt_geom", "nav_altitude_mcp")
_SCALARS = frozenset((str, int, float))
_MILLISECONDS_FROM = 1e11
_LONGEST_AGE_SECONDS = 1e6

_Result = TelemetryEvent | Rejected


class AircraftDecoder:
    """Decodes whole documents: ``{"now", "aircraft": […]}`` of readsb, ``{"now", "ac": […]}`` of the v2 APIs.

    Format: readsb's README-json. `now` is in seconds there and in milliseconds in the v2 APIs.
    """

    whole_documents = True

    def __init__(self, source: str) -> None:
        self._source = source

    def feed(self, data: bytes, received_at: datetime | None) -> list[_Result]:
        """One document → one result for each aircraft in it."""
        document = parsed(data)
        if isinstance(document, Rejected):
            return [document]
        aircraft = document.get("aircraft", document.get("ac"))
        if type(aircraft) is not list:
            return [Rejected("malformed", "neither aircraft nor ac is a list")]
        made_at = made_at_of(document.get("now"), received_at)
        return [event_from_aircraft(record, made_at, received_at, self._source) for record in aircraft]

    def finish(self) -> list[_Result]:
        """Nothing is kept between documents."""
        return []


class JsonPortDecoder:
    """Decodes the lines of readsb's ``--json-port``: one aircraft a line, some with their own `now`."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lines = LineSplitter()
        self._received_at: datetime | None = None

    def feed(self, data: bytes, received_at: datetime | None) -> list[_Result]:
        """Any piece of the stream → one result for each line that is whole now."""
        self._received_at = received_at
        lines, overlong = self._lines.split(data)
        results = [self._decode(line, received_at) for line in lines if line.strip()]
        return results + [Rejected("oversize")] * overlong

    def finish(self) -> list[_Result]:
        """The last line, if it is whole but for its end."""
        rest = self._lines.finish().strip()
        if not rest:
            return []
        result = self._decode(rest, self._received_at)
        return [Rejected("truncated") if isinstance(result, Rejected) else result]

    def _decode(self, line: bytes, received_at: datetime | None) -> _Result:
        record = parsed(line.strip().removesuffix(b","))
        if isinstance(record, Rejected):
            return record
        return event_from_aircraft(record, made_at_of(record.get("now"), received_at), received_at, self._source)


def parsed(data: bytes) -> dict[str, Any] | Rejected:
    """The JSON object in `data`."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return Rejected("truncated" if "end of data" in str(error) else "malformed", str(error))
    return document if type(document) is dict else Rejected("malformed", "not a JSON object")


def made_at_of(now: object, received_at: datetime | None) -> datetime | None:
    """When a record was made, from its `now` in seconds or milliseconds since 1970, else when it was received."""
    seconds = number(now)
    if seconds is None:
        return received_at
    return utc_from_epoch(seconds / 1000 if seconds > _MILLISECONDS_FROM else seconds) or received_at


def event_from_aircraft(
    record: object, made_at: datetime | None, received_at: datetime | None, source: str
) -> TelemetryEvent | Rejected:
    """One aircraft object of readsb's JSON; its ages count back from `made_at`. `lastPosition` is not its position."""
    if type(record) is not dict:
        return Rejected("malformed", "an aircraft is no JSON object")
    get = record.get
    identity = identity_of(get("hex"))
    if identity is None:
        return Rejected("identity", repr(get("hex"))[:40])
    place = place_of(get("lat"), get("lon"))
    if isinstance(place, Rejected):
        return place
    latitude, longitude = place
    kind = None if latitude is None else _kind_of(record)
    speed, rate = number(get("gs")), number(get("baro_rate", get("geom_rate")))
    category = get("category")
    return TelemetryEvent(
        identity[1],
        identity[0],
        source,
        "adsb",
        _event_time(made_at, get("seen") if latitude is None else get("seen_pos", get("seen"))),
        received_at,
        latitude,
        longitude,
        *_altitude_of(record),
        None if speed is None or speed < 0 else speed * KNOTS,
        direction(get("track")),
        None if rate is None else rate * FEET_A_MINUTE,
        _on_ground(get("alt_baro")),
        callsign_of(get("flight")),
        None if latitude is None else accuracy_m(get("nac_p"), get("rc"), kind),
        kind,
        squawk_of(get("squawk")),
        category if type(category) is str else None,
        None,
        False,
        _payload_of(record),
    )


def _event_time(made_at: datetime | None, age: object) -> datetime | None:
    seconds = number(age)
    if made_at is None or not seconds or not 0 < seconds < _LONGEST_AGE_SECONDS:
        return made_at
    return made_at - timedelta(seconds=seconds)


def _kind_of(record: dict[str, Any]) -> str:
    """dump1090 without `type` lists the fields that came by MLAT or TIS-B instead."""
    type_ = record.get("type")
    if type_ is not None:
        return KIND_OF_TYPE.get(type_, "other") if type(type_) is str else "other"
    for kind in ("mlat", "tisb"):
        fields = record.get(kind)
        if type(fields) is list and "lat" in fields:
            return kind
    return "adsb_icao"


def _altitude_of(record: dict[str, Any]) -> tuple[float | None, str | None]:
    """(metres, datum): pressure altitude where given, else the height above the ellipsoid; on the ground none."""
    barometric = record.get("alt_baro")
    if barometric == "ground":
        return None, None
    feet = number(barometric)
    if feet is not None:
        return feet * FEET, "baro"
    feet = number(record.get("alt_geom"))
    return (None, None) if feet is None else (feet * FEET, "geom")


def _on_ground(alt_baro: object) -> bool | None:
    if alt_baro == "ground":
        return True
    return None if number(alt_baro) is None else False


def _payload_of(record: dict[str, Any]) -> Mapping[str, Any]:
    payload = {key: value for key in _PAYLOAD_KEYS if type(value := record.get(key)) in _SCALARS}
    emergency, type_ = record.get("emergency"), record.get("type")
    if type(emergency) is str and emergency != "none":
        payload["emergency"] = emergency
    if type(type_) is str and type_ != "adsb_icao":
        payload["type"] = type_
    return payload
