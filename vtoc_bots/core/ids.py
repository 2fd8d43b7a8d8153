"""Identifiers: UUIDv7 made here, shown to people as their last eight characters in Crockford base 32."""

from __future__ import annotations

import os
import time
from typing import Final
from uuid import UUID

SHORT_LENGTH: Final = 8
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_SHORT_BITS: Final = 5 * SHORT_LENGTH


def new_id() -> UUID:
    """A new UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits.

    Ids made in the same millisecond are in no order.
    """
    return id_at(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)))


def id_at(unix_ms: int, random_bits: int) -> UUID:
    """The UUIDv7 of a Unix time in milliseconds and (the low 74 bits of) a random number."""
    high = (unix_ms & (1 << 48) - 1) << 16 | 0x7000 | (random_bits >> 62) & 0xFFF
    low = 0b10 << 62 | random_bits & (1 << 62) - 1
    return UUID(int=high << 64 | low)


def short_id(value: UUID) -> str:
    """What people see of an id: its last 40 bits as eight characters of Crockford base 32."""
    bits = value.int & (1 << _SHORT_BITS) - 1
    return "".join(_ALPHABET[bits >> shift & 31] for shift in range(_SHORT_BITS - 5, -1, -5))


def parse_short_id(text: str) -> int | None:
    """The 40 bits a short id stands for, or None where the text is no short id.

    Read as Crockford says: any case, hyphens ignored, O for 0, and I or L for 1.
    """
    letters = text.strip().replace("-", "").upper()
    if len(letters) != SHORT_LENGTH or any(letter not in _VALUES for letter in letters):
        return None
    bits = 0
    for letter in letters:
        bits = bits << 5 | _VALUES[letter]
    return bits


def parse_id(text: str) -> UUID | None:
    """The UUID a text spells in full, or None."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def matches_short_id(value: UUID, text: str) -> bool:
    """Whether a short id, as a person typed it, stands for this id."""
    return parse_short_id(text) == value.int & (1 << _SHORT_BITS) - 1
