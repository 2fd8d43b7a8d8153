"""Text and JSON that Postgres takes: without NUL characters and lone surrogates."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import orjson

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_OPTIONS: Final = orjson.OPT_NON_STR_KEYS


def clean_text(text: str) -> str:
    """The text without what Postgres refuses: NUL is removed, a lone surrogate becomes U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(lambda match: "" if match[0] == "\x00" else "\ufffd", text)


def dumps_clean(value: Any) -> bytes:
    """JSON that jsonb accepts: keys become strings, NaN null, and every text is cleaned.

    Dates, UUIDs, dataclasses and enums are written as orjson does, named tuples and sets as lists.
    Raises TypeError for a value that has no JSON form.
    """
    try:
        data = orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError:
        return _dumps_cleaned(value)
    # An escaped NUL is the only form in which one can stand in JSON; "\\u0000" as text is a harmless false alarm.
    return _dumps_cleaned(value) if b"\\u0000" in data else data


def loads(data: bytes | memoryview | str) -> Any:
    """The value of a JSON text."""
    return orjson.loads(data)


def _plain(value: Any) -> Any:
    """What orjson does not know, in terms of what it does."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if isinstance(value, UUID):  # asyncpg's own subclass, which orjson does not know
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _dumps_cleaned(value: Any) -> bytes:
    cleaned = _cleaned(value)
    try:
        return orjson.dumps(cleaned, default=_plain, option=_OPTIONS)
    except TypeError:
        # Integers over 64 bits, which jsonb holds and orjson does not write.
        return json.dumps(cleaned, default=_through_orjson, allow_nan=False).encode()


def _through_orjson(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, default=_plain))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {clean_text(key) if isinstance(key, str) else key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(item) for item in value]
    return value
