"""The 24-bit parity of Mode S frames."""

from __future__ import annotations

from typing import Final

_GENERATOR: Final = 0x1FFF409


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        remainder = byte << 16
        for _ in range(8):
            remainder <<= 1
            if remainder & 0x1000000:
                remainder ^= _GENERATOR
        table.append(remainder)
    return tuple(table)


_TABLE: Final = _table()


def parity_of(data: bytes) -> int:
    """The parity that belongs to these bytes (ICAO Annex 10, volume IV, 3.1.2.3.3: CRC with generator 0x1FFF409)."""
    remainder = 0
    table = _TABLE
    for byte in data:
        remainder = (remainder << 8 & 0xFFFFFF) ^ table[remainder >> 16 ^ byte]
    return remainder


def overlay_of(frame: bytes) -> int:
    """What a frame's parity field holds beyond its parity.

    0 in an intact DF17 or DF18; the interrogator's code in an intact DF11; the aircraft's address in an intact reply.
    """
    return parity_of(frame[:-3]) ^ int.from_bytes(frame[-3:], "big")
