"""Decoding Mode S frames of Beast and AVR streams to events, keeping the state that positions need."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import rs1090

from vtoc_bots import Rejected, TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.accuracy import (
    ASSUMED_BY_KIND_M,
    CONTAINMENT_BY_TYPE_CODE_M,
    EPU_M,
)
from vtoc_bots.plugins.connectors.adsb.extended import airborne_of, surface_of, velocity_of
from vtoc_bots.plugins.connectors.adsb.fields import FEET, callsign_of, number, squawk_of
from vtoc_bots.plugins.connectors.adsb.framing import Frame, Framer
from vtoc_bots.plugins.connectors.adsb.parity import overlay_of
from vtoc_bots.plugins.connectors.adsb.positions import Aircraft, Receiver, Stamp, seconds_between

_Result = TelemetryEvent | Rejected

_REPLIES: Final = frozenset((0, 4, 5, 16, 20, 21))
_ALL_CALL, _SQUITTER, _NON_TRANSPONDER = 11, 17, 18
_SURFACE_TYPES: Final = range(5, 9)
_AIRBORNE_TYPES: Final = frozenset((*range(9, 19), 20, 21, 22))
_VELOCITY_TYPE: Final = 19
_CATEGORY_LETTERS: Final = "?DCBA"
_KIND_OF_CONTROL: Final = {0: "adsb_icao", 1: "adsb_icao", 2: "tisb", 5: "tisb", 6: "adsr"}
"""By the control field of DF18; 3 (coarse TIS-B), 4 (its management) and 7 hold no message of these forms."""
_ON_GROUND_OF_CAPABILITY: Final = {4: True, 5: False}
_ON_GROUND_OF_STATUS: Final = {0: False, 1: True, 2: False, 3: True}
_KNOWN_SECONDS: Final = 60.0
_MOST_AIRCRAFT: Final = 20_000
_EMERGENCY_OF_STATE: Final = {
    "general": "general",
    "medical": "lifeguard",
    "minimum_fuel": "minfuel",
    "no_communication": "nordo",
    "unlawful_interference": "unlawful",
    "downed_aircraft": "downed",
}
"""readsb's word by rs1090's, so that every format says the same."""


class ModeSDecoder:
    """Decodes frames that `framer` cuts. Without the `receiver` surface positions stay unknown.

    Each frame that is intact and whose aircraft is certain gives one event saying what that frame says. A reply whose
    parity hides the address counts only if the address was heard in the clear within a minute. Frames carry no time:
    events take the time of receipt.
    """

    def __init__(self, source: str, framer: Framer, receiver: Receiver | None = None) -> None:
        self._source, self._framer, self._receiver = source, framer, receiver
        self._aircraft: dict[str, Aircraft] = {}
        self._received_at: datetime | None = None
        self._received: float | None = None

    def feed(self, data: bytes, received_at: datetime | None) -> list[_Result]:
        """Any piece of the stream → one result for each frame that is whole now."""
        self._received_at = received_at
        self._received = None if received_at is None else received_at.timestamp()
        return self._decode_all(self._framer.frames(data))

    def finish(self) -> list[_Result]:
        """The frame that the end of the stream cut off. What is known of the aircraft stays, for a new stream."""
        return self._decode_all(self._framer.finish())

    def _decode_all(self, frames: list[Frame | Rejected]) -> list[_Result]:
        decode = self._decode
        results: list[_Result] = [decode(frame) if isinstance(frame, Frame) else frame for frame in frames]
        if len(self._aircraft) > _MOST_AIRCRAFT:
            self._forget()
        return results

    def _decode(self, frame: Frame) -> _Result:
        data = frame.data
        format = data[0] >> 3
        if (len(data) == 7) is not (format < 16):
            return Rejected("malformed", data.hex())
        overlay = overlay_of(data)
        if format in (_SQUITTER, _NON_TRANSPONDER):
            return self._decode_extended(frame, format) if overlay == 0 else Rejected("parity", data.hex())
        if format == _ALL_CALL:
            # The lowest 7 bits are the interrogator's code.
            return self._decode_all_call(frame, overlay) if overlay < 128 else Rejected("parity", data.hex())
        if format in _REPLIES:
            return self._decode_reply(frame, format, f"{overlay:06x}")
        return Rejected("unsupported", data.hex())

    def _decode_all_call(self, frame: Frame, interrogator: int) -> _Result:
        address, stamp = frame.data[1:4].hex(), Stamp(self._received, frame.ticks)
        if interrogator and not self._is_known(address, stamp):
            return Rejected("unknown_address", frame.data.hex())
        self._heard(address, stamp)
        return self._event(address, on_ground=_ON_GROUND_OF_CAPABILITY.get(frame.data[0] & 7))

    def _decode_reply(self, frame: Frame, format: int, address: str) -> _Result:
        if not self._is_known(address, Stamp(self._received, frame.ticks)):
            return Rejected("unknown_address", frame.data.hex())
        said = _said_in(frame.data)
        if said is None:
            return Rejected("unsupported", frame.data.hex())
        altitude = number(said.get("altitude"))
        aloft = None if format in (0, 16) else _ON_GROUND_OF_STATUS.get(frame.data[0] & 7)
        return self._event(
            address,
            altitude_m=None if altitude is None else altitude * FEET,
            altitude_datum=None if altitude is None else "baro",
            on_ground=aloft,
            squawk=squawk_of(said.get("squawk")),
            callsign=_callsign_of(said.get("bds20", {}).get("callsign")),
        )

    def _decode_extended(self, frame: Frame, format: int) -> _Result:
        data = frame.data
        control, type_code = data[0] & 7, data[4] >> 3
        kind: str | None = "adsb_icao"
        if format == _NON_TRANSPONDER:
            kind = _KIND_OF_CONTROL.get(control)
            if kind is None:
                return Rejected("unsupported", data.hex())
        address = data[1:4].hex()
        if format == _NON_TRANSPONDER and (control in (1, 5) or (control and _is_foreign(data, type_code))):
            address = "~" + address
        stamp = Stamp(self._received, frame.ticks)
        aircraft = self._heard(address, stamp)
        if frame.mlat:
            kind = "mlat"
        message = int.from_bytes(data[4:11], "big")
        if type_code in _AIRBORNE_TYPES:
            return self._airborne(address, aircraft, stamp, message, kind)
        if type_code == _VELOCITY_TYPE:
            return self._velocity(address, message)
        if type_code in _SURFACE_TYPES:
            return self._surface(address, aircraft, stamp, message, kind)
        return self._other(address, aircraft, data, type_code, format == _SQUITTER)

    def _airborne(self, address: str, aircraft: Aircraft, stamp: Stamp, message: int, kind: str | None) -> _Result:
        said = airborne_of(message)
        where = aircraft.locate(said.half, said.odd, False, stamp, self._receiver)
        if isinstance(where, Rejected):
            return where
        namespace, entity = _split(address)
        latitude, longitude = where or (None, None)
        return TelemetryEvent(
            entity, namespace, self._source, "adsb", self._received_at, self._received_at,
            latitude, longitude, said.altitude_m, said.datum if said.altitude_m is not None else None,
            None, None, None, False, None,
            _accuracy(aircraft, message >> 51, kind) if where else None, kind if where else None,
        )  # fmt: skip

    def _surface(self, address: str, aircraft: Aircraft, stamp: Stamp, message: int, kind: str | None) -> _Result:
        said = surface_of(message)
        where = aircraft.locate(said.half, said.odd, True, stamp, self._receiver)
        if isinstance(where, Rejected):
            return where
        latitude, longitude = where or (None, None)
        return self._event(
            address,
            latitude=latitude,
            longitude=longitude,
            speed_mps=said.speed_mps,
            heading_deg=said.track_deg,
            on_ground=True,
            accuracy_m=_accuracy(aircraft, message >> 51, kind) if where else None,
            position_kind=kind if where else None,
        )

    def _velocity(self, address: str, message: int) -> _Result:
        said = velocity_of(message)
        if said is None:
            return Rejected("unsupported", f"velocity subtype {message >> 48 & 7}")
        namespace, entity = _split(address)
        return TelemetryEvent(
            entity, namespace, self._source, "adsb", self._received_at, self._received_at,
            None, None, None, None, said.speed_mps, said.track_deg, said.vertical_rate_mps, payload=said.payload,
        )  # fmt: skip

    def _other(self, address: str, aircraft: Aircraft, data: bytes, type_code: int, has_capability: bool) -> _Result:
        """Identification, status and the like, as rs1090 reads them."""
        said = _said_in(data)
        if said is None:
            return Rejected("unsupported", data.hex())
        fields: dict[str, Any] = {"squawk": squawk_of(said.get("squawk")), "payload": _payload_of(said)}
        nac_p = said.get("NACp")
        if type(nac_p) is int and nac_p > 0:
            aircraft.nac_p = nac_p
        if 1 <= type_code <= 4:
            fields["callsign"] = _callsign_of(said.get("callsign"))
            category = data[4] & 7
            fields["category"] = f"{_CATEGORY_LETTERS[type_code]}{category}" if category else None
        if has_capability:
            fields["on_ground"] = _ON_GROUND_OF_CAPABILITY.get(data[0] & 7)
        return self._event(address, **fields)

    def _event(self, address: str, **fields: Any) -> TelemetryEvent:
        namespace, entity = _split(address)
        return TelemetryEvent(
            entity,
            namespace,
            self._source,
            "adsb",
            event_time=self._received_at,
            received_at=self._received_at,
            **fields,
        )

    def _heard(self, address: str, stamp: Stamp) -> Aircraft:
        aircraft = self._aircraft.get(address)
        if aircraft is None:
            aircraft = self._aircraft[address] = Aircraft(stamp)
        else:
            aircraft.seen = stamp
        return aircraft

    def _is_known(self, address: str, stamp: Stamp) -> bool:
        aircraft = self._aircraft.get(address)
        if aircraft is None:
            return False
        since = seconds_between(aircraft.seen, stamp)
        return since is None or since <= _KNOWN_SECONDS

    def _forget(self) -> None:
        """Drop the half that was heard first; a day's noise must not fill the memory."""
        oldest_first = sorted(self._aircraft, key=lambda each: self._aircraft[each].seen.received or 0.0)
        for address in oldest_first[: _MOST_AIRCRAFT // 2]:
            del self._aircraft[address]


def _said_in(frame: bytes) -> dict[str, Any] | None:
    """A frame's fields by name, as rs1090 reads them; None for what it does not know."""
    said: Any = rs1090.decode(frame.hex())
    return said if type(said) is dict else None


def _split(address: str) -> tuple[str, str]:
    return ("nonicao", address[1:]) if address[0] == "~" else ("icao", address)


def _is_foreign(data: bytes, type_code: int) -> bool:
    """Whether a TIS-B or ADS-R message's address is none of ICAO's: its IMF bit, which each form has elsewhere."""
    if type_code in _AIRBORNE_TYPES:
        return bool(data[4] & 0x01)
    if type_code == _VELOCITY_TYPE:
        return bool(data[5] & 0x80)
    if type_code in _SURFACE_TYPES:
        return bool(data[6] & 0x08)
    return type_code == 31 and bool(data[10] & 0x01)


def _accuracy(aircraft: Aircraft, type_code: int, kind: str | None) -> float | None:
    if kind == "mlat":
        return ASSUMED_BY_KIND_M[kind]
    if aircraft.nac_p is not None and aircraft.nac_p < len(EPU_M):
        return EPU_M[aircraft.nac_p]
    return CONTAINMENT_BY_TYPE_CODE_M.get(type_code, ASSUMED_BY_KIND_M.get(kind or ""))


def _callsign_of(text: object) -> str | None:
    """rs1090 writes ``#`` for a code that is no character: such a name is not trusted."""
    callsign = callsign_of(text)
    return None if callsign is None or "#" in callsign else callsign


def _payload_of(said: dict[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    emergency = _EMERGENCY_OF_STATE.get(str(said.get("emergency_state")))
    if emergency is not None:
        payload["emergency"] = emergency
    for key, name in (("NACp", "nac_p"), ("selected_altitude", "nav_altitude_mcp"), ("version", "version")):
        value = number(said.get(key))
        if value is not None:
            payload[name] = value
    return payload
