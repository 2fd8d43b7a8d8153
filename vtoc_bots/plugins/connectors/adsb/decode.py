"""The decoder of each ADS-B format."""

from __future__ import annotations

from datetime import UTC, tzinfo

from vtoc_bots import Decoder, UsageError
from vtoc_bots.plugins.connectors.adsb.decode_json import AircraftDecoder, JsonPortDecoder
from vtoc_bots.plugins.connectors.adsb.decode_mode_s import ModeSDecoder
from vtoc_bots.plugins.connectors.adsb.decode_opensky import OpenSkyDecoder
from vtoc_bots.plugins.connectors.adsb.decode_sbs import SbsDecoder
from vtoc_bots.plugins.connectors.adsb.detect import FORMATS, detect_format
from vtoc_bots.plugins.connectors.adsb.framing import AvrFramer, BeastFramer
from vtoc_bots.plugins.connectors.adsb.positions import Receiver


def decoder_of(
    *,
    format: str | None = None,
    head: bytes = b"",
    name: str = "",
    position: tuple[float, float] | None = None,
    source: str = "",
    position_is_exact: bool = True,
    timezone: tzinfo = UTC,
) -> Decoder:
    """A decoder of `format`, detected from `head` and `name` when None, whose events come from `source`.

    `position` is the receiver's (latitude, longitude) in degrees; not exact when it is only the station's. `timezone`
    is that of SBS times. Raises UsageError for an unknown format.
    """
    format = format or detect_format(head, name)
    receiver = None if position is None else Receiver(position, position_is_exact)
    match format:
        case "aircraft" | "v2":
            return AircraftDecoder(source)
        case "jsonport":
            return JsonPortDecoder(source)
        case "opensky":
            return OpenSkyDecoder(source)
        case "sbs":
            return SbsDecoder(source, timezone)
        case "beast":
            return ModeSDecoder(source, BeastFramer(), receiver)
        case "avr":
            return ModeSDecoder(source, AvrFramer(), receiver)
    raise UsageError(f"adsb: there is no format {format!r}. Take one of {', '.join(FORMATS)}", word=format)
