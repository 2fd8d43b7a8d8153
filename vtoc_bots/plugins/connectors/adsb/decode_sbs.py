"""Decoding SBS-1 (BaseStation) lines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any, Final

from vtoc_bots import Rejected, TelemetryEvent
from vtoc_bots.plugins.connectors.adsb.accuracy import ASSUMED_BY_KIND_M
from vtoc_bots.plugins.connectors.adsb.fields import (
    FEET,
    FEET_A_MINUTE,
    KNOTS,
    callsign_of,
    identity_of,
    squawk_of,
)
from vtoc_bots.plugins.connectors.adsb.lines import LineSplitter

_FIELDS = 22
_ID_FIELDS = 11
_REPORTS = frozenset(("MSG", "MLAT"))
_NAMES = frozenset(("ID", "SEL"))
_SILENT = frozenset(("AIR", "STA", "CLK"))
_LARGEST = 1e6
_Motion = tuple[float | None, str | None, float | None, float | None, float | None, bool | None]
_NO_PAYLOAD: Final[Mapping[str, Any]] = MappingProxyType({})


class SbsDecoder:
    """Decodes BaseStation lines (port 30003), 22 comma-separated fields: feet, knots, feet a minute.

    Format: Kinetic's "Socket data and BST files". Servers write their local time: `timezone` is the server's. Empty
    dates take the time of receipt. The lines do not say how a position was made, except readsb's ``MLAT`` ones.
    """

    def __init__(self, source: str, timezone: tzinfo = UTC) -> None:
        self._source = source
        self._timezone = timezone
        self._lines = LineSplitter()
        self._received_at: datetime | None = None
        self._stamp = ""
        self._stamp_time: datetime | None = None

    def feed(self, data: bytes, received_at: datetime | None) -> list[TelemetryEvent | Rejected]:
        """Any piece of the stream → one result for each line that is whole now. Blank lines only keep a link alive."""
        self._received_at = received_at
        lines, overlong = self._lines.split(data)
        decode = self._decode
        results: list[TelemetryEvent | Rejected] = [decode(line) for line in lines if line and line != b"\r"]
        return results + [Rejected("oversize")] * overlong

    def finish(self) -> list[TelemetryEvent | Rejected]:
        """The last line, if it is whole but for its end."""
        rest = self._lines.finish().strip()
        if not rest:
            return []
        # Only the last field may be cut short in a line with all its commas: a flag of one or two characters.
        return [self._decode(rest) if rest.count(b",") == _FIELDS - 1 else Rejected("truncated")]

    def _decode(self, line: bytes) -> TelemetryEvent | Rejected:
        fields = line.decode("latin-1").split(",")
        if len(fields) != _FIELDS or fields[0] not in _REPORTS:
            return self._decode_other(fields)
        identity = identity_of(fields[4])
        if identity is None:
            return Rejected("identity", fields[4][:40])
        latitude = longitude = kind = None
        try:
            if fields[14] and fields[15]:
                latitude, longitude = float(fields[14]), float(fields[15])
                if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
                    return Rejected("position", f"{latitude}, {longitude}")
                kind = "mlat" if fields[0] == "MLAT" else None
            motion = _motion_of(fields)
        except ValueError:
            return Rejected("malformed", ",".join(fields)[:80])
        alert, emergency, ident = fields[18:21]
        return TelemetryEvent(
            identity[1],
            identity[0],
            self._source,
            "adsb",
            self._time_of(fields[6], fields[7]) if fields[6] and fields[7] else self._received_at,
            self._received_at,
            latitude,
            longitude,
            *motion,
            callsign_of(fields[10]) if fields[10] else None,
            ASSUMED_BY_KIND_M["mlat"] if kind else None,
            kind,
            squawk_of(fields[17]) if fields[17] else None,
            None,
            None,
            False,
            _flags(alert, emergency, ident) if alert or emergency or ident else _NO_PAYLOAD,
        )

    def _decode_other(self, fields: list[str]) -> TelemetryEvent | Rejected:
        """``ID`` and ``SEL`` lines name an aircraft; ``AIR``, ``STA`` and ``CLK`` say nothing about one."""
        if fields[0] in _NAMES and len(fields) >= _ID_FIELDS:
            identity, callsign = identity_of(fields[4]), callsign_of(fields[10].strip())
            if identity is None or callsign is None:
                return Rejected("identity", ",".join(fields)[:80])
            return TelemetryEvent(
                entity_id=identity[1],
                entity_namespace=identity[0],
                source=self._source,
                source_type="adsb",
                event_time=self._time_of(fields[6], fields[7]) if fields[6] and fields[7] else self._received_at,
                received_at=self._received_at,
                callsign=callsign,
            )
        return Rejected("not_a_report" if fields[0] in _SILENT else "malformed", ",".join(fields)[:80])

    def _time_of(self, date: str, time: str) -> datetime | None:
        """``2008/11/28`` and ``23:48:18.611``; consecutive lines often share them. Nonsense counts as none."""
        stamp = date + time
        if stamp != self._stamp:
            self._stamp, self._stamp_time = stamp, self._parsed_time(date, time)
        return self._stamp_time or self._received_at

    def _parsed_time(self, date: str, time: str) -> datetime | None:
        try:
            local = datetime.fromisoformat(f"{date.strip().replace('/', '-')}T{time.strip()}")
            if self._timezone is UTC:
                return local.replace(tzinfo=UTC)
            return local.replace(tzinfo=self._timezone).astimezone(UTC)
        except (ValueError, OverflowError):
            return None


def _motion_of(fields: list[str]) -> _Motion:
    """(altitude, its datum, speed, track, vertical rate, on ground) in SI units. Raises ValueError."""
    altitude, speed, track, rate, ground = fields[11], fields[12], fields[13], fields[16], fields[21]
    return (
        _sane(float(altitude)) * FEET if altitude else None,
        "baro" if altitude else None,
        _sane(float(speed)) * KNOTS if speed else None,
        _sane(float(track)) % 360.0 if track else None,
        _sane(float(rate)) * FEET_A_MINUTE if rate else None,
        _is_set(ground) if ground and ground != "\r" else None,
    )


def _sane(value: float) -> float:
    """Refuses what is not finite or no number of this world."""
    if -_LARGEST < value < _LARGEST:
        return value
    raise ValueError(value)


def _is_set(flag: str) -> bool:
    return flag.strip() in ("1", "-1")


def _flags(alert: str, emergency: str, ident: str) -> Mapping[str, Any]:
    names = ("alert", "emergency", "spi")
    return {name: True for name, flag in zip(names, (alert, emergency, ident), strict=True) if _is_set(flag)}
